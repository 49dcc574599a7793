"""Where scoring begins: moments of least-squares residuals, taken through the terms."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.compositions import GroupedTerm, ProductTerm
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.terms import CovarianceTerm, IndependentTerm, StructureTerm

# Share of the variance given to random effects; several, as likelihoods can have several tops.
_EFFECT_SHARES = (0.5, 0.1, 0.9)
# Correlation at the typical distance between two rows of a subject.
_CORRELATIONS = (0.5, 0.1, 0.9)


@dataclass(frozen=True, slots=True)
class StartMoments:
    """Average products of residuals by pair of cells, (c, c), and how often each was seen.

    Attributes
    ----------
    cells : RowFeatures
        One row per cell.
    moments, counts : (c, c) arrays
    distance : float
        Typical distance in time between two rows of a subject; one where there is no time.
    effect_sizes : tuple of arrays
        Mean square of each column of Z, by random part.
    """

    cells: RowFeatures
    moments: FloatArray
    counts: FloatArray
    distance: float = 1.0
    effect_sizes: tuple[FloatArray, ...] = ()

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def over(self, axis: str, n_levels: int) -> tuple[FloatArray, FloatArray]:
        """Moments and counts between levels of one axis, the other axes being equal."""
        code = getattr(self.cells, axis)
        if code is None:
            code = np.zeros(len(self.moments), dtype=np.intp)
        others = [a for a in ("visit", "repeated", "group") if a != axis]
        same = np.ones_like(self.moments, dtype=bool)
        for other in others:
            codes = getattr(self.cells, other)
            if codes is not None:
                same &= codes[:, None] == codes[None]
        weight = self.counts * same
        sums, counts = np.zeros((n_levels, n_levels)), np.zeros((n_levels, n_levels))
        at = (np.broadcast_to(code[:, None], weight.shape), np.broadcast_to(code, weight.shape))
        np.add.at(sums, at, weight * self.moments)
        np.add.at(counts, at, weight)
        return sums / np.maximum(counts, 1e-300), counts

    def of_level(self, axis: str, level: int) -> "StartMoments":
        """The cells of one level."""
        codes = getattr(self.cells, axis)
        if codes is None:
            return self
        keep = np.flatnonzero(codes == level)
        square = np.ix_(keep, keep)
        return StartMoments(
            self.cells.take(keep),
            self.moments[square],
            self.counts[square],
            self.distance,
            self.effect_sizes,
        )


def residual_cell_moments(
    residual: FloatArray, cell: IntArray, blocks: tuple[IntArray, ...], n_cells: int
) -> tuple[FloatArray, FloatArray]:
    """Sum products of residuals of a subject by pair of cells.

    Parameters
    ----------
    residual : (n,) array
    cell : (n,) int array
    blocks : tuple of (S, k) int arrays
        Rows of each subject.
    n_cells : int
    """
    sums, counts = np.zeros((n_cells, n_cells)), np.zeros((n_cells, n_cells))
    for rows in blocks:
        r, code = residual[rows], cell[rows]
        shape = (*rows.shape, rows.shape[1])
        at = (np.broadcast_to(code[:, :, None], shape), np.broadcast_to(code[:, None], shape))
        np.add.at(sums, at, r[:, :, None] * r[:, None])
        np.add.at(counts, at, 1.0)
    return sums / np.maximum(counts, 1.0), counts


def list_starts(term: CovarianceTerm, data: StartMoments) -> list[FloatArray]:
    """Parameters to start from, the likeliest first."""
    if isinstance(term, StructureTerm):
        return _structure_starts(term, data)
    if isinstance(term, IndependentTerm):
        return [np.array([_overall_variance(data)])]
    if isinstance(term, ProductTerm):
        return _product_starts(term, data)
    if isinstance(term, GroupedTerm):
        levels = range(len(term.labels))
        own = [list_starts(term.base, data.of_level(term.axis, level)) for level in levels]
        return [np.concatenate(together) for together in zip(*own, strict=False)]
    if isinstance(term, SumTerm):
        return _sum_starts(term, data)
    raise TypeError(f"no start for {type(term).__name__}")


def shrink_dependence(theta: FloatArray, term: CovarianceTerm, share: float) -> FloatArray:
    """Move every parameter that is not a variance towards independence."""
    return np.where(term.is_variance, theta, share * theta)


def _overall_variance(data: StartMoments) -> float:
    weights = np.diagonal(data.counts) + 1e-9
    return max(float(np.average(np.diagonal(data.moments), weights=weights)), 1e-2)


def _structure_starts(term: StructureTerm, data: StartMoments) -> list[FloatArray]:
    if term.structure.is_scheduled:
        return [term.structure.start(*data.over(term.axis, len(term.labels)))]
    variance = _overall_variance(data)
    if term.structure.count(len(term.labels)) == 1:  # the limit without memory
        return [np.array([variance])]
    rhos = [correlation ** (1.0 / data.distance) for correlation in _CORRELATIONS]
    return [np.array([variance, min(max(rho, 1e-6), 1 - 1e-6)]) for rho in rhos]


def _product_starts(term: ProductTerm, data: StartMoments) -> list[FloatArray]:
    """Left and right each on their own axis; the right one as if its first variance were one."""
    starts = []
    lefts, rights = list_starts(term.left, data), list_starts(term.right, data)
    n_right = len(term.right.names)
    unit = term.right.has_unit if n_right else np.zeros(0, dtype=bool)
    for left, right in product(lefts, rights):
        scaled = np.where(unit, right / right[0], right)
        starts.append(np.concatenate([left, scaled[1:]]))
    return starts


def _sum_starts(term: SumTerm, data: StartMoments) -> list[FloatArray]:
    effects = [part for part in term.parts if isinstance(part, RandomEffectsTerm)]
    n_effects = sum(len(part.columns) for part in effects)
    variance = _overall_variance(data)
    (residual,) = (part for part in term.parts if not isinstance(part, RandomEffectsTerm))
    # The raw residuals hold the effects too, so that their correlation says too much.
    rests = [
        shrink_dependence(rest, residual, keep)
        for rest in list_starts(residual, data)
        for keep in ((1.0,) if residual.is_variance.all() else (0.5, 1.0))
    ]
    starts = []
    for share, rest in product(_EFFECT_SHARES, rests):
        theta = []
        for part in effects:
            sizes = data.effect_sizes[part.part]
            diagonal = [(sizes[u], u == v) for u, v in part.pairs]
            theta += [share * variance / n_effects / size * on for size, on in diagonal]
        scaled = np.where(residual.has_unit, (1.0 - share) * rest, rest)
        starts.append(np.concatenate([theta, scaled]))
    return starts
