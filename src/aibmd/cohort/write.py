"""A cohort as CSV: the same bytes for the same cohort, on any machine."""

import csv
import io
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from aibmd.cohort.cohort import Cohort
from aibmd.cohort.schema import NUMBER_COLUMNS, SYNTHETIC
from aibmd.errors import CohortError
from aibmd.files import write_atomic
from aibmd.vocabulary import BMD, SUBJECT_TIMES, TIME

# 0.0001 g/cm2 is a hundredth of the scan error; 0.0001 years is an hour.
DECIMALS: Final = 4
_FIXED: Final = (BMD, TIME, *SUBJECT_TIMES)


def write_cohort(cohort: Cohort, path: str | Path) -> Path:
    r"""Write a cohort in long form, whole or not at all.

    BMD and times have four decimals, other numbers the digits they need; rows are sorted
    by subject, visit and skeletal site; text is UTF-8 with ``\n`` at each line's end. Digits
    beyond the fourth decimal, the order of labels other than visits, `time_zero` and
    `truth` are not in the file (`write_truth` writes the latter).

    Parameters
    ----------
    cohort : Cohort
    path : str or Path
        File to write; one that stands there is replaced.

    Returns
    -------
    Path
        The file that was written.
    """
    return write_atomic(path, format_cohort(cohort))


def write_truth(cohort: Cohort, path: str | Path) -> Path:
    """Write the truth of a synthetic cohort beside its file, as ``<stem>_truth.csv``.

    A last column ``synthetic`` says yes in every row, so that the file keeps the mark.

    Parameters
    ----------
    cohort : Cohort
    path : str or Path
        File of the cohort itself.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    CohortError
        If the cohort was read, so that no one knows its truth.
    """
    truth = cohort.truth
    if truth is None:
        raise CohortError("This cohort has no truth table: only simulated cohorts do.")
    return write_atomic(truth_path(path), format_csv(truth.assign(**{SYNTHETIC: "yes"})))


def truth_path(path: str | Path) -> Path:
    """Where the truth of the cohort in `path` lies.

    Examples
    --------
    >>> truth_path("brex.csv").as_posix()
    'brex_truth.csv'
    """
    path = Path(path)
    return path.with_name(f"{path.stem}_truth.csv")


def format_cohort(cohort: Cohort) -> str:
    """The text that `write_cohort` writes."""
    return format_csv(cohort.to_frame())


def format_csv(frame: pd.DataFrame) -> str:
    """A table as CSV text; columns with a BMD or a known time in four decimals.

    Parameters
    ----------
    frame : DataFrame
        The index is not written.
    """
    columns = [_format_column(str(name), frame[name]) for name in frame.columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _format_column(name: str, values: pd.Series) -> list[str]:
    if name in _FIXED or (name.startswith(f"{BMD}_") and name not in NUMBER_COLUMNS):
        return [_fixed(value) for value in values.astype("float64")]
    if pd.api.types.is_float_dtype(values):
        return [_shortest(value) for value in values.astype("float64")]
    return ["" if missing else str(v) for v, missing in zip(values, values.isna(), strict=True)]


def _fixed(value: float) -> str:
    """Four decimals, never a negative zero."""
    return "" if np.isnan(value) else f"{round(value, DECIMALS) + 0.0:.{DECIMALS}f}"


def _shortest(value: Any) -> str:
    """The fewest digits that give the number back; whole numbers without a point."""
    if np.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))
