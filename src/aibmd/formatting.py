"""Numbers to strings: the one rounding rule of tables, pages and terminals.

Statistics code never rounds; whatever prints a number asks here.
"""

import math
from collections.abc import Iterable
from typing import Final

MISSING: Final = "–"
NOT_ESTIMABLE: Final = "not estimable"


def format_number(value: float, digits: int = 3) -> str:
    """Fixed digits, a true minus sign avoided, never ``-0.000``.

    Examples
    --------
    >>> format_number(-0.0004, 3)
    '0.000'
    >>> format_number(float("nan"))
    '–'
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and float(text) == 0 else text


def significant_digits(std_errors: Iterable[float], significant: int = 3) -> int:
    """Decimals that show the smallest standard error to three digits; between 2 and 8.

    Examples
    --------
    >>> significant_digits([0.31, 0.335]), significant_digits([0.00042, 1.2])
    (3, 6)
    """
    positive = [value for value in std_errors if 0.0 < value < math.inf]
    if not positive:
        return 4
    decimals = significant - 1 - math.floor(math.log10(min(positive)))
    return min(max(decimals, 2), 8)


def format_p_value(value: float) -> str:
    """Four digits, and ``<0.0001`` below that.

    Examples
    --------
    >>> format_p_value(0.03217), format_p_value(2e-9)
    ('0.0322', '<0.0001')
    """
    if value is None or math.isnan(value):
        return MISSING
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def format_df(value: float) -> str:
    """One digit; infinite df print as ``Inf``."""
    return format_number(value, 1)


def format_interval(low: float, high: float, digits: int = 3) -> str:
    """``low to high``, which cannot be read as a minus sign.

    A limit that would round to zero gets more digits, three at most, until its sign shows:
    whether an interval holds zero must not be lost in rounding.

    Examples
    --------
    >>> format_interval(-1.25, 0.5, 1)
    '-1.2 to 0.5'
    >>> format_interval(-1.41, 0.004, 2), format_interval(-0.0004, 1.5, 2)
    ('-1.41 to 0.004', '-0.0004 to 1.50')
    """
    return f"{_format_limit(low, digits)} to {_format_limit(high, digits)}"


def _format_limit(value: float, digits: int) -> str:
    finest = digits + 3
    while digits < finest and value != 0 and abs(value) < math.inf and round(value, digits) == 0:
        digits += 1
    return format_number(value, digits)


def format_plural(count: int, noun: str) -> str:
    """A count with its noun, regular plural.

    Examples
    --------
    >>> format_plural(1, "column"), format_plural(1200, "row")
    ('1 column', '1,200 rows')
    """
    return f"{format_count(count)} {noun}" + ("" if count == 1 else "s")


def format_count(value: int) -> str:
    """Whole numbers, thousands apart.

    Examples
    --------
    >>> format_count(12345)
    '12,345'
    """
    return f"{value:,}"
