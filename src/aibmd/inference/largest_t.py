"""Distribution of the largest of several correlated t statistics: its tail and quantiles."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import gammaln, ndtr, stdtr, stdtrit

from aibmd.inference.largest_normal import (
    compute_any_tail,
    compute_one_factor_tail,
    compute_range_tail,
    find_loadings,
)
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray

# The tail over that of one statistic is smooth in x: from 1 at zero to about their number.
_UP_TO: Final = 6.0
_NODES: Final = 64
# Fewer where every node costs, and a smoother curve through them, for they carry noise.
_COSTLY_NODES: Final = 28
_COSTLY_DEGREE: Final = 24
_LEAST_ERROR: Final = 1e-8
# The scale s of t: steps in log s, down to where its density is exp(-40) of the peak.
_SCALE_STEPS: Final = 400
_SCALE_FLOOR: Final = 40.0


@dataclass(frozen=True, slots=True)
class LargestT:
    """max |T_j| of `count` statistics, each a t, with one correlation.

    Attributes
    ----------
    count : int
    log_ratio : (nodes,) array
        Chebyshev coefficients, on 0 to 6, of log P(max |Z_j| > x) / P(|Z| > x).
    error : float
        Largest standard error of a tail probability; 0 where no points were drawn.
    """

    count: int
    log_ratio: FloatArray
    error: float

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def compute_tail(self, value: float, df: float) -> float:
        """P(max |T_j| > value), never below one t and never above Bonferroni."""
        value = abs(value)
        one = float(2.0 * (ndtr(-value) if np.isinf(df) else stdtr(df, -value)))
        if self.count == 1 or not np.isfinite(value):
            return one
        if np.isinf(df):
            tail = float(self._normal_tail(np.array([value]))[0])
        else:
            scale, weight = _scale_nodes(df)
            tail = float(weight @ self._normal_tail(value * scale))
        return min(max(tail, one), self.count * one, 1.0)

    def find_quantile(self, level: float, df: float) -> float:
        """The value that no |T_j| exceeds with probability `level`."""
        from scipy.optimize import brentq

        beyond = 1.0 - level
        low = float(-stdtrit(df, beyond / 2.0))
        high = float(-stdtrit(df, beyond / 2.0 / self.count))
        if self.count == 1 or self.compute_tail(high, df) >= beyond:
            return high

        def excess(value: float) -> float:
            return float(np.log(self.compute_tail(value, df) / beyond))

        return float(brentq(excess, low, high, xtol=1e-10)) if excess(low) > 0 else low

    def _normal_tail(self, x: FloatArray) -> FloatArray:
        inside = np.minimum(x, _UP_TO) * (2.0 / _UP_TO) - 1.0
        return np.asarray(2.0 * ndtr(-x) * np.exp(chebyshev.chebval(inside, self.log_ratio)))


@lru_cache(maxsize=64)
def build_range_t(n_means: int) -> LargestT:
    """All differences of `n_means` independent means of one variance: Tukey's family.

    Examples
    --------
    >>> round(build_range_t(3).find_quantile(0.95, 10.0), 3)  # 3.877 / sqrt(2) of the tables
    2.741
    """
    tail = compute_range_tail(_nodes(_NODES), n_means)
    return _interpolate(tail, n_means * (n_means - 1) // 2)


def build_multivariate_t(correlation: FloatArray) -> LargestT:
    """Statistics with this correlation, which may be singular.

    Examples
    --------
    >>> equal = np.full((3, 3), 0.5) + 0.5 * np.eye(3)
    >>> round(build_multivariate_t(equal).find_quantile(0.95, 20.0), 2)  # Dunnett's table: 2.54
    2.54
    """
    correlation = np.ascontiguousarray(correlation, dtype=float)
    return _build_from_bytes(correlation.tobytes(), len(correlation))


@lru_cache(maxsize=64)
def _build_from_bytes(numbers: bytes, size: int) -> LargestT:
    correlation = np.frombuffer(numbers).reshape(size, size)
    if size == 1:
        return LargestT(1, np.zeros(1), 0.0)
    loadings = find_loadings(correlation)
    if loadings is not None:
        return _interpolate(compute_one_factor_tail(_nodes(_NODES), loadings), size)
    tail, error = compute_any_tail(_nodes(_COSTLY_NODES), correlation)
    return _smooth(tail, error, size)


def _nodes(number: int) -> FloatArray:
    return np.asarray((chebyshev.chebpts1(number) + 1.0) * (_UP_TO / 2.0))


def _interpolate(tail: FloatArray, count: int) -> LargestT:
    """Tail probabilities at the nodes, as a smooth function of x."""
    return _fit(tail, count, len(tail) - 1, np.ones_like(tail), 0.0)


def _smooth(tail: FloatArray, error: FloatArray, count: int) -> LargestT:
    """The same where the tails carry errors: the far tail must not bend the rest."""
    weight = tail / np.maximum(error, _LEAST_ERROR)
    return _fit(tail, count, _COSTLY_DEGREE, weight, float(error.max()))


def _fit(tail: FloatArray, count: int, degree: int, weight: FloatArray, error: float) -> LargestT:
    ratio = np.clip(tail / (2.0 * ndtr(-_nodes(len(tail)))), 1.0, count)
    at = chebyshev.chebpts1(len(tail))
    coefficients: Any = chebyshev.chebfit(at, np.log(ratio), degree, w=weight)
    return LargestT(count, np.asarray(coefficients), error)


@lru_cache(maxsize=256)
def _scale_nodes(df: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of s = sqrt(chi-square / df): trapezoids in log s."""
    width = 12.0 / np.sqrt(2.0 * df)
    low = -max(_SCALE_FLOOR / df, width)
    high = min(width, 0.5 * np.log(2.0 * _SCALE_FLOOR / df + 10.0))
    v, step = np.linspace(low, high, _SCALE_STEPS, retstep=True)
    log_density = df * v - 0.5 * df * np.exp(2.0 * v)
    log_density += 0.5 * df * np.log(0.5 * df) - gammaln(0.5 * df) + np.log(2.0)
    return np.exp(v), np.exp(log_density) * step
