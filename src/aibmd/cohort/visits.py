"""The order of visits: by when they happened, never by how they are spelled."""

import re
from typing import Any

import numpy as np
import pandas as pd


def format_label(value: Any) -> str:
    """Text of a label; a whole number loses its decimal point.

    Examples
    --------
    >>> format_label(5.0), format_label(12), format_label("year_5 ")
    ('5', '12', 'year_5')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def natural_key(label: str) -> list[tuple[int, float, str]]:
    """Sorting key that puts VIS2 before VIS10 and -1 before 0.

    Examples
    --------
    >>> sorted(["VIS10", "VIS2", "VIS1"], key=natural_key)
    ['VIS1', 'VIS2', 'VIS10']
    """
    pieces = re.findall(r"(?<![0-9A-Za-z])-?\d+\.?\d*|\d+\.?\d*|\D+", label)
    return [(0, float(p), "") if re.search(r"\d", p) else (1, 0.0, p.casefold()) for p in pieces]


def order_visits(visit: pd.Series, time: pd.Series | None = None) -> list[str]:
    """Labels of the visits in the order of the study.

    An ordered categorical keeps its order. So does an unordered one that is not simply
    alphabetical: alphabetical is what pandas makes of text by itself, so it says nothing.
    Otherwise the median time decides, and labels read as people read them break ties.

    Parameters
    ----------
    visit : Series of labels
    time : Series of float, years, same index; optional

    Returns
    -------
    list of str
        Each label that occurs, once.
    """
    labels = visit.map(format_label, na_action="ignore").astype(object)
    present = sorted(labels.dropna().unique(), key=natural_key)
    declared = _declared_order(visit)
    if declared is not None:
        return [label for label in declared if label in set(present)]
    if time is None:
        return present
    median = time.groupby(labels).median()
    return sorted(present, key=lambda label: _by_time(median.get(label, np.nan)))


def _by_time(median: float) -> float:
    """Visits without any time come last."""
    return np.inf if np.isnan(median) else median


def _declared_order(visit: pd.Series) -> list[str] | None:
    if not isinstance(visit.dtype, pd.CategoricalDtype):
        return None
    categories = list(visit.cat.categories)
    if not visit.cat.ordered and categories == sorted(categories):
        return None
    return [format_label(category) for category in categories]
