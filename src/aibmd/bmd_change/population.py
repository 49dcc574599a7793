"""Scans of the analysis population at one skeletal site, with the group of each woman."""

import pandas as pd

from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.vocabulary import BMD, SKELETAL_SITE, SUBJECT, TIME, VISIT


def select_scans(
    cohort: Cohort, groups: pd.DataFrame, skeletal_site: str, question: WithdrawalQuestion
) -> pd.DataFrame:
    """Scans that enter the models: women of the population scanned at the reference visit.

    Parameters
    ----------
    cohort : Cohort
    groups : DataFrame
        From `derive_withdrawal_groups`.
    skeletal_site : str
    question : WithdrawalQuestion

    Returns
    -------
    DataFrame
        Columns ``subject_id, visit, time, bmd, group``, one row per scan that was made, none
        after a recurrence; ``group`` has the levels of `WithdrawalQuestion.groups`.

    Raises
    ------
    AibmdError
        If the site was not scanned, or a group has nobody at the outcome visit.
    """
    scans = cohort.scans
    made = scans[(scans[SKELETAL_SITE] == skeletal_site) & scans[BMD].notna()]
    inside = groups.loc[groups["group"].notna(), [SUBJECT, "group"]]
    recurrence = cohort.subjects[[SUBJECT, "recurrence_time"]].astype(
        {"recurrence_time": "float64"}
    )
    rows = made.merge(inside, on=SUBJECT).merge(recurrence, on=SUBJECT)
    rows = rows[~(rows[TIME] > rows["recurrence_time"])]
    at_reference = rows.loc[rows[VISIT] == question.reference_visit, SUBJECT]
    rows = rows[rows[SUBJECT].isin(at_reference)]
    _require_both_groups(rows, skeletal_site, question)
    return rows[[SUBJECT, VISIT, TIME, BMD, "group"]].reset_index(drop=True)


def count_scanned(scans: pd.DataFrame) -> pd.DataFrame:
    """Women scanned, by group and visit: columns ``group, visit, n``."""
    counts = scans.groupby(["group", VISIT], observed=False).size()
    return counts.rename("n").reset_index()


def find_nominal_years(scans: pd.DataFrame) -> pd.Series:
    """Planned time of each visit, by label: the median time to the nearest half year."""
    median = scans.groupby(VISIT, observed=True)[TIME].median()
    return (2.0 * median).round() / 2.0 + 0.0


def _require_both_groups(rows: pd.DataFrame, site: str, question: WithdrawalQuestion) -> None:
    outcome = rows[rows[VISIT] == question.outcome_visit]
    counts = outcome["group"].value_counts()
    for group in question.groups:
        if counts.get(group, 0) < 2:
            raise AibmdError(
                f"At the {site.replace('_', ' ')} {counts.get(group, 0)} women of the group "
                f"{group!r} have scans at {question.reference_visit} and "
                f"{question.outcome_visit}; a comparison needs at least 2 in each group. "
                f"Look at tabulate_flow(cohort, question), and at lookback_years and grace_years."
            )
