"""Result tables as CSV that can be compared across machines."""

import csv
import io
from typing import Any, Final

import numpy as np
import pandas as pd

# More than any reader needs. Thread counts change estimates by 1e-15 and p-values, whose
# logarithms are long, by 1e-13 of themselves: with these digits a change in print is rare.
SIGNIFICANT_DIGITS: Final = 8
P_VALUE_DIGITS: Final = 6
# Log-likelihoods are compared by difference, so they keep their sixth decimal.
_LIKELIHOOD_DIGITS: Final = {"log_likelihood": 10, "aic": 10, "bic": 10}


def format_csv(table: pd.DataFrame, synthetic: bool | None = None) -> str:
    r"""Text of a table: eight significant digits, p-values six, blanks where missing.

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
    year_10,0.33333333
    """
    if synthetic is not None:
        table = table.assign(synthetic=synthetic)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    columns = [[_cell(value, _digits(name)) for value in table[name]] for name in table.columns]
    writer.writerows(zip(*columns, strict=True))
    return buffer.getvalue()


def _digits(name: str) -> int:
    if str(name).startswith("p_"):
        return P_VALUE_DIGITS
    return _LIKELIHOOD_DIGITS.get(str(name), SIGNIFICANT_DIGITS)


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if pd.isna(value):
        return ""
    if isinstance(value, float | np.floating):
        text = f"{value:.{digits}g}"
        return "0" if text == "-0" else text
    return str(value)
