"""What the covariance of two rows of one woman depends on."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class RandomPart:
    """One grouping of random effects.

    Attributes
    ----------
    Z : (..., k, q) array
    level : (..., k) int array
        Rows share an effect where their level is the same; all zero for the subject itself.
    """

    Z: FloatArray
    level: IntArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class RowFeatures:
    """Codes and times of rows: (n,) in long form, (S, k) for S subjects of k rows.

    Attributes
    ----------
    visit, repeated, group, residual_group : (..., k) int arrays, or None where not used
    time : (..., k) array or None
    random : tuple of RandomPart
    """

    visit: IntArray | None = None
    repeated: IntArray | None = None
    group: IntArray | None = None
    residual_group: IntArray | None = None
    time: FloatArray | None = None
    random: tuple[RandomPart, ...] = ()

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def take(self, rows: IntArray) -> "RowFeatures":
        """The features of these rows, in their shape."""

        def pick(values: Any) -> Any:
            return None if values is None else values[rows]

        return RowFeatures(
            visit=pick(self.visit),
            repeated=pick(self.repeated),
            group=pick(self.group),
            residual_group=pick(self.residual_group),
            time=pick(self.time),
            random=tuple(RandomPart(part.Z[rows], part.level[rows]) for part in self.random),
        )

    def scale_random(self, factor: FloatArray) -> "RowFeatures":
        """The same rows with each row of Z multiplied: random effects under precision weights."""
        parts = tuple(RandomPart(part.Z * factor[:, None], part.level) for part in self.random)
        return replace(self, random=parts)


def cell_features(n_groups: int, n_repeated: int, n_visits: int) -> RowFeatures:
    """Every combination once: visits within levels of `repeated` within groups."""
    cell = np.arange(n_groups * n_repeated * n_visits)
    return RowFeatures(
        visit=cell % n_visits,
        repeated=cell // n_visits % n_repeated,
        group=cell // (n_visits * n_repeated),
    )
