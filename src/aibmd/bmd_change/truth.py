"""Design truth: the noise-free change of the women analysed, where a generator knows it."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.errors import AibmdError
from aibmd.vocabulary import SKELETAL_SITE, SUBJECT, VISIT

_COLUMNS: Final = (SUBJECT, VISIT, SKELETAL_SITE, "true_bmd")

# Which mean of the women's true ratios each model estimates.
_MEANS: Final[dict[str, Callable[[pd.Series], float]]] = {
    "log": lambda ratio: float(100.0 * np.expm1(np.log(ratio).mean())),
    "percent_change": lambda ratio: float(100.0 * (ratio.mean() - 1.0)),
}


def compute_design_truth(
    truth: pd.DataFrame | None,
    scans: pd.DataFrame,
    skeletal_site: str,
    model: str,
    question: WithdrawalQuestion,
) -> dict[str, float]:
    """Mean true change of each group, in percent of the reference visit.

    Parameters
    ----------
    truth : DataFrame or None
        `Cohort.truth`, with ``true_bmd`` (g/cm2) as treated at the planned time of each visit.
    scans : DataFrame
        From `select_scans`; its women are averaged over, scanned at the outcome visit or not.
    skeletal_site : str
    model : {"log", "percent_change"}
        Geometric mean of the ratios, or arithmetic mean of the percent changes.
    question : WithdrawalQuestion

    Returns
    -------
    dict
        Group to percent; NaN without a truth.

    Notes
    -----
    It is the mean of these women, and changes from cohort to cohort of one design.
    """
    if truth is None:
        return dict.fromkeys(question.groups, np.nan)
    missing = [name for name in _COLUMNS if name not in truth.columns]
    if missing:
        raise AibmdError(
            f"The truth table has no column {', '.join(missing)}; expected {', '.join(_COLUMNS)}."
        )
    at_site = truth[truth[SKELETAL_SITE] == skeletal_site].astype({VISIT: "str"})
    by_visit = {
        visit: at_site[at_site[VISIT] == visit].set_index(SUBJECT)["true_bmd"]
        for visit in (question.reference_visit, question.outcome_visit)
    }
    ratio = by_visit[question.outcome_visit] / by_visit[question.reference_visit]
    women = scans.drop_duplicates(SUBJECT).set_index(SUBJECT)["group"]
    mean = _MEANS[model]
    return {g: mean(ratio.reindex(women.index[women == g])) for g in question.groups}
