"""The contrast families, as a table: name -> which rows are compared, and in which direction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import FloatArray

FamilyName = Literal["pairwise", "revpairwise", "treatment_vs_control", "consecutive"]
# (row added, row subtracted)
Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ContrastFamily:
    """One family: the pairs it compares among k rows, and whether one row is the control."""

    title: str
    pair: Callable[[int, int], Pairs]
    has_control: bool = False


FAMILIES: Final[Mapping[str, ContrastFamily]] = {
    "pairwise": ContrastFamily(
        "every pair, earlier level minus later level",
        lambda k, control: list(combinations(range(k), 2)),
    ),
    "revpairwise": ContrastFamily(
        "every pair, later level minus earlier level",
        lambda k, control: [(i, j) for i in range(k) for j in range(i)],
    ),
    "treatment_vs_control": ContrastFamily(
        "each level minus the control",
        lambda k, control: [(i, control) for i in range(k) if i != control],
        has_control=True,
    ),
    "consecutive": ContrastFamily(
        "each level minus the one before",
        lambda k, control: [(i, i - 1) for i in range(1, k)],
    ),
}


@dataclass(frozen=True, slots=True)
class ContrastSet:
    """Coefficients (contrasts, k) over the k rows of one group, with their labels."""

    labels: tuple[str, ...]
    coefficients: FloatArray


def build_contrasts(
    method: FamilyName | Mapping[str, Any], rows: Sequence[str], control: str | None = None
) -> ContrastSet:
    """Coefficients of a family over rows with these labels.

    Parameters
    ----------
    method : str or mapping
        A family, or ``{name: coefficients}`` with a list in row order or
        ``{row label: coefficient}``.
    rows : sequence of str
        Labels of the rows of one group.
    control : str, optional
        For ``"treatment_vs_control"``; the first row unless given.

    Examples
    --------
    >>> build_contrasts("revpairwise", ["PBO", "TRT"]).labels
    ('TRT - PBO',)
    >>> build_contrasts({"dose": {"low": -1, "high": 1}}, ["low", "mid", "high"]).coefficients
    array([[-1.,  0.,  1.]])
    """
    if isinstance(method, Mapping):
        _refuse_control(control, "coefficients")
        return _custom(method, rows)
    if not isinstance(method, str):
        raise AibmdError(
            f"method={method!r} is neither the name of a family nor a mapping. Give coefficients "
            f"a name: method={{'name': {_as_list(method)}}}, in the order of the rows "
            f"{', '.join(rows)}"
        )
    if method not in FAMILIES:
        offered = "\n".join(f"  {name:<22}{row.title}" for name, row in FAMILIES.items())
        raise AibmdError(
            f"method={method!r} is not a contrast family. Offered:\n{offered}\n"
            f"  {{name: coefficients}}  a list in row order, or a mapping from level to coefficient"
        )
    family = FAMILIES[method]
    if not family.has_control:
        _refuse_control(control, repr(method))
    if len(rows) < 2:
        raise AibmdError(
            f"there is one row ({rows[0]}) in a group, so nothing to compare. Choose other "
            f"groups with by=, for example by=[] to compare all rows."
        )
    pairs = family.pair(len(rows), _find_control(control, rows))
    coefficients = np.zeros((len(pairs), len(rows)))
    for number, (added, subtracted) in enumerate(pairs):
        coefficients[number, added], coefficients[number, subtracted] = 1.0, -1.0
    return ContrastSet(tuple(f"{rows[a]} - {rows[s]}" for a, s in pairs), coefficients)


def _as_list(method: Any) -> str:
    """Coefficients as they are typed, in whatever they came."""
    is_listed = isinstance(method, (Sequence, np.ndarray))
    return repr(np.asarray(method).tolist()) if is_listed else "[-1, 1]"


def _custom(method: Mapping[str, Any], rows: Sequence[str]) -> ContrastSet:
    if not method:
        raise AibmdError("method={} names no contrast")
    coefficients = np.vstack([_coefficients(name, given, rows) for name, given in method.items()])
    return ContrastSet(tuple(map(str, method)), coefficients)


def _coefficients(name: str, given: Any, rows: Sequence[str]) -> FloatArray:
    if isinstance(given, Mapping):
        named = {str(level): value for level, value in given.items()}
        unknown = [level for level in named if level not in rows]
        if unknown:
            raise AibmdError(
                f"contrast {name!r} names {unknown[0]!r}; the rows are {', '.join(rows)}"
            )
        given = [named.get(row, 0.0) for row in rows]
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise AibmdError(f"contrast {name!r} must have numbers; got {given!r}") from None
    if values.shape != (len(rows),):
        raise AibmdError(
            f"contrast {name!r} has {values.size} coefficients for {len(rows)} rows: "
            f"{', '.join(rows)}"
        )
    if not np.isfinite(values).all() or not values.any():
        raise AibmdError(f"contrast {name!r} needs finite coefficients, not all zero")
    return values


def _find_control(control: str | None, rows: Sequence[str]) -> int:
    if control is None:
        return 0
    if str(control) not in rows:
        raise AibmdError(f"control={control!r} is none of the rows: {', '.join(rows)}")
    return list(rows).index(str(control))


def _refuse_control(control: str | None, what: str) -> None:
    if control is not None:
        raise AibmdError(
            f"control={control!r} has no meaning with method={what}; it belongs to "
            f"method='treatment_vs_control'"
        )
