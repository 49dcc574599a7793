"""How often the largest of several correlated standard normals exceeds x, in absolute value.

Three cases: all differences of k independent means (a range), one common factor (many
treatments against one control), and any correlation. The first two are one integral each,
the third is quasi-Monte Carlo with a fixed seed.
"""

from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from aibmd.linalg.symmetric import FloatArray, IntArray

# Trapezoids on a smooth, fast-decaying integrand converge faster than any power of the step.
_STEPS: Final = 2001
_REACH: Final = 9.0
# A unique variance this small makes steps the trapezoids would miss.
_LEAST_UNIQUE: Final = 0.05
_SAME_CORRELATION: Final = 1e-9
# Directions shorter than this hold no information of their own.
_DEPENDENT: Final = 1e-6
_REPLICATES: Final = 8
_BLOCK: Final = 2**12
_MOST_BLOCKS: Final = 2**4
_TARGET_ERROR: Final = 3e-6
_SEED: Final = 20111


def compute_range_tail(x: FloatArray, n_means: int) -> FloatArray:
    """P(max |Z_i - Z_j| > x sqrt(2)) over all pairs of `n_means` independent normals.

    Examples
    --------
    >>> compute_range_tail(np.array([1.959964]), 2).round(6)
    array([0.05])
    """
    width = np.sqrt(2.0) * np.asarray(x, dtype=float)[:, None]
    # z is the largest of the means, the smallest lies more than `width` below it.
    z, step = np.linspace(-_REACH, _REACH + width[:, 0], _STEPS, axis=1, retstep=True)
    below = ndtr(z)
    share = np.minimum(ndtr(z - width) / below, 1.0)
    with np.errstate(divide="ignore"):
        misses = -np.expm1((n_means - 1) * np.log1p(-share))
    inside = n_means * _density(z) * below ** (n_means - 1) * misses
    return np.asarray(inside.sum(axis=1) * step)


def compute_one_factor_tail(x: FloatArray, loadings: FloatArray) -> FloatArray:
    """P(max |Z_j| > x) where the correlations are products of `loadings`."""
    y, step = np.linspace(-_REACH, _REACH, _STEPS, retstep=True)
    unique = np.sqrt(1.0 - loadings**2)
    tails = np.empty(len(x))
    for number, limit in enumerate(x):
        shift = np.outer(loadings, y)
        out = ndtr((-limit - shift) / unique[:, None]) + ndtr((-limit + shift) / unique[:, None])
        with np.errstate(divide="ignore"):
            missed = -np.expm1(np.log1p(-np.minimum(out, 1.0)).sum(axis=0))
        tails[number] = float(_density(y) @ missed) * step
    return tails


def find_loadings(correlation: FloatArray) -> FloatArray | None:
    """Loadings l with ``correlation[i, j] = l[i] l[j]``, or None where there are none.

    Examples
    --------
    >>> find_loadings(np.array([[1.0, 0.5], [0.5, 1.0]])).round(4)
    array([0.7071, 0.7071])
    """
    size = len(correlation)
    off = correlation - np.diag(np.diagonal(correlation))
    first, second = np.unravel_index(np.argmax(np.abs(off)), off.shape)
    loadings = np.zeros(size)
    if off[first, second] != 0.0:
        third = np.abs(off[first] * off[second])
        best = int(np.argmax(third))
        square = abs(off[first, second])
        if third[best] > _SAME_CORRELATION:
            square *= abs(off[first, best] / off[second, best])
        loadings = off[first] / np.sqrt(square)
        loadings[first] = np.sqrt(square)
    product = np.outer(loadings, loadings)
    np.fill_diagonal(product, 0.0)
    too_large = (loadings**2).max() > 1.0 - _LEAST_UNIQUE**2
    differs = np.abs(product - off).max() > _SAME_CORRELATION
    return None if too_large or differs else loadings


