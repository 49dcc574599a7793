"""A covariance structure over visits or times, and how it is made from a correlation family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.covariance.correlation import CorrelationFamily


@dataclass(frozen=True, slots=True)
class CovarianceStructure:
    """One row of the table.

    Attributes
    ----------
    name : str
        Option value of ``covariance=``.
    title : str
        How the summary calls it.
    when : str
        When to choose it.
    parameter_names : callable
        Labels of the levels -> a name per parameter.
    value : callable
        (theta, positions (..., k)) -> Sigma over the rows, (..., k, k).
    first, second : callable
        The same -> derivatives by theta, leading; `second` is None where Sigma is linear.
    start : callable
        (moments, counts), each (m, m) -> theta: where scoring begins.
    is_variance : callable
        Number of levels -> bool per parameter: positive, and in squared units.
    has_unit : callable
        Number of levels -> bool per parameter: in squared units of the response.
    lowest, highest : float
        Open bounds of the parameters without a unit.
    has_own_variances : bool
        Whether each visit has a variance of its own.
    is_scheduled : bool
        Whether positions are numbered visits; otherwise times.
    """

    name: str
    title: str
    when: str
    parameter_names: Callable[[tuple[str, ...]], tuple[str, ...]]
    value: Callable[[FloatArray, FloatArray], FloatArray]
    first: Callable[[FloatArray, FloatArray], FloatArray]
    second: Callable[[FloatArray, FloatArray], FloatArray] | None
    start: Callable[[FloatArray, FloatArray], FloatArray]
    is_variance: Callable[[int], BoolArray]
    has_unit: Callable[[int], BoolArray]
    lowest: float = -1.0
    highest: float = 1.0
    has_own_variances: bool = False
    is_scheduled: bool = True

    def count(self, m: int) -> int:
        """Number of parameters for m levels."""
        return len(self.is_variance(m))

    def is_inside(self, theta: FloatArray, m: int) -> bool:
        """Whether every parameter lies within its own bounds."""
        free = theta[~self.has_unit(m)]
        return bool(
            (theta[self.is_variance(m)] > 0).all()
            and (free > self.lowest).all()
            and (free < self.highest).all()
        )


# A visit with next to no residual starts with this share of the average variance.
_SMALLEST_START: Final = 1e-2


def positive_variances(moments: FloatArray, counts: FloatArray) -> FloatArray:
    """Visit variances to start from, none of them zero or missing."""
    variances = np.diagonal(moments).copy()
    seen = np.diagonal(counts) > 0
    typical = float(variances[seen].mean())
    variances[~seen] = typical
    if (variances < 1e-12 * typical).any():
        return np.maximum(variances, _SMALLEST_START * typical)
    return variances


def average_variance(moments: FloatArray, counts: FloatArray) -> float:
    """One variance for all visits, weighted by the rows at each."""
    weights = np.diagonal(counts) + 1e-9
    return float(np.average(positive_variances(moments, counts), weights=weights))


def moment_correlations(moments: FloatArray, counts: FloatArray) -> FloatArray:
    """Correlations of the moments, nil where nobody has both visits."""
    sd = np.sqrt(positive_variances(moments, counts))
    correlations = np.where(counts > 0, moments, 0.0) / sd[:, None] / sd
    return np.clip(correlations, -1.0, 1.0)


def one_variance(
    name: str, title: str, when: str, family: CorrelationFamily, is_scheduled: bool = True
) -> CovarianceStructure:
    """Sigma = v R: the same variance at every position (C5)."""

    def value(theta: FloatArray, positions: FloatArray) -> FloatArray:
        return np.asarray(theta[0] * family.value(theta[1:], positions))

    def first(theta: FloatArray, positions: FloatArray) -> FloatArray:
        R = family.value(theta[1:], positions)
        return np.concatenate([R[None], theta[0] * family.first(theta[1:], positions)])

    def second(theta: FloatArray, positions: FloatArray) -> FloatArray:
        by_rho = family.first(theta[1:], positions)
        n = 1 + len(by_rho)
        out = np.zeros((n, n, *by_rho.shape[1:]))
        out[0, 1:] = out[1:, 0] = by_rho
        if family.second is not None:
            out[1:, 1:] = theta[0] * family.second(theta[1:], positions)
        return out

    def start(moments: FloatArray, counts: FloatArray) -> FloatArray:
        rho = family.start(moment_correlations(moments, counts), counts)
        return np.concatenate([[average_variance(moments, counts)], rho])

    def first_only(m: int) -> BoolArray:
        return np.asarray(np.arange(1 + family.count(m)) == 0)

    return CovarianceStructure(
        name=name,
        title=title,
        when=when,
        parameter_names=lambda labels: ("variance", *family.names(labels)),
        value=value,
        first=first,
        second=second,
        start=start,
        is_variance=first_only,
        has_unit=first_only,
        lowest=family.lowest,
        highest=family.highest,
        is_scheduled=is_scheduled,
    )


def own_variances(
    name: str, title: str, when: str, family: CorrelationFamily
) -> CovarianceStructure:
    """Sigma_jk = sqrt(v_j v_k) R_jk: each visit has its variance (C6)."""

    def split(theta: FloatArray, positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        return theta[: len(positions)], theta[len(positions) :]

    def scale(v: FloatArray) -> FloatArray:
        sd = np.sqrt(v)
        return np.asarray(sd[:, None] * sd)

    def value(theta: FloatArray, positions: FloatArray) -> FloatArray:
        v, rho = split(theta, positions)
        return scale(v) * family.value(rho, positions)

    def first(theta: FloatArray, positions: FloatArray) -> FloatArray:
        v, rho = split(theta, positions)
        by_variance = _touches(len(v)) / (2.0 * v[:, None, None]) * value(theta, positions)
        return np.concatenate([by_variance, scale(v) * family.first(rho, positions)])

    def second(theta: FloatArray, positions: FloatArray) -> FloatArray:
        v, rho = split(theta, positions)
        m, Sigma = len(v), value(theta, positions)
        A = _touches(m) / (2.0 * v[:, None, None])
        by_rho = scale(v) * family.first(rho, positions)
        out = np.zeros((m + len(rho), m + len(rho), m, m))
        out[:m, :m] = A[:, None] * A[None] * Sigma
        out[np.arange(m), np.arange(m)] -= A / v[:, None, None] * Sigma
        out[:m, m:] = A[:, None] * by_rho[None]
        out[m:, :m] = out[:m, m:].transpose(1, 0, 2, 3)
        if family.second is not None:
            out[m:, m:] = scale(v) * family.second(rho, positions)
        return out

    def start(moments: FloatArray, counts: FloatArray) -> FloatArray:
        rho = family.start(moment_correlations(moments, counts), counts)
        return np.concatenate([positive_variances(moments, counts), rho])

    def is_variance(m: int) -> BoolArray:
        return np.arange(m + family.count(m)) < m

    return CovarianceStructure(
        name=name,
        title=title,
        when=when,
        parameter_names=lambda labels: (
            *(f"var({label})" for label in labels),
            *family.names(labels),
        ),
        value=value,
        first=first,
        second=second,
        start=start,
        is_variance=is_variance,
        has_unit=is_variance,
        has_own_variances=True,
    )


def _touches(m: int) -> FloatArray:
    """(m, m, m): how often level l occurs in the pair (j, k)."""
    return np.eye(m)[:, :, None] + np.eye(m)[:, None, :]
