"""Change of BMD from a named visit: absolute, in percent, or on the log scale."""

import re
import warnings
from collections.abc import Callable
from typing import Final, get_args, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from aibmd.cohort.cohort import Cohort
from aibmd.cohort.problem import plural
from aibmd.cohort.visits import format_label, order_visits
from aibmd.errors import AibmdError, DataWarning, TScoreChangeError
from aibmd.vocabulary import (
    BASELINE_BMD,
    BMD,
    CHANGE_COLUMNS,
    SKELETAL_SITE,
    SUBJECT,
    TIME,
    VISIT,
    ChangeScale,
)

FloatArray = npt.NDArray[np.float64]

_ROWS_NAMED: Final = 10


def compute_change(value: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Difference, in the unit of the values: ``value - baseline``.

    Examples
    --------
    >>> compute_change([0.95, 1.05], 1.0).round(3).tolist()
    [-0.05, 0.05]
    """
    return np.asarray(value, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)


def compute_percent_change(value: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Change in percent of baseline: ``100 (value - baseline) / baseline``.

    Parameters
    ----------
    value, baseline : array_like
        On a ratio scale and above zero, in one unit; shapes that broadcast.

    Returns
    -------
    ndarray of float
        Percent; missing where either is missing.

    Examples
    --------
    >>> compute_percent_change(0.95, 1.0).round(3).item()
    -5.0

    Notes
    -----
    It is not symmetric: a loss of 5 % is not undone by a gain of 5 %. Log changes are.
    """
    return 100.0 * compute_change(value, baseline) / np.asarray(baseline, dtype=np.float64)


def compute_log_change(value: npt.ArrayLike, baseline: npt.ArrayLike) -> FloatArray:
    """Natural logarithm of the ratio: ``log(value / baseline)``; about percent / 100.

    Examples
    --------
    >>> compute_log_change(0.95, 1.0).round(4).item()
    -0.0513
    """
    value, baseline = np.asarray(value, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    return np.asarray(np.log(value) - np.log(baseline))


_COMPUTE: Final[dict[str, Callable[[npt.ArrayLike, npt.ArrayLike], FloatArray]]] = {
    "absolute": compute_change,
    "percent": compute_percent_change,
    "log": compute_log_change,
}


@overload
def derive_change(
    data: Cohort,
    scale: ChangeScale = ...,
    of: str = ...,
    baseline: str = ...,
    *,
    subject: str | None = ...,
    visit: str | None = ...,
) -> Cohort: ...
@overload
def derive_change(
    data: pd.DataFrame,
    scale: ChangeScale = ...,
    of: str = ...,
    baseline: str = ...,
    *,
    subject: str | None = ...,
    visit: str | None = ...,
) -> pd.DataFrame: ...
def derive_change(
    data: Cohort | pd.DataFrame,
    scale: ChangeScale = "percent",
    of: str = BMD,
    baseline: str = "baseline",
    *,
    subject: str | None = None,
    visit: str | None = None,
) -> Cohort | pd.DataFrame:
    """Add the value at a named visit and the change from it, per subject and skeletal site.

    Parameters
    ----------
    data : Cohort or DataFrame
        Scans in long form; not changed. Without a column ``skeletal_site`` a subject has
        one row per visit.
    scale : {"percent", "absolute", "log"}
        Percent of the baseline value, difference in its unit, or log ratio.
    of : str
        Column that changes.
    baseline : str
        Label of the visit that change is counted from. Visits before it get a change too.
    subject, visit : str, optional
        Columns of a DataFrame; ``"subject_id"`` and ``"visit"`` unless given.

    Returns
    -------
    Cohort or DataFrame
        As given, with ``baseline_bmd`` in every row of the subject and ``bmd_pct_change``,
        ``bmd_change`` or ``bmd_log_change``, missing in the baseline rows themselves.
        With another `of`, its name stands in place of ``bmd``.

    Raises
    ------
    TScoreChangeError
        If `of` is a T-score or Z-score and `scale` is not ``"absolute"``.
    AibmdError
        If a column or visit is not there, a baseline is repeated, or a percent or log
        change of values at or below zero is asked for.

    Warns
    -----
    DataWarning
        Once, with the number of subjects and sites that have no baseline value.

    Examples
    --------
    >>> scans = pd.DataFrame({"subject_id": ["S1", "S1"], "visit": ["baseline", "year_1"],
    ...     "bmd": [1.0, 0.97]})
    >>> derive_change(scans)["bmd_pct_change"].round(2).tolist()
    [nan, -3.0]

    Notes
    -----
    Change from year 5 in percent of year 5 is not percent of the first visit; the label of
    the visit belongs in every caption. Error in the baseline enters every change of that
    woman and pulls high starters down and low starters up (regression to the mean).
    """
    if scale not in _COMPUTE:
        options = ", ".join(repr(option) for option in get_args(ChangeScale))
        raise AibmdError(f"scale={scale!r} is not known. Choose one of {options}.")
    _refuse_t_score(of, scale)
    if isinstance(data, Cohort):
        if subject is not None or visit is not None:
            raise AibmdError("A Cohort supplies subject and visit by itself. Leave them out.")
        return data.with_scans(_add_change(data.scans, scale, of, baseline, SUBJECT, VISIT))
    return _add_change(data.copy(), scale, of, baseline, subject or SUBJECT, visit or VISIT)


def _refuse_t_score(of: str, scale: str) -> None:
    score = re.search(r"(?<![a-z])([tz])[\s_\-]?score", of.lower())
    if score is None or scale == "absolute":
        return
    kind = score[1].upper()
    raise TScoreChangeError(
        f"A {scale} change of {of!r} has no meaning: a {kind}-score counts standard deviations "
        "from an arbitrary zero, so its ratio depends on where that zero lies. Mean spine "
        "T-scores of -0.95 and, a year later, -1.06 were printed as a loss of 10.6 % (ASCO 2011, "
        "abstract e11616); in bone they are a loss of about 1.3 %. Ask for the "
        "percent change of BMD, derive_change(data, 'percent', of='bmd'), "
        f"or for the difference in SD units, derive_change(data, 'absolute', of={of!r})."
    )


def _add_change(
    frame: pd.DataFrame, scale: str, of: str, baseline: str, subject: str, visit: str
) -> pd.DataFrame:
    """The frame with two columns more; `frame` is a copy already."""
    _require_columns(frame, (subject, visit, of))
    values = _numbers(frame, of)
    if scale != "absolute":
        _require_positive(values, of, scale)
    at_baseline = _find_visit(frame, visit, baseline)
    unit = [subject, SKELETAL_SITE] if SKELETAL_SITE in frame.columns else [subject]
    _require_named(frame[unit])
    _require_one_baseline(frame[at_baseline], unit, baseline)
    keys = [frame[name] for name in unit]
    start = values.where(at_baseline).groupby(keys, observed=True, sort=False).transform("first")
    _warn_without_baseline(start.isna() & values.notna(), frame[unit], baseline)
    change = pd.Series(_COMPUTE[scale](values, start), index=frame.index)
    frame[BASELINE_BMD.replace(BMD, of)] = start
    frame[CHANGE_COLUMNS[scale].replace(BMD, of)] = change.mask(at_baseline)
    return frame


def _require_columns(frame: pd.DataFrame, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise AibmdError(
            f"The table has no column {', '.join(map(repr, missing))}. It has: "
            f"{', '.join(map(str, frame.columns))}. Name the columns with of=, subject= and visit=."
        )


def _numbers(frame: pd.DataFrame, of: str) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(frame[of]) or pd.api.types.is_bool_dtype(frame[of]):
        raise AibmdError(f"Column {of!r} does not hold numbers but {frame[of].dtype}. Convert it.")
    return frame[of].astype("float64")


def _require_positive(values: pd.Series, of: str, scale: str) -> None:
    rows = list(values.index[values <= 0])
    if rows:
        raise AibmdError(
            f"A {scale} change needs values above zero; {of!r} is at or below zero in "
            f"{plural(len(rows), 'row')} ({_name(rows)}). Correct them, or ask for "
            "scale='absolute'."
        )


def _name(rows: list[object]) -> str:
    listed = ", ".join(map(str, rows[:_ROWS_NAMED]))
    return listed + (f" and {len(rows) - _ROWS_NAMED} more" if len(rows) > _ROWS_NAMED else "")


def _find_visit(frame: pd.DataFrame, visit: str, baseline: str) -> pd.Series:
    """Rows of the baseline visit; a visit numbered 1 or 1.0 is also found as ``"1"``."""
    labels = frame[visit].astype(object).map(format_label, na_action="ignore")
    found = (labels == format_label(baseline)).fillna(False).astype(bool)
    if not found.any():
        timed = TIME in frame.columns and pd.api.types.is_numeric_dtype(frame[TIME])
        time = frame[TIME] if timed else None
        visits = ", ".join(repr(label) for label in order_visits(frame[visit], time))
        raise AibmdError(
            f"There is no visit {baseline!r}. The visits are {visits}; "
            "say which one change is counted from with baseline=."
        )
    return found


def _require_named(unit: pd.DataFrame) -> None:
    blank = unit.columns[unit.isna().any()]
    if len(blank):
        rows = list(unit.index[unit.isna().any(axis=1)])
        raise AibmdError(
            f"{' and '.join(map(repr, blank))} is blank in {plural(len(rows), 'row')} "
            f"({_name(rows)}). Fill it in, or remove the rows."
        )


def _require_one_baseline(rows: pd.DataFrame, unit: list[str], baseline: str) -> None:
    repeated = rows.index[rows.duplicated(unit, keep=False)]
    if len(repeated):
        raise AibmdError(
            f"{len(repeated)} rows share a {' and '.join(unit)} at visit {baseline!r} (rows "
            f"{_name(list(repeated))}). Keep one baseline for each, or average the repeats."
        )


def _warn_without_baseline(lost: pd.Series, unit: pd.DataFrame, baseline: str) -> None:
    n = len(unit[lost].drop_duplicates())
    if n:
        who = "subject" if unit.shape[1] == 1 else "subject-site"
        warnings.warn(
            f"no value at visit {baseline!r} for {plural(n, who)}; "
            f"the change is missing ({plural(int(lost.sum()), 'row')}).",
            DataWarning,
            stacklevel=4,
        )
