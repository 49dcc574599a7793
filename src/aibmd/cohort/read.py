"""From a file or a DataFrame to a `Cohort`, or to one error that lists every problem."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from aibmd.cohort.checks import run_checks
from aibmd.cohort.cohort import Cohort
from aibmd.cohort.csv_file import Layout, read_cells
from aibmd.cohort.problem import cohort_error, show
from aibmd.cohort.schema import SYNTHETIC, SYNTHETIC_MARKS
from aibmd.cohort.table import build_table
from aibmd.errors import AibmdError

_FILE_ROWS = "rows as in the file, where row 1 is the header"
_LABELLED_ROWS = "rows by their index label in the DataFrame"
_NUMBERED_ROWS = "rows by their position in the DataFrame, where the first is 0"


def read_cohort(
    source: str | Path | pd.DataFrame,
    columns: Mapping[str, str] | None = None,
    time_zero: str | None = None,
    sheet: str | None = None,
) -> Cohort:
    """Read scans in long form and check them.

    Every check runs before the error is raised, so one reading lists everything that has
    to be mended. The data dictionary (``docs/data_dictionary.md``) lists columns and checks.

    Parameters
    ----------
    source : str, Path or DataFrame
        A CSV file in UTF-8, or a table; a DataFrame is not changed. One row per subject,
        visit and skeletal site, with ``subject_id, visit, time`` (years from `time_zero`),
        ``skeletal_site`` and ``bmd`` (g/cm2; blank for a missed scan).
    columns : mapping, optional
        Column of the file to name of ours, for example ``{"USUBJID": "subject_id"}``.
    time_zero : str, optional
        What time counts from, in words, for example ``"start of AI"``.
    sheet : str, optional
        For formats with sheets. CSV has none, so anything but None is refused.

    Returns
    -------
    Cohort
        Marked as synthetic if a column ``synthetic`` says yes in any row.

    Raises
    ------
    CohortError
        With all problems (``.problems``), or with none where the file is no table at all.
    AibmdError
        If the arguments do not fit the source.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> frame = pd.DataFrame({"id": ["007", "007"], "visit": ["baseline", "year_1"],
    ...     "time": [0, 1.02], "skeletal_site": "LS", "bmd": [0.982, 0.951]})
    >>> read_cohort(frame, columns={"id": "subject_id"}, time_zero="start of AI")
    <cohort of 1 subjects, 2 scans, 2 visits, 1 skeletal sites>

    Notes
    -----
    A table that passes is consistent, not correct: a swapped pair of women, or a scanner
    that drifts, leaves no trace here.
    """
    if sheet is not None:
        raise AibmdError(f"sheet={sheet!r}: CSV files and DataFrames have no sheets. Leave it out.")
    if not isinstance(source, str | Path | pd.DataFrame):
        kind = type(source).__name__
        raise AibmdError(
            f"source is of type {kind}; expected the path of a CSV file or a DataFrame."
        )
    if isinstance(source, pd.DataFrame):
        cells, layout, counting = _frame_cells(source)
        name = "the DataFrame"
    else:
        cells, layout = read_cells(source)
        counting, name = _FILE_ROWS, Path(source).name
    cells, layout = _rename(cells, layout, columns or {})
    table = build_table(cells, layout, infer_numbers=not isinstance(source, pd.DataFrame))
    problems = run_checks(table)
    if problems:
        raise cohort_error(problems, name, counting)
    return Cohort.from_long(
        table.clean, time_zero=time_zero, synthetic=_is_marked_synthetic(table.raw), source=name
    )


def _is_marked_synthetic(raw: pd.DataFrame) -> bool:
    """Whether any row says that its subject was made up."""
    if SYNTHETIC not in raw.columns:
        return False
    return any(str(mark).lower() in SYNTHETIC_MARKS for mark in raw[SYNTHETIC].unique())


def _frame_cells(frame: pd.DataFrame) -> tuple[pd.DataFrame, Layout, str]:
    """The table under text names, its first column of each name, and how rows are counted."""
    names = [str(name) for name in frame.columns]
    cells = frame.set_axis(names, axis=1)
    cells = cells.loc[:, ~cells.columns.duplicated()]
    counting = _LABELLED_ROWS
    if isinstance(frame.index, pd.MultiIndex) or not frame.index.is_unique or frame.index.hasnans:
        cells, counting = cells.reset_index(drop=True), _NUMBERED_ROWS
    return cells, Layout(tuple(names)), counting


def _rename(
    cells: pd.DataFrame, layout: Layout, columns: Mapping[str, str]
) -> tuple[pd.DataFrame, Layout]:
    """Give columns our names; refuse names that are not there or would collide."""
    if not isinstance(columns, Mapping):
        raise AibmdError("columns is no mapping; expected {'column of the file': 'our name'}.")
    columns = {str(old): str(new) for old, new in columns.items()}
    unknown = [name for name in columns if name not in cells.columns]
    if unknown:
        raise AibmdError(
            f"columns names {', '.join(map(show, unknown))}, which the table does not have. "
            f"It has: {', '.join(map(show, cells.columns))}."
        )
    new = [columns.get(name, name) for name in cells.columns]
    twice = sorted({name for name in new if new.count(name) > 1})
    if twice:
        raise AibmdError(
            f"columns would give {', '.join(map(show, twice))} to more than one column. "
            "Map one column to each name, and map away a column that has the name already."
        )
    header = tuple(columns.get(name, name) for name in layout.columns)
    return cells.set_axis(new, axis=1), replace(layout, columns=header)