def compute_any_tail(x: FloatArray, correlation: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(max |Z_j| > x) for any correlation, also a singular one, and its standard errors.

    Each point of a scrambled Sobol net walks through the directions that the statistics span
    and leaves the box at one of them; the chances of leaving there are summed, so a small
    tail keeps its digits. Points are added until the standard error over replicates is
    3e-6, or to 2**19 points.
    """
    rows, stage = _to_stages(correlation)
    nets = _Nets(rows.shape[1] - 1)
    found = [_tail_at(float(limit), rows, stage, nets) for limit in x]
    return np.array([tail for tail, _ in found]), np.array([error for _, error in found])


class _Nets:
    """Scrambled Sobol nets, the same in every run, each drawn when first needed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._blocks: dict[tuple[int, int], FloatArray] = {}
        self._open: dict[int, Any] = {}

    def block(self, replicate: int, number: int) -> FloatArray:
        """(size, points) next points of a replicate; blocks are asked for in order."""
        from scipy.stats import qmc

        if self.size == 0:
            return np.empty((0, _BLOCK))
        if (replicate, number) not in self._blocks:
            if replicate not in self._open:
                rng = np.random.default_rng([_SEED, replicate])
                self._open[replicate] = qmc.Sobol(self.size, scramble=True, rng=rng)
            points = self._open[replicate].random(_BLOCK)
            self._blocks[replicate, number] = np.ascontiguousarray(points.T)
        return self._blocks[replicate, number]


def _tail_at(limit: float, rows: FloatArray, stage: IntArray, nets: _Nets) -> tuple[float, float]:
    sums, blocks = np.zeros(_REPLICATES), 0
    while True:
        for number in range(blocks, max(1, 4 * blocks)):
            sums += [
                _walk(limit, rows, stage, nets.block(replicate, number))
                for replicate in range(_REPLICATES)
            ]
        blocks = max(1, 4 * blocks)
        tails = sums / blocks
        error = float(tails.std(ddof=1)) / np.sqrt(_REPLICATES)
        if error <= _TARGET_ERROR or blocks >= _MOST_BLOCKS:
            return float(tails.mean()), error


def _walk(limit: float, rows: FloatArray, stage: IntArray, uniform: FloatArray) -> float:
    """Mean chance of leaving the box, one direction after the other."""
    size, points = rows.shape[1], uniform.shape[1]
    walked = np.zeros((size, points))
    inside, left = np.ones(points), np.zeros(points)
    for own in range(size):
        now = stage == own
        pivot = rows[now, own][:, None]
        scaled = (rows[now, :own] / pivot) @ walked[:own]
        reach = limit / np.abs(pivot)
        below = ndtr((-reach - scaled).max(axis=0))
        out = np.minimum(below + ndtr(-(reach - scaled).min(axis=0)), 1.0)
        left += inside * out
        inside *= 1.0 - out
        if own < size - 1:
            position = below + uniform[own] * (1.0 - out)
            walked[own] = ndtri(np.clip(position, 1e-300, 1.0 - 1e-16))
    return float(left.mean())


def _to_stages(correlation: FloatArray) -> tuple[FloatArray, IntArray]:
    """Coordinates of each statistic in an orthonormal frame, and the last one it needs.

    The frame follows the statistic with least of its own left: then much is decided early and
    the walk varies little.
    """
    values, vectors = np.linalg.eigh(correlation)
    kept = values > _DEPENDENT**2 * values[-1]
    spanned = vectors[:, kept] * np.sqrt(values[kept])
    spanned /= np.linalg.norm(spanned, axis=1)[:, None]
    rest, columns = spanned.copy(), []
    stage = np.full(len(spanned), -1, dtype=np.intp)
    while (stage < 0).any():
        own = np.linalg.norm(rest, axis=1)
        chosen = int(np.argmin(np.where(stage < 0, own, np.inf)))
        direction = rest[chosen] / own[chosen]
        columns.append(spanned @ direction)
        rest = rest - np.outer(rest @ direction, direction)
        finished = (stage < 0) & (np.linalg.norm(rest, axis=1) < _DEPENDENT * 10)
        finished[chosen] = stage[chosen] < 0
        stage[finished] = len(columns) - 1
    return np.column_stack(columns), stage


def _density(z: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi))
