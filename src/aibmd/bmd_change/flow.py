"""From everyone who entered to the women scanned at the outcome visit, with reasons."""

import pandas as pd

from aibmd.bmd_change.groups import DATES, derive_withdrawal_groups, find_absence, find_scan_times
from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.vocabulary import SUBJECT

Row = tuple[str, str, str, int]


def tabulate_flow(cohort: Cohort, question: WithdrawalQuestion | None = None) -> pd.DataFrame:
    """Count women from entry to the outcome visit; those lost are counted by reason.

    Parameters
    ----------
    cohort : Cohort
    question : WithdrawalQuestion, optional

    Returns
    -------
    DataFrame
        Columns ``step`` ("entered", "not in population", "population", "group",
        "not scanned at outcome", "scanned at outcome"), ``group`` (empty before groups),
        ``reason`` (empty unless women are lost) and ``n``. Scanned means at any skeletal
        site of the question; numbers by site are in `WithdrawalResult.scanned`.

    Raises
    ------
    AibmdError
        If the numbers do not add up, which would be a fault of this function.

    Notes
    -----
    A woman is lost for what happened first by the median time of the visit. Women who are
    lost after year 5 stay in the analysis with the scans they have.
    """
    question = question or WithdrawalQuestion()
    groups = derive_withdrawal_groups(cohort, question)
    rows: list[Row] = [("entered", "", "", len(groups))]
    counts = groups["exclusion"].value_counts(sort=False)
    rows += [("not in population", "", str(reason), int(n)) for reason, n in counts.items() if n]
    rows.append(("population", "", "", int(groups["group"].notna().sum())))
    lost = _find_lost(cohort, groups[SUBJECT], question)
    for group in question.groups:
        rows += _follow_group(group, lost[groups["group"] == group])
    flow = pd.DataFrame(rows, columns=["step", "group", "reason", "n"])
    _check_sums(flow)
    return flow


def _find_lost(cohort: Cohort, subject: pd.Series, question: WithdrawalQuestion) -> pd.Series:
    """Why each woman has no scan at the outcome visit that counts; missing if she has one."""
    times = find_scan_times(cohort.scans, question.outcome_visit, question.sites)
    dates = cohort.subjects[list(DATES)].astype("float64")
    at = subject.map(times)
    at = at.mask(dates["recurrence_time"] < at)
    return find_absence(dates, at, times.median(), question.outcome_visit)


def _follow_group(group: str, lost: pd.Series) -> list[Row]:
    reasons = lost.value_counts().sort_index()
    return [
        ("group", group, "", len(lost)),
        *(("not scanned at outcome", group, str(reason), int(n)) for reason, n in reasons.items()),
        ("scanned at outcome", group, "", int(lost.isna().sum())),
    ]


def _check_sums(flow: pd.DataFrame) -> None:
    """Entered = lost + population; population = groups; each group = lost + scanned."""
    n: dict[tuple[str, str], int] = {}
    for step, group, _, count in flow.itertuples(index=False):
        n[step, group] = n.get((step, group), 0) + count
    groups = [group for step, group in n if step == "group"]
    lost, kept = "not scanned at outcome", "scanned at outcome"
    sums = [
        (n["entered", ""], n.get(("not in population", ""), 0) + n["population", ""]),
        (n["population", ""], sum(n["group", group] for group in groups)),
        *((n["group", g], n.get((lost, g), 0) + n[kept, g]) for g in groups),
    ]
    if any(whole != parts for whole, parts in sums):
        raise AibmdError(f"the flow does not add up:\n{flow.to_string(index=False)}")
