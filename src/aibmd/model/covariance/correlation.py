"""Correlation families: R, its first and its second derivatives by the correlations.

Every function takes the correlations and the positions of the rows, (..., k), and returns
arrays over pairs of rows, (..., k, k); derivatives come first, (r, ..., k, k) and
(r, r, ..., k, k). Labels (C1) to (C5) are those of docs/methods/covariance.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aibmd.linalg.symmetric import FloatArray


@dataclass(frozen=True, slots=True)
class CorrelationFamily:
    """How correlations between rows follow from a few numbers.

    Attributes
    ----------
    names : callable
        Labels of the m levels -> a name for each of the r correlations.
    value : callable
        (rho, positions) -> R.
    first, second : callable
        (rho, positions) -> derivatives; `second` is None where R is linear in rho.
    start : callable
        (correlations (m, m), pair counts (m, m)) -> rho.
    lowest, highest : float
        Open bounds of each correlation; R must be positive definite besides.
    """

    names: Callable[[tuple[str, ...]], tuple[str, ...]]
    value: Callable[[FloatArray, FloatArray], FloatArray]
    first: Callable[[FloatArray, FloatArray], FloatArray]
    second: Callable[[FloatArray, FloatArray], FloatArray] | None
    start: Callable[[FloatArray, FloatArray], FloatArray]
    lowest: float = -1.0
    highest: float = 1.0

    def count(self, m: int) -> int:
        """Number of correlations for m levels."""
        return len(self.names(("",) * m))


def distance(positions: FloatArray) -> FloatArray:
    """|t_a - t_b| of every pair of rows."""
    return np.abs(positions[..., :, None] - positions[..., None, :])


def _average(correlations: FloatArray, counts: FloatArray, where: FloatArray) -> float:
    weight = counts * where
    return float((weight * correlations).sum() / weight.sum()) if weight.sum() else 0.0


# (C1) one correlation for every pair: R = rho off the diagonal.
def _equal_first(rho: FloatArray, positions: FloatArray) -> FloatArray:
    return (distance(positions) > 0).astype(float)[None]


def _equal_start(correlations: FloatArray, counts: FloatArray) -> FloatArray:
    m = len(correlations)
    rho = _average(correlations, counts, 1.0 - np.eye(m))
    return np.array([min(max(rho, -0.9 / max(m - 1, 1)), 0.95)])


EQUAL = CorrelationFamily(
    names=lambda labels: ("correlation",),
    value=lambda rho, positions: (
        np.eye(positions.shape[-1]) + rho[0] * _equal_first(rho, positions)[0]
    ),
    first=_equal_first,
    second=None,
    start=_equal_start,
)


# (C2) one correlation for every lag: R = rho_|j-k|.
def _lag_first(rho: FloatArray, positions: FloatArray) -> FloatArray:
    lags = np.arange(1, len(rho) + 1).reshape((-1,) + (1,) * (positions.ndim + 1))
    return np.asarray((distance(positions) == lags).astype(float))


def _lag_start(correlations: FloatArray, counts: FloatArray) -> FloatArray:
    lag = distance(np.arange(len(correlations), dtype=float))
    rho = [_average(correlations, counts, lag == step) for step in range(1, len(correlations))]
    return np.asarray(np.clip(np.array(rho), -0.95, 0.95))


BY_LAG = CorrelationFamily(
    names=lambda labels: tuple(f"cor(lag {lag})" for lag in range(1, len(labels))),
    value=lambda rho, positions: (
        np.eye(positions.shape[-1]) + np.tensordot(rho, _lag_first(rho, positions), axes=1)
    ),
    first=_lag_first,
    second=None,
    start=_lag_start,
)


# (C3) a power of the distance: R = rho^|t_a - t_b|.
def _falling_power(rho: FloatArray, d: FloatArray, order: int) -> FloatArray:
    """Derivative of the given order of rho^d; nil where its coefficient is, also at rho = 0."""
    factor = np.ones_like(d)
    for step in range(order):
        factor = factor * (d - step)
    exponent = np.where(factor != 0, d - order, 1.0)
    return np.where(factor != 0, factor * np.power(rho[0], exponent), 0.0)


def _power_first(rho: FloatArray, positions: FloatArray) -> FloatArray:
    return _falling_power(rho, distance(positions), 1)[None]


def _power_second(rho: FloatArray, positions: FloatArray) -> FloatArray:
    return _falling_power(rho, distance(positions), 2)[None, None]


def _power_start(correlations: FloatArray, counts: FloatArray) -> FloatArray:
    lag = distance(np.arange(len(correlations), dtype=float))
    return np.clip([_average(correlations, counts, lag == 1)], -0.9, 0.95)


POWER = CorrelationFamily(
    names=lambda labels: ("correlation of neighbours",),
    value=lambda rho, positions: np.power(rho[0], distance(positions)),
    first=_power_first,
    second=_power_second,
    start=_power_start,
)
# What is left of a power of time when rho goes to zero: rows at one time are alike.
SAME_TIME = CorrelationFamily(
    names=lambda labels: (),
    value=lambda rho, positions: (distance(positions) == 0).astype(float),
    first=lambda rho, positions: np.zeros((0, *positions.shape, positions.shape[-1])),
    second=None,
    start=lambda correlations, counts: np.zeros(0),
)
# Between visits the lag is whole and rho may be negative; between times it may not.
POWER_OF_TIME = CorrelationFamily(
    names=lambda labels: ("correlation at distance 1",),
    value=POWER.value,
    first=_power_first,
    second=_power_second,
    start=lambda correlations, counts: np.clip(_power_start(correlations, counts), 0.1, 0.95),
    lowest=0.0,
)


# (C4) a chain: R_jk is the product of the correlations of neighbours between j and k.
def _steps_between(m: int) -> FloatArray:
    """(m-1, m, m): one where the step from l to l+1 lies between j and k."""
    low, high = np.minimum.outer(np.arange(m), np.arange(m)), np.maximum.outer(*[np.arange(m)] * 2)
    step = np.arange(m - 1)[:, None, None]
    return ((low <= step) & (step < high)).astype(float)


def _chain(rho: FloatArray, between: FloatArray, without: tuple[int, ...]) -> FloatArray:
    """Product over the steps between j and k without some; nil where one of those is not there."""
    factors = np.where(between > 0, rho[:, None, None], 1.0)
    inside = np.ones(between.shape[1:])
    for step in without:
        inside = inside * between[step]
        factors[step] = 1.0
    return np.asarray(inside * factors.prod(axis=0))


def _chain_value(rho: FloatArray, positions: FloatArray) -> FloatArray:
    return _chain(rho, _steps_between(len(positions)), ())


def _chain_first(rho: FloatArray, positions: FloatArray) -> FloatArray:
    m = len(positions)
    between = _steps_between(m)
    return np.array([_chain(rho, between, (step,)) for step in range(m - 1)]).reshape(-1, m, m)


def _chain_second(rho: FloatArray, positions: FloatArray) -> FloatArray:
    m = len(positions)
    between = _steps_between(m)
    second = np.zeros((m - 1, m - 1, m, m))
    for a in range(m - 1):
        for b in range(a):
            second[a, b] = second[b, a] = _chain(rho, between, (a, b))
    return second


def _chain_start(correlations: FloatArray, counts: FloatArray) -> FloatArray:
    neighbours = np.where(np.diagonal(counts, 1) > 0, np.diagonal(correlations, 1), 0.0)
    return np.clip(neighbours, -0.9, 0.95)


CHAIN = CorrelationFamily(
    names=lambda labels: tuple(f"cor({a}, {b})" for a, b in pairwise(labels)),
    value=_chain_value,
    first=_chain_first,
    second=_chain_second,
    start=_chain_start,
)
