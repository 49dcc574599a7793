"""Counts of chunks to rates with their Monte Carlo error, and what breaks the limits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from calibration.chunks import Counts
from calibration.design import CELLS, LIMITS, Cell

MEASURES: Final = {
    "missed_difference": "difference at the last visit not covered",
    "missed_change": "change of the difference not covered",
    "rejected_trend": "trend of the difference rejected (1 df)",
    "rejected_interaction": "group by visit rejected (3 df)",
}
METHOD_TITLES: Final = {
    "kenward_roger": "Kenward-Roger",
    "satterthwaite": "Satterthwaite",
    "normal": "normal",
    "CR2": "CR2, Bell-McCaffrey",
    "CR0": "CR0, normal",
}
DEMONSTRATION_REPLICATES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Rates:
    """One method in one cell.

    Attributes
    ----------
    cell : Cell
    method : str
    replicates, failed : int
    missed : (4,) array
        Share of replicates by measure, failed fits included.
    bias, spread, mean_se : float
        Of the difference at the last visit: mean error, SD of the estimates, mean SE.
    """

    cell: Cell
    method: str
    replicates: int
    failed: int
    missed: np.ndarray
    bias: float
    spread: float
    mean_se: float

    @property
    def monte_carlo_se(self) -> np.ndarray:
        """Standard error of each share of `missed`."""
        return np.sqrt(self.missed * (1.0 - self.missed) / self.replicates)


def summarise(counts: Iterable[Counts]) -> dict[tuple[int, str], Rates]:
    """Rates by cell number and method, over all chunks given."""
    groups: dict[tuple[int, str], list[Counts]] = {}
    for line in counts:
        groups.setdefault((line.cell, line.method), []).append(line)
    return {key: _add_up(lines) for key, lines in sorted(groups.items())}


def _add_up(lines: list[Counts]) -> Rates:
    def total(name: str) -> float:
        return sum(getattr(line, name) for line in lines)

    replicates, failed = total("replicates"), total("failed")
    n_fitted = max(replicates - failed, 1)
    bias = total("sum_error") / n_fitted
    return Rates(
        cell=CELLS[lines[0].cell],
        method=lines[0].method,
        replicates=int(replicates),
        failed=int(failed),
        missed=np.array([total(name) for name in MEASURES]) / replicates,
        bias=bias,
        spread=float(np.sqrt(total("sum_square") / n_fitted - bias**2)),
        mean_se=total("sum_se") / n_fitted,
    )


def take_first(counts: Iterable[Counts], replicates: int) -> list[Counts]:
    """The chunks that hold the first replicates of every cell."""
    taken: dict[tuple[int, str], int] = {}
    kept = []
    for line in sorted(counts):
        so_far = taken.get((line.cell, line.method), 0)
        if so_far + line.replicates <= replicates:
            taken[line.cell, line.method] = so_far + line.replicates
            kept.append(line)
    return kept


def find_breaches(
    counts: Iterable[Counts], method: str, is_judged: Callable[[Cell], bool]
) -> list[str]:
    """Every rate of a method outside the limits, in words."""
    low, high = LIMITS
    return [
        f"{rates.cell.name}, n = {rates.cell.n_subjects}, {method}: {words} in {100 * share:.2f} %"
        for rates in summarise(counts).values()
        if rates.method == method and is_judged(rates.cell)
        for words, share in zip(MEASURES.values(), rates.missed.tolist(), strict=True)
        if not low <= share <= high
    ]
