"""What the groups are made of: treatment course by menopausal status."""

from typing import Final

import pandas as pd

from aibmd.cohort import Cohort
from aibmd.vocabulary import SUBJECT

_STATUS: Final = "menopausal_status"


def tabulate_mixture(cohort: Cohort, groups: pd.DataFrame) -> pd.DataFrame:
    """Women of each group by treatment course and menopausal status at baseline.

    Parameters
    ----------
    cohort : Cohort
    groups : DataFrame
        From `derive_withdrawal_groups`.

    Returns
    -------
    DataFrame
        Columns ``group, menopausal_status, treatment_course, n, share_pct`` (of the group);
        one row per combination that occurs. Without a column ``menopausal_status``, or where
        it is blank, the status is "not recorded".

    Notes
    -----
    Women scanned at the reference visit at any skeletal site of the question are counted.
    """
    subjects = cohort.subjects
    status = subjects[_STATUS] if _STATUS in subjects else pd.Series(pd.NA, subjects.index)
    status = status.astype(object).where(status.notna(), "not recorded").astype("str")
    known = dict(zip(subjects[SUBJECT], status, strict=True))
    inside = groups[groups["group"].notna()].assign(**{_STATUS: groups[SUBJECT].map(known)})
    keys = ["group", _STATUS, "treatment_course"]
    counts = inside.groupby(keys, observed=True).size().rename("n").reset_index()
    total = counts.groupby("group", observed=True)["n"].transform("sum")
    counts["share_pct"] = 100.0 * counts["n"] / total
    return counts.astype({"group": "str", "treatment_course": "str"})
