"""From a criterion to a certified maximum: what the numerics return."""

from dataclasses import dataclass, replace

import numpy as np

from aibmd.errors import ConvergenceError, RankDeficientError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.boundary import Boundary, examine_boundary
from aibmd.model.covariance.compositions import RestrictedTerm
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.criterion import Criterion, Derivatives, Evaluation
from aibmd.model.diagnostics import Certificate, certify
from aibmd.model.em import approach_by_em
from aibmd.model.least_squares import LeastSquares
from aibmd.model.optimiser import Optimum, maximise
from aibmd.model.pattern_likelihood import PatternCriterion
from aibmd.model.start import StartMoments, list_starts, shrink_dependence
from aibmd.vocabulary import Method

# A residual variance this small beside the largest is rounding.
_NO_VARIATION = 1e-20
# Visit variances further apart than this leave no digits for the smaller (SD 1e5-fold).
_LEAST_VARIANCE = 1e-10
# How much of the starting dependence is kept until the likelihood exists.
_SHRINK = (1.0, 0.7, 0.4, 0.1, 1e-3)
_MAX_ESCAPES = 5


@dataclass(frozen=True, slots=True)
class EngineFit:
    """A fitted model, on the user's scale unless said otherwise.

    Attributes
    ----------
    beta : (p,) array
    Phi : (p, p) array
        (X'V^-1 X)^-1.
    theta : (n_theta,) array
    loglik : float
    certificate : Certificate
    boundary : Boundary
        Directions in which theta can move, engine units.
    n_steps : int
    criterion : Criterion
    theta_scaled, at, derivatives
        The optimum and the criterion there, in the basis of the least squares.
    """

    beta: FloatArray
    Phi: FloatArray
    theta: FloatArray
    loglik: float
    certificate: Certificate
    boundary: Boundary
    n_steps: int
    criterion: Criterion
    theta_scaled: FloatArray
    at: Evaluation
    derivatives: Derivatives

    def __post_init__(self) -> None:
        for value in (self, self.at, self.derivatives):
            freeze_arrays(value)

    @property
    def covariance(self) -> CovarianceTerm:
        """How theta makes V."""
        return self.criterion.covariance

    @property
    def least_squares(self) -> LeastSquares:
        """The scale on which the criterion works."""
        return self.criterion.least_squares

    @property
    def method(self) -> Method:
        """Restricted or full likelihood."""
        return self.criterion.method

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of theta."""
        return self.covariance.names

    @property
    def theta_units(self) -> FloatArray:
        """User's theta over the engine's: s^2 for variances and covariances, else one."""
        return np.where(self.covariance.has_unit, self.least_squares.scale**2, 1.0)

    @property
    def Sigma(self) -> FloatArray:  # noqa: N802
        """(m, m) covariance of the cells; NaN where the data say nothing.

        Only for scheduled visits: a pair of visits that no subject has, under un, is NaN.
        """
        criterion = self.criterion
        if not isinstance(criterion, PatternCriterion):
            raise AttributeError("rows lie at times of their own; there is no one Sigma")
        Sigma = self.least_squares.scale**2 * criterion.sigma(self.theta_scaled)
        spoken_of = np.abs(criterion.first(self.theta_scaled)).sum(axis=0) > 0
        return np.where(spoken_of, Sigma, np.nan)


def fit_engine(criterion: Criterion, start: StartMoments) -> EngineFit:
    """Maximise the likelihood and certify the result.

    Parameters
    ----------
    criterion : Criterion
    start : StartMoments

    Raises
    ------
    RankDeficientError
        No residual degrees of freedom.
    ConvergenceError
        The criterion cannot be evaluated at all.
    """
    refuse_hopeless(criterion.least_squares)
    starts = list_starts(criterion.covariance, start)
    if isinstance(criterion, PatternCriterion):
        criterion, starts = restrict_to_identified(criterion, starts)
    theta = _best_start(criterion, starts)
    if theta is None:
        raise ConvergenceError(
            "the likelihood of this covariance cannot be evaluated at its start; check for "
            "repeated rows or visits with almost no variation"
        )
    fit = _climb_and_certify(criterion, theta)
    for _ in range(_MAX_ESCAPES):
        if fit.boundary.escape is None:
            break
        fit = _climb_and_certify(criterion, fit.theta_scaled + fit.boundary.escape)
    if fit.certificate.converged or not _is_saturated(criterion):
        return fit
    assert isinstance(criterion, PatternCriterion)
    again = maximise(criterion, approach_by_em(criterion, theta))
    second = fit if again is None else _assemble(criterion, again)
    return second if second.certificate.converged else fit


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


def _best_start(criterion: Criterion, starts: list[FloatArray]) -> FloatArray | None:
    """The likeliest start; each with as much of its dependence as leaves V positive definite."""
    found: list[tuple[float, FloatArray]] = []
    for start in starts:
        for share in _SHRINK:
            theta = shrink_dependence(start, criterion.covariance, share)
            at = criterion.evaluate(theta)
            if at is not None:
                found.append((at.loglik, theta))
                break
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _climb_and_certify(criterion: Criterion, theta: FloatArray) -> EngineFit:
    optimum = maximise(criterion, theta)
    if optimum is None:
        raise ConvergenceError("the likelihood cannot be evaluated at its start")
    return _assemble(criterion, optimum)


def _is_saturated(criterion: Criterion) -> bool:
    """Whether theta is every element of a Sigma of more than one visit."""
    if not isinstance(criterion, PatternCriterion) or criterion.constant_first is None:
        return False
    m = criterion.cross.n_visits
    E = criterion.constant_first
    return m > 1 and len(E) == m * (m + 1) // 2


def _assemble(criterion: Criterion, optimum: Optimum) -> EngineFit:
    scale, at = criterion.least_squares, optimum.at
    term, theta = criterion.covariance, optimum.theta
    boundary = examine_boundary(
        theta, optimum.derivatives.score, optimum.derivatives.known_mean, term.effects
    )
    certificate = certify(
        optimum.decrement,
        optimum.derivatives,
        criterion.smallest_correlation(theta),
        boundary,
        term.names,
    )
    return EngineFit(
        beta=scale.to_user_beta(at.beta),
        Phi=scale.to_user_vcov(at.Phi),
        theta=np.where(term.has_unit, scale.scale**2, 1.0) * theta,
        loglik=scale.to_user_loglik(at.loglik, criterion.method),
        certificate=certificate,
        boundary=boundary,
        n_steps=optimum.n_steps,
        criterion=criterion,
        theta_scaled=theta,
        at=at,
        derivatives=optimum.derivatives,
    )


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
