"""Result tables as CSV that can be compared across machines."""

import csv
import io
from typing import Any, Final

import numpy as np
import pandas as pd

# More than any reader needs; fewer than the last bits in which machines differ.
SIGNIFICANT_DIGITS: Final = 10


def format_csv(table: pd.DataFrame, synthetic: bool | None = None) -> str:
    r"""Text of a table: unrounded but for ten significant digits, blanks where missing.

    Parameters
    ----------
    table : DataFrame
        Columns are written, the index is not.
    synthetic : bool, optional
        Add a last column ``synthetic`` that says in every row whether the people were made up.

    Returns
    -------
    str
        UTF-8 text with ``\n`` at each line's end. Whole numbers have no decimal point; truth
        values are ``true`` and ``false``.

    Examples
    --------
    >>> print(format_csv(pd.DataFrame({"visit": ["year_10"], "estimate": [1 / 3]})), end="")
    visit,estimate
    year_10,0.3333333333
    """
    if synthetic is not None:
        table = table.assign(synthetic=synthetic)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    columns = [table[name].tolist() for name in table.columns]
    writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
    return buffer.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if pd.isna(value):
        return ""
    if isinstance(value, float | np.floating):
        text = f"{value:.{SIGNIFICANT_DIGITS}g}"
        return "0" if text == "-0" else text
    return str(value)
