"""Checks of numeric columns: that they hold numbers, and numbers that can be."""

import numpy as np
import pandas as pd

from aibmd.cohort.problem import Problem, align, list_rows, plural, row_numbers, show
from aibmd.cohort.schema import MISSING_CODES, NUMBER_COLUMNS, RULES
from aibmd.cohort.table import DECIMAL_COMMA, ScanTable
from aibmd.vocabulary import BMD, SUBJECT_TIMES, TIME

_TIMES = (TIME, *SUBJECT_TIMES)


def _columns(table: ScanTable) -> list[str]:
    return [name for name in NUMBER_COLUMNS if table.has(name)]


def _has_comma(values: pd.Series) -> pd.Series:
    """Cells that are text with a decimal comma."""
    if pd.api.types.is_numeric_dtype(values):
        return pd.Series(False, index=values.index)
    return values.astype("str").str.fullmatch(DECIMAL_COMMA.pattern).fillna(False).astype(bool)


def check_decimal_commas(table: ScanTable) -> list[Problem]:
    """Numbers are written with a decimal point; one problem, however many columns."""
    raw = table.raw
    found = {name: raw.loc[_has_comma(raw[name]), name] for name in _columns(table)}
    found = {name: cells for name, cells in found.items() if len(cells)}
    if not found:
        return []
    rows = raw.index[raw.index.isin([row for cells in found.values() for row in cells.index])]
    n = sum(map(len, found.values()))
    message = f"{plural(n, 'number')} with a decimal comma"
    examples = [f"such as {show(cells.iloc[0])}" for cells in found.values()]
    message += align([list(found), [row_numbers(cells) for cells in found.values()], examples])
    remedy = "Write numbers with a decimal point: 0.845, not 0,845."
    return [Problem("decimal_commas", tuple(rows), message, remedy)]


def check_numbers(table: ScanTable) -> list[Problem]:
    """Numeric columns hold numbers."""
    problems = []
    codes = ", ".join(code for code in MISSING_CODES if code)
    for name in _columns(table):
        text = table.clean[name].isna() & table.raw[name].notna()
        if not text.any():
            continue
        message = f"{name}: {plural(int(text.sum()), 'cell')} that cannot be read as a number"
        message += list_rows(table.cells(text, name))
        expected = f"a plain number in {RULES[name].unit}"
        if name in _TIMES:
            expected = "years from time zero as a plain number, not a date"
        remedy = f"Write {expected}. Leave the cell blank (or {codes}) if missing."
        problems.append(Problem("numbers", tuple(table.raw.index[text]), message, remedy))
    return problems


def check_finite(table: ScanTable) -> list[Problem]:
    """Numbers are finite."""
    problems = []
    for name in _columns(table):
        endless = np.isinf(table.clean[name])
        if not endless.any():
            continue
        message = f"{name}: {plural(int(endless.sum()), 'infinite value')}"
        message += list_rows(table.cells(endless, name))
        remedy = "Correct the values, or leave the cells blank if they are missing."
        problems.append(Problem("finite", tuple(table.raw.index[endless]), message, remedy))
    return problems


def check_number_range(table: ScanTable) -> list[Problem]:
    """Times, ages and body mass index are possible in the unit they should have."""
    problems = []
    for name in _columns(table):
        rule = RULES[name]
        outside = np.isfinite(table.clean[name]) & table.plausible(name).isna()
        if name == BMD or not outside.any():
            continue
        expected = f"{rule.low:g} to {rule.high:g} {rule.unit}"
        message = f"{name}: {plural(int(outside.sum()), 'value')} outside {expected}"
        message += list_rows(table.cells(outside, name))
        remedy = "Correct the values; a code for missing values must be blank or NA."
        if name in _TIMES:
            remedy = f"Give years: divide months by 12, days by 365.25. {remedy}"
        problems.append(Problem("number_range", tuple(table.raw.index[outside]), message, remedy))
    return problems
