"""Checks of times: visits against scan times, and dates that cannot follow each other."""

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from aibmd.cohort.checks.key import plain_visit
from aibmd.cohort.problem import Problem, list_rows, plural
from aibmd.cohort.schema import LAST_TIMES, ORDERED_TIMES, TIME_SLACK_YEARS
from aibmd.cohort.table import ScanTable
from aibmd.cohort.visits import format_label, natural_key, order_visits
from aibmd.vocabulary import BMD, SUBJECT, TIME, VISIT

FloatArray = npt.NDArray[np.float64]

# A scan time stands out when it is four times nearer to another visit than to its own, and
# more than six robust standard deviations from its own. Late and early scans do neither.
_TIMES_NEARER: Final = 4.0
_ROBUST_SDS: Final = 6.0
_MAD_TO_SD: Final = 1.4826


def check_visit_times(table: ScanTable) -> list[Problem]:
    """Visit and time tell the same story."""
    if not table.has(SUBJECT, VISIT, TIME):
        return []
    scans = _timed(table)
    if scans.empty:
        return []
    order = _visit_order(table.clean[VISIT], scans)
    misplaced = _misplaced(scans)
    # A misplaced scan breaks its subject's order as well; say it once.
    rest = scans[~scans[SUBJECT].isin(scans.loc[misplaced, SUBJECT])]
    backward = _out_of_order(rest, order)
    wrong = scans.index[misplaced | scans.index.isin(backward)]
    if wrong.empty:
        return []
    median = scans.groupby("plain")[TIME].median()
    remarks = [f"median of this visit {median[plain]:.4g}" for plain in scans.loc[wrong, "plain"]]
    message = f"visit and time disagree in {plural(len(wrong), 'row')}"
    message += list_rows(table.cells(table.raw.index.isin(wrong), TIME).loc[wrong], remarks)
    remedy = (
        "Times (in years) must grow from visit to visit in each subject and lie near the "
        "times of the same visit in the others. Correct the visit or the time."
    )
    return [Problem("visit_times", tuple(wrong), message, remedy)]


def _timed(table: ScanTable) -> pd.DataFrame:
    """Rows with subject, visit and a possible time; spellings of one visit count as one."""
    found = {SUBJECT: table.clean[SUBJECT], VISIT: table.clean[VISIT]}
    scans = pd.DataFrame({**found, TIME: table.plausible(TIME)}).dropna()
    distinct = {value: plain_visit(format_label(value)) for value in scans[VISIT].unique()}
    plain: pd.Series = scans[VISIT].astype(object).map(distinct).astype("str")
    return scans.assign(plain=plain)


def _visit_order(visit: pd.Series, scans: pd.DataFrame) -> dict[str, int]:
    """Place of each visit: as declared by a categorical, else by median time and number."""
    if isinstance(visit.dtype, pd.CategoricalDtype):
        labels = order_visits(visit, scans[TIME])
        return {plain_visit(label): place for place, label in enumerate(labels)}
    median = scans.groupby("plain")[TIME].median().sort_values(kind="stable")
    return {label: place for place, label in enumerate(_count_up(list(median.index)))}


def _count_up(labels: list[str]) -> list[str]:
    """The labels with year1 before year5, whatever their times say: a number is a promise.

    Examples
    --------
    >>> _count_up(["baseline", "year5", "year1"])
    ['baseline', 'year1', 'year5']
    """
    families: dict[str, list[str]] = {}
    for label in labels:
        families.setdefault(re.sub(r"\d+", "#", label), []).append(label)
    upward = {name: iter(sorted(family, key=natural_key)) for name, family in families.items()}
    return [next(upward[re.sub(r"\d+", "#", label)]) for label in labels]


def _misplaced(scans: pd.DataFrame) -> pd.Series:
    """Rows whose time belongs to another visit, judged against the other subjects."""
    visits = scans.groupby("plain")[TIME]
    median = visits.median()
    own = (scans[TIME] - visits.transform("median")).abs()
    spread = own.groupby(scans["plain"]).transform("median") * _MAD_TO_SD
    nearest = _nearest_gap(scans[TIME].to_numpy(), np.sort(median.to_numpy()))
    return (own > _TIMES_NEARER * nearest) & (own > _ROBUST_SDS * spread)


def _nearest_gap(time: FloatArray, medians: FloatArray) -> FloatArray:
    """Distance of each time to the nearest visit; its own when that is the nearest."""
    above = np.searchsorted(medians, time).clip(0, len(medians) - 1)
    below = (above - 1).clip(0)
    gap: FloatArray = np.minimum(np.abs(time - medians[above]), np.abs(time - medians[below]))
    return gap


def _out_of_order(scans: pd.DataFrame, order: dict[str, int]) -> pd.Index:
    """Rows of visits that are not later than an earlier visit of the same subject."""
    placed = scans.assign(place=scans["plain"].map(order))
    visits = placed.groupby([SUBJECT, "place"])[TIME].agg(["min", "max"]).reset_index()
    latest = visits.groupby(SUBJECT)["max"].cummax()
    late = visits["min"] <= latest.groupby(visits[SUBJECT]).shift()
    if not late.any():
        return scans.index[:0]
    pairs = pd.concat([visits[late], visits[late.shift(-1, fill_value=False)]])
    keys = pd.MultiIndex.from_frame(pairs[[SUBJECT, "place"]])
    return placed.index[pd.MultiIndex.from_frame(placed[[SUBJECT, "place"]]).isin(keys)]


def check_ordered_times(table: ScanTable) -> list[Problem]:
    """Nothing stops before it starts, and nothing but death comes last."""
    problems = []
    for earlier, later in ORDERED_TIMES:
        if not table.has(SUBJECT, earlier, later):
            continue
        first = table.clean.dropna(subset=[SUBJECT]).drop_duplicates(SUBJECT).index
        times = pd.DataFrame({name: table.of_subject(name) for name in (earlier, later)}).loc[first]
        wrong = times.index[times[earlier] > times[later] + TIME_SLACK_YEARS]
        if wrong.empty:
            continue
        message = f"{later} before {earlier} in {plural(len(wrong), 'subject')}"
        message += list_rows(_named(table, times.loc[wrong]))
        remedy = f"Correct the times (years from time zero), or leave {later} blank if unknown."
        problems.append(Problem("ordered_times", tuple(wrong), message, remedy))
    return problems


def _named(table: ScanTable, times: pd.DataFrame) -> pd.DataFrame:
    """Subject and each time with its name, as text."""
    said = {name: f"{name} " + times[name].map("{:g}".format) for name in times.columns}
    return pd.DataFrame({SUBJECT: table.raw.loc[times.index, SUBJECT], **said})


def check_last_times(table: ScanTable) -> list[Problem]:
    """No one is scanned after her last contact or her death."""
    problems = []
    for name in LAST_TIMES:
        if not table.has(SUBJECT, TIME, BMD, name):
            continue
        last = table.of_subject(name)
        wrong = (table.plausible(TIME) > last + TIME_SLACK_YEARS) & table.clean[BMD].notna()
        if not wrong.any():
            continue
        message = f"{plural(int(wrong.sum()), 'scan')} after {name}"
        times = pd.DataFrame({TIME: table.clean[TIME], name: last})[wrong]
        message += list_rows(_named(table, times))
        remedy = f"Correct {name} or the time of the scan (both in years from time zero)."
        problems.append(Problem("last_times", tuple(table.raw.index[wrong]), message, remedy))
    return problems
