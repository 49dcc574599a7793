"""`fit_withdrawal`: the whole comparison at every skeletal site, as tables without rounding."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from aibmd.bmd_change.flow import tabulate_flow
from aibmd.bmd_change.groups import derive_withdrawal_groups
from aibmd.bmd_change.mixture import tabulate_mixture
from aibmd.bmd_change.population import select_scans
from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.bmd_change.skeletal_site import DIFFERENCE_COLUMNS, SiteTables, compare_site
from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.inference import adjust_p_values
from aibmd.vocabulary import SKELETAL_SITE

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class WithdrawalResult:
    """Tables of the withdrawal comparison; nothing is rounded.

    Percent is always percent of the reference visit (year 5).

    Attributes
    ----------
    question : WithdrawalQuestion
    changes : DataFrame
        One row per model ("log", "percent_change"), skeletal site and group: ``model,
        skeletal_site, group, n_year_5, n_year_10, published, design_truth, estimate,
        std_error, df, conf_low, conf_high``. `published` is NaN unless a table was given;
        `design_truth` is NaN unless the cohort knows its truth.
    differences : DataFrame
        Withdrawn against comparator, one row per model and skeletal site. ``p_value`` is not
        adjusted; ``p_holm`` is, within the primary sites of that model, and NaN elsewhere;
        ``family`` says so in words. ``ratio_*`` are NaN for "percent_change".
    trajectories : DataFrame
        Log model at every visit: ``skeletal_site, group, visit, time`` (planned years),
        ``retrospective, n_scanned, change_from_year_5_pct, conf_low, conf_high,
        bmd_geometric_mean, bmd_conf_low, bmd_conf_high`` (g/cm2). `retrospective` rows come
        before year 5: the same women looking back.
    scanned : DataFrame
        ``skeletal_site, group, visit, time, n``.
    baseline_handling : DataFrame
        ``skeletal_site``, then `tabulate_baseline_handling`, then ``design_truth_points``.
    mixture, flow : DataFrame
        `tabulate_mixture`, `tabulate_flow`.
    fits : DataFrame
        One row per model fitted: formula, covariance, df method, numbers, convergence.
    """

    question: WithdrawalQuestion
    changes: pd.DataFrame
    differences: pd.DataFrame
    trajectories: pd.DataFrame
    scanned: pd.DataFrame
    baseline_handling: pd.DataFrame
    mixture: pd.DataFrame
    flow: pd.DataFrame
    fits: pd.DataFrame

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "question"}

    def __repr__(self) -> str:
        shown = self.differences.to_string(index=False)
        return f"{self.question.interpretation}\n\n{shown}"


def fit_withdrawal(
    cohort: Cohort,
    question: WithdrawalQuestion | None = None,
    *,
    published: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> WithdrawalResult:
    """Compare bone after year 5 in women whose aromatase inhibitor was withdrawn then, or not.

    Parameters
    ----------
    cohort : Cohort
        Scans and dates; see `derive_withdrawal_groups`.
    question : WithdrawalQuestion, optional
    published : DataFrame, optional
        Published changes to print beside the estimates: ``skeletal_site, group, published``
        (percent of year 5). Nothing is computed from them.
    progress : callable, optional
        Called with one line of text per skeletal site.

    Returns
    -------
    WithdrawalResult

    Raises
    ------
    AibmdError
        If dates, visits or sites are missing, or a group is too small.

    Notes
    -----
    One log model (primary) and one model of percent change per skeletal site; equations are
    in ``docs/methods/withdrawal.md``. Groups were not randomised and the default comparator is
    a mixture: read `WithdrawalQuestion.interpretation` before any difference. The
    design truth is a mean over the women analysed.

    Examples
    --------
    >>> import aibmd
    >>> result = fit_withdrawal(aibmd.load_cohort("brex"))
    >>> result.changes["model"].unique().tolist()
    ['log', 'percent_change']
    """
    question = question or WithdrawalQuestion()
    groups = derive_withdrawal_groups(cohort, question)
    truth = cohort.truth
    sites = []
    for site in question.sites:
        if progress:
            progress(f"Fitting the {site.replace('_', ' ')}")
        scans = select_scans(cohort, groups, site, question)
        sites.append(compare_site(scans, site, truth, question))
    return WithdrawalResult(
        question=question,
        changes=add_published(_stack(sites, "changes"), published),
        differences=adjust_differences(_stack(sites, "differences"), question),
        trajectories=_stack(sites, "trajectories"),
        scanned=_stack(sites, "scanned"),
        baseline_handling=_stack(sites, "baseline_handling"),
        mixture=tabulate_mixture(cohort, groups),
        flow=tabulate_flow(cohort, question),
        fits=_stack(sites, "fits"),
    )


def add_published(changes: pd.DataFrame, published: pd.DataFrame | None) -> pd.DataFrame:
    """Put published values beside the estimates, by skeletal site and group."""
    if published is None:
        return changes
    keys = [SKELETAL_SITE, "group"]
    missing = [name for name in (*keys, "published") if name not in published.columns]
    if missing:
        raise AibmdError(
            f"The table of published values has no column {', '.join(missing)}; "
            f"expected skeletal_site, group, published (percent of the reference visit)."
        )
    values = published.set_index(keys)["published"]
    rows = pd.MultiIndex.from_frame(changes[keys])
    return changes.assign(published=values.reindex(rows).to_numpy())


def adjust_differences(differences: pd.DataFrame, question: WithdrawalQuestion) -> pd.DataFrame:
    """Holm over the primary sites, for each model on its own; the family in words."""
    table = differences.assign(p_holm=np.nan, family="secondary, not adjusted")
    primary = table[SKELETAL_SITE].isin(question.primary_sites)
    table.loc[primary, "family"] = question.family
    for model in table["model"].unique():
        rows = primary & (table["model"] == model)
        table.loc[rows, "p_holm"] = adjust_p_values(table.loc[rows, "p_value"].to_numpy(), "holm")
    return table[list(DIFFERENCE_COLUMNS)]


def _stack(sites: list[SiteTables], name: str) -> pd.DataFrame:
    tables: list[pd.DataFrame] = [getattr(site, name) for site in sites]
    return pd.concat(tables, ignore_index=True)
