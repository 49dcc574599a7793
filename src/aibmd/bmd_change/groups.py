"""Who withdrew at year 5, from what was known at the end of the grace window."""

from typing import Final

import numpy as np
import pandas as pd

from aibmd.bmd_change.question import WITHDRAWN, WithdrawalQuestion
from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.vocabulary import BMD, SKELETAL_SITE, SUBJECT, TIME, VISIT

# Every one must be a column; blank means that it did not happen.
DATES: Final = (
    "ai_start",
    "ai_stop",
    "tamoxifen_start",
    "tamoxifen_stop",
    "recurrence_time",
    "death_time",
    "last_contact_time",
)
COURSES: Final = (
    WITHDRAWN,
    "AI continued",
    "AI ended earlier",
    "Tamoxifen stopped, never AI",
    "Tamoxifen continued, never AI",
    "Never AI or tamoxifen",
)


def derive_withdrawal_groups(
    cohort: Cohort, question: WithdrawalQuestion | None = None
) -> pd.DataFrame:
    """Group of each woman by what was known at the end of her grace window.

    Parameters
    ----------
    cohort : Cohort
        Subjects with the dates `DATES`, in years from the cohort's time zero.
    question : WithdrawalQuestion, optional
        Window and comparator.

    Returns
    -------
    DataFrame
        One row per subject, in the order of `cohort.subjects`: ``subject_id``,
        ``reference_time`` (years; own scan at the reference visit), ``on_ai`` (on the day of
        that scan), ``treatment_course`` (one of `COURSES`; what the mixture is made of),
        ``exclusion`` (one of `list_reasons`; missing for women in the population) and
        ``group`` (missing for women outside the population).

    Raises
    ------
    AibmdError
        If dates are missing from the subjects, or nobody was scanned at the reference visit.

    Notes
    -----
    Dates after the window are turned into blanks before anything is decided, so nothing
    that happens later can move a woman. Groups are defined after randomisation, by
    treatment received: they are compared, not randomised.

    Examples
    --------
    >>> import aibmd
    >>> groups = derive_withdrawal_groups(aibmd.load_cohort("brex"))
    >>> list(groups["group"].cat.categories)
    ['AI withdrawn', 'No AI withdrawal']
    """
    question = question or WithdrawalQuestion()
    subjects, scans = cohort.subjects, cohort.scans
    _require_dates(subjects)
    reference = find_scan_times(scans, question.reference_visit, question.sites)
    at = subjects[SUBJECT].map(reference)
    dates = subjects[list(DATES)].astype("float64")
    known = dates.where(dates.le(at + question.grace_years, axis=0))
    course = _find_course(known, at, question)
    on_ai = (known["ai_start"] <= at) & ~(known["ai_stop"] < at)
    absent = find_absence(dates, at, reference.median(), question.reference_visit)
    exclusion = _exclude(absent, known, at, course, on_ai, question)
    inside = exclusion.isna()
    withdrawn, comparator = question.groups
    labels = course.map(lambda label: withdrawn if label == WITHDRAWN else comparator)
    return pd.DataFrame(
        {
            SUBJECT: subjects[SUBJECT],
            "reference_time": at,
            "on_ai": on_ai,
            "treatment_course": pd.Categorical(course.where(inside), categories=COURSES),
            "exclusion": pd.Categorical(exclusion, categories=list_reasons(question)),
            "group": pd.Categorical(labels.where(inside), categories=question.groups),
        }
    )


def find_scan_times(scans: pd.DataFrame, visit: str, sites: tuple[str, ...]) -> pd.Series:
    """Time of each woman's scan at a visit, by ``subject_id``; women scanned at any site."""
    made = (scans[VISIT] == visit) & scans[SKELETAL_SITE].isin(sites) & scans[BMD].notna()
    if not made.any():
        visits = ", ".join(map(repr, scans[VISIT].cat.categories))
        raise AibmdError(
            f"Nobody was scanned at visit {visit!r} at {', '.join(sites)}. The visits are {visits}."
        )
    return scans[made].groupby(SUBJECT)[TIME].min()


