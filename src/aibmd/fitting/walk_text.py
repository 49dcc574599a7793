"""How `explain` writes numbers: six digits, and terms of a sum with the digits its total needs."""

from collections.abc import Sequence

import numpy as np

from aibmd.formatting import format_number
from aibmd.linalg.symmetric import FloatArray

_DIGITS = 6
# What a double holds.
_MOST_DIGITS = 15
# Longer lists show their largest entries and the sum of the others.
_SHOWN = 12


def number(value: float) -> str:
    """Six significant digits."""
    return f"{value:.{_DIGITS}g}" if np.isfinite(value) else format_number(value)


def equation(label: str, left: str, value: float | str) -> str:
    """A labelled line."""
    return f"({label}) {left} = {value if isinstance(value, str) else number(value)}"


def summands(values: FloatArray, total: float) -> list[str]:
    """Terms of a sum, so that what is printed adds up to six digits of the total.

    Where terms cancel, six digits of each would not: 1000000 and -999999 are both 1e+06.
    """
    if not np.isfinite(total) or total == 0:
        return [number(float(value)) for value in values]
    spare = int(np.ceil(np.log10(max(len(values), 1)))) + 1
    last = _magnitude(total) - (_DIGITS - 1) - spare
    return [_down_to(float(value), last) for value in values]


def _down_to(value: float, place: int) -> str:
    """Digits down to this power of ten, six at least."""
    if not np.isfinite(value) or value == 0:
        return number(value)
    digits = min(max(_magnitude(value) - place + 1, _DIGITS), _MOST_DIGITS)
    return f"{value:.{digits}g}"


def _magnitude(value: float) -> int:
    return int(np.floor(np.log10(abs(value))))


def table(
    header: Sequence[str],
    names: Sequence[str],
    columns: Sequence[FloatArray],
    total: float,
    shown: int = _SHOWN,
) -> list[str]:
    """Aligned rows; only the largest by the last column, which sums to `total`, where many."""
    last = np.asarray(columns[-1])
    order = np.arange(len(names))
    if len(names) > shown:
        order = np.sort(np.argsort(-np.abs(last), kind="stable")[:shown])
    others = last.sum() - last[order].sum()
    texts = summands(np.append(last[order], others), total)
    rows = [list(header)]
    for i, text in zip(order.tolist(), texts, strict=False):
        rows.append([str(names[i]), *(number(float(column[i])) for column in columns[:-1]), text])
    if len(order) < len(names):
        blank = [""] * (len(columns) - 1)
        rows.append([f"the other {len(names) - len(order)}", *blank, texts[-1]])
    width = [max(len(row[c]) for row in rows) for c in range(len(header))]
    return [
        "  "
        + row[0].ljust(width[0])
        + "".join(f"  {x:>{w}}" for x, w in zip(row[1:], width[1:], strict=True))
        for row in rows
    ]
