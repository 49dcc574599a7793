"""Read any long table from CSV, without the rules of a cohort."""

from pathlib import Path

import numpy as np
import pandas as pd

from aibmd.cohort.csv_file import read_cells
from aibmd.cohort.schema import MISSING_CODES
from aibmd.errors import AibmdError
from aibmd.formatting import format_plural


def read_long_table(path: Path) -> pd.DataFrame:
    """Cells of a CSV file; numbers where a column holds nothing else, blanks missing.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with a header.

    Raises
    ------
    AibmdError
        Rows of another length than the header, or a column that is there twice.

    Notes
    -----
    A column with a code such as ``007`` stays text: it names a subject, not a number.
    """
    cells, layout = read_cells(path)
    if layout.ragged:
        row, width = layout.ragged[0]
        raise AibmdError(
            f"{path}: {format_plural(len(layout.ragged), 'row')} with more or fewer cells than the "
            f"{len(layout.columns)} of the header; the first is row {row} with {width}. Write "
            "decimal points, not commas (0,845 is two cells), and quote text that holds a comma."
        )
    repeated = [name for name in cells.columns if layout.columns.count(name) > 1]
    if repeated:
        raise AibmdError(f"{path}: column {', '.join(repeated)} is there twice. Rename one.")
    return cells.apply(_as_numbers_where_all_are)


def _as_numbers_where_all_are(cells: pd.Series) -> pd.Series:
    missing = cells.str.upper().isin([code.upper() for code in MISSING_CODES])
    present = cells[~missing]
    numbers = pd.to_numeric(present, errors="coerce")
    coded = present.str.match(r"[+-]?0\d").any()
    if coded or present.empty or not np.isfinite(numbers.astype("float64")).all():
        return cells.mask(missing)
    return numbers.reindex(cells.index)