def find_absence(dates: pd.DataFrame, at: pd.Series, planned: float, visit: str) -> pd.Series:
    """Why women have no scan at a visit; missing for women who have one.

    What ended follow-up first by the median time of the visit counts: a woman who
    recurred and then died is counted as a recurrence.
    """
    recurrence, died, left, missed = list_absences(visit)
    reasons = pd.Series(missed, index=dates.index, dtype="str")
    reasons = reasons.mask(dates["last_contact_time"] < planned, left)
    reasons = reasons.mask(dates["death_time"] <= planned, died)
    reasons = reasons.mask(dates["recurrence_time"] <= planned, recurrence)
    return reasons.where(at.isna())


def list_absences(visit: str) -> tuple[str, str, str, str]:
    """Reasons for having no scan at a visit, in the order they are looked for."""
    name = visit.replace("_", " ")
    before = (f"{event} before {name}" for event in ("recurrence", "died", "left"))
    return (*before, f"no scan at {name}")  # type: ignore[return-value]


def list_reasons(question: WithdrawalQuestion) -> tuple[str, ...]:
    """Reasons for being outside the population."""
    visit = question.reference_visit
    on_none = f"not on an AI at {visit.replace('_', ' ')}"
    return (*list_absences(visit), "AI status unknown", on_none)


def _require_dates(subjects: pd.DataFrame) -> None:
    missing = [name for name in DATES if name not in subjects.columns]
    if missing:
        raise AibmdError(
            f"The subjects have no column {', '.join(missing)}. Groups and flow need "
            f"{', '.join(DATES)}; add those that are missing, blank where nothing happened."
        )


def _find_course(known: pd.DataFrame, at: pd.Series, question: WithdrawalQuestion) -> pd.Series:
    started = known["ai_start"] <= at
    stop = known["ai_stop"]
    ended_earlier = stop < at - question.lookback_years
    tamoxifen = known["tamoxifen_start"] <= at
    choices = [
        (started & ended_earlier, COURSES[2]),
        (started & stop.notna() & ~_has_relapsed(known, stop), COURSES[0]),
        (started, COURSES[1]),
        (tamoxifen & known["tamoxifen_stop"].notna(), COURSES[3]),
        (tamoxifen, COURSES[4]),
    ]
    conditions = [condition.to_numpy() for condition, _ in choices]
    found = np.select(conditions, [label for _, label in choices], COURSES[5])
    return pd.Series(found, index=known.index, dtype="str")


def _has_relapsed(known: pd.DataFrame, stop: pd.Series) -> pd.Series:
    """An AI that ends at or after a recurrence ends because of it."""
    return known["recurrence_time"] <= stop


def _exclude(
    absent: pd.Series,
    known: pd.DataFrame,
    at: pd.Series,
    course: pd.Series,
    on_ai: pd.Series,
    question: WithdrawalQuestion,
) -> pd.Series:
    """First reason that applies, in the order of `list_reasons`; missing for the others."""
    reasons = list_reasons(question)
    relapsed = known["recurrence_time"] <= at
    elsewhere = ~on_ai if question.comparator == "ai_continued" else on_ai & False
    tests = (
        (relapsed, reasons[0]),
        (_is_unknown(known, course), reasons[4]),
        (elsewhere, reasons[5]),
    )
    exclusion = absent
    for applies, reason in tests:
        exclusion = exclusion.mask(exclusion.isna() & applies, reason)
    return exclusion


def _is_unknown(known: pd.DataFrame, course: pd.Series) -> pd.Series:
    """On an AI when follow-up ended inside the window, or a stop without a start."""
    ends = known[["last_contact_time", "death_time", "recurrence_time"]]
    lost = (course == COURSES[1]) & ends.notna().any(axis=1)
    return lost | (known["ai_start"].isna() & known["ai_stop"].notna())
