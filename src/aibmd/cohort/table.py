"""A table of scans on its way in: the cells as found beside what they mean."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from aibmd.cohort.csv_file import Layout
from aibmd.cohort.schema import MISSING_CODES, NUMBER_COLUMNS, RULES
from aibmd.cohort.site import match_skeletal_site
from aibmd.cohort.visits import format_label
from aibmd.errors import AibmdError
from aibmd.vocabulary import SKELETAL_SITE, SUBJECT, VISIT

DECIMAL_COMMA: Final = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
_LEADING_ZERO: Final = r"[+-]?0\d"
_CODES: Final = frozenset(code.upper() for code in MISSING_CODES)
_IDENTIFYING: Final = (SUBJECT, VISIT, SKELETAL_SITE)


@dataclass(frozen=True, slots=True)
class ScanTable:
    """What the checks look at.

    Attributes
    ----------
    raw : DataFrame
        Cells as found, missing codes blanked, indexed by the row they are reported under.
    clean : DataFrame
        The same rows converted: labels as text, sites by their names, numbers as numbers.
        A cell that cannot be converted is missing here and present in `raw`, so a fault
        is reported by one check and does not set off others.
    layout : Layout
        Header and separator as they stood in the file.
    """

    raw: pd.DataFrame
    clean: pd.DataFrame
    layout: Layout

    def has(self, *names: str) -> bool:
        """Whether all columns are there; a check without its columns has nothing to say."""
        return all(name in self.clean.columns for name in names)

    def plausible(self, name: str) -> pd.Series:
        """Values of a known column; numbers outside its limits, reported once, are missing."""
        rule, values = RULES[name], self.clean[name]
        return values.where(values.between(rule.low, rule.high)) if rule.unit else values

    def of_subject(self, name: str) -> pd.Series:
        """First possible value of each subject, in all her rows; missing where no one is named."""
        subject = self.clean[SUBJECT]
        first = self.plausible(name).groupby(subject.fillna("")).transform("first")
        return first.where(subject.notna())

    def cells(self, chosen: pd.Series | np.ndarray, *names: str) -> pd.DataFrame:
        """Identifying cells and `names` of the rows where `chosen` is true, as found."""
        shown = [name for name in (*_IDENTIFYING, *names) if name in self.raw.columns]
        return self.raw.loc[chosen, list(dict.fromkeys(shown))]


def build_table(cells: pd.DataFrame, layout: Layout, *, infer_numbers: bool) -> ScanTable:
    """Convert cells column by column.

    Parameters
    ----------
    cells : DataFrame
        Cells indexed by unique row labels; not changed.
    layout : Layout
    infer_numbers : bool
        Whether unknown columns that hold nothing but numbers become numbers, as they
        should when every cell came in as text.
    """
    raw = pd.DataFrame({name: _blank(cells[name]) for name in cells.columns}, index=cells.index)
    clean = {}
    for name in raw.columns:
        if name in RULES:
            clean[name] = _convert_known(name, raw[name])
        else:
            clean[name] = _infer(raw[name]) if infer_numbers else raw[name]
    return ScanTable(raw, pd.DataFrame(clean, index=cells.index), layout)


def _blank(values: pd.Series) -> pd.Series:
    """Missing codes become missing; text loses surrounding spaces."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        coded = [c for c in values.cat.categories if str(c).strip().upper() in _CODES]
        return values.cat.remove_categories(coded)
    if not (pd.api.types.is_string_dtype(values) or values.dtype == np.dtype("O")):
        return values
    try:
        return _map_distinct(values, _blank_cell)
    except TypeError:
        raise AibmdError(
            f"Column {values.name!r} holds lists or other containers. "
            "A cell holds one number or one text; spread them over rows or columns."
        ) from None


def _blank_cell(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    return None if text.upper() in _CODES else text


def _map_distinct(values: pd.Series, function: Callable[[Any], Any]) -> pd.Series:
    """Apply to each distinct value once; long tables repeat few labels."""
    codes, distinct = pd.factorize(values, use_na_sentinel=True)
    mapped = np.array([*(function(value) for value in distinct), None], dtype=object)
    return pd.Series(list(mapped[codes]), index=values.index, name=values.name).infer_objects()


def _convert_known(name: str, values: pd.Series) -> pd.Series:
    if name in NUMBER_COLUMNS:
        return to_number(values)
    if name == SKELETAL_SITE:
        return _map_distinct(values, match_skeletal_site).astype("str")
    if name == SUBJECT:
        return _map_distinct(values, format_label).astype("str")
    if name == VISIT and not isinstance(values.dtype, pd.CategoricalDtype):
        return _map_distinct(values, format_label).astype("str")
    return values


def to_number(values: pd.Series) -> pd.Series:
    """Numbers of a column, decimal commas understood; what is no number is missing."""
    kind = pd.api.types
    if kind.is_integer_dtype(values) or kind.is_float_dtype(values):
        return values.astype("float64")
    numbers = pd.to_numeric(values.astype("str"), errors="coerce").astype("float64")
    open_cells = numbers.isna() & values.notna()
    if open_cells.any():
        text = values[open_cells].astype("str")
        commas = text[text.str.fullmatch(DECIMAL_COMMA.pattern)]
        numbers[commas.index] = pd.to_numeric(commas.str.replace(",", "."), errors="coerce")
    return numbers


def _infer(values: pd.Series) -> pd.Series:
    """Numbers where every cell is one and none is a code with leading zeros."""
    present = values.dropna()
    if present.empty or present.str.match(_LEADING_ZERO).any():
        return values
    numbers = pd.to_numeric(present, errors="coerce")
    if not np.isfinite(numbers.astype("float64")).all():
        return values
    return numbers.reindex(values.index)
