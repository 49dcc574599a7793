"""What data cannot say: refused where all is lost, set aside where a parameter is."""

from dataclasses import replace

import numpy as np

from aibmd.errors import ConvergenceError, RankDeficientError
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance.compositions import RestrictedTerm
from aibmd.model.least_squares import LeastSquares
from aibmd.model.pattern_likelihood import PatternCriterion

# A residual variance this small beside the largest is rounding.
_NO_VARIATION = 1e-20
# Visit variances further apart than this leave no digits for the smaller (SD 1e5-fold).
_LEAST_VARIANCE = 1e-10


def restrict_to_identified(
    criterion: PatternCriterion, starts: list[FloatArray]
) -> tuple[PatternCriterion, list[FloatArray]]:
    """Set aside parameters that touch no visit or pair of visits that some subject has.

    Such a parameter leaves the likelihood unchanged; without it coefficients and their
    inference are those of the data that exist.
    """
    E = criterion.covariance.first(starts[0], criterion.cells)
    kept = (np.abs(E) * criterion.cross.co_observed).sum(axis=(1, 2)) > 0
    if kept.all():
        return criterion, starts
    fixed = np.where(criterion.covariance.is_variance, starts[0], 0.0)
    term = RestrictedTerm(criterion.covariance, kept, fixed)
    return replace(criterion, covariance=term), [theta[kept] for theta in starts]


def refuse_constant_visit(moments: FloatArray, counts: FloatArray, visits: tuple[str, ...]) -> None:
    """A visit that the fixed effects reproduce has no variance to estimate."""
    variances = np.where(np.diagonal(counts) > 0, np.diagonal(moments), np.inf)
    largest = variances[np.isfinite(variances)].max()
    constant = np.flatnonzero(variances <= _NO_VARIATION * largest)
    if len(constant):
        raise ConvergenceError(
            f"visit {visits[constant[0]]!r} has no residual variation; leave its rows out (the "
            "reference visit of a change is such a visit)"
        )
    smallest = int(np.argmin(variances))
    if variances[smallest] < _LEAST_VARIANCE * largest:
        ratio = np.sqrt(largest / variances[smallest])
        raise ConvergenceError(
            f"the residual SD of visit {visits[smallest]!r} is {ratio:.0e} times smaller than that "
            "of another visit: too far apart for one covariance. Are all visits in one unit?"
        )


def refuse_hopeless(least_squares: LeastSquares) -> None:
    """No residual degrees of freedom, or nothing left to model."""
    n, p = least_squares.n_rows, least_squares.n_coefficients
    if n <= p:
        raise RankDeficientError(
            f"{n} rows cannot estimate {p} coefficients and a covariance; "
            "simplify the formula or add data"
        )
    if least_squares.is_perfect_fit:
        raise ConvergenceError(
            "the fixed effects reproduce the response exactly: there is no residual variation "
            "to model. Check that the response is not constant and is not also a covariate"
        )
