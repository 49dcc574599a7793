"""From a criterion to a certified maximum: what the numerics return."""

from dataclasses import dataclass, replace

import numpy as np

from aibmd.errors import ConvergenceError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, solve_spd
from aibmd.model.boundary import Boundary, examine_boundary
from aibmd.model.covariance.limits import without_memory
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.criterion import Criterion, Derivatives, Evaluation
from aibmd.model.diagnostics import Certificate, certify
from aibmd.model.em import approach_by_em
from aibmd.model.identification import refuse_hopeless, restrict_to_identified
from aibmd.model.least_squares import LeastSquares
from aibmd.model.optimiser import Optimum, maximise
from aibmd.model.pattern_likelihood import PatternCriterion
from aibmd.model.start import StartMoments, list_starts, shrink_dependence
from aibmd.model.subject_likelihood import SubjectCriterion
from aibmd.vocabulary import Method

# How much of the starting dependence is kept until the likelihood exists.
_SHRINK = (1.0, 0.7, 0.4, 0.1, 1e-3)
_MAX_ESCAPES = 5
# Starts followed to their end where a likelihood can have several tops.
_MAX_TOPS = 6
# Correlation at the typical distance below which its limit of zero is looked at.
_FADING = 0.05


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
    limit_of : CovarianceTerm or None
        The covariance asked for, where the maximum lies at a limit of it.
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
    limit_of: CovarianceTerm | None = None

    def __post_init__(self) -> None:
        for value in (self, self.at, self.derivatives):
            freeze_arrays(value)

    @property
    def covariance(self) -> CovarianceTerm:
        """How theta makes V."""
        return self.criterion.covariance

    @property
    def asked(self) -> CovarianceTerm:
        """The covariance asked for; `covariance` has fewer parameters at a limit of it."""
        return self.covariance if self.limit_of is None else self.limit_of

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
    ranked = _rank_starts(criterion, starts)
    if not ranked:
        raise ConvergenceError(
            "the likelihood of this covariance cannot be evaluated at its start; check for "
            "repeated rows or visits with almost no variation"
        )
    fit = max((_climb_from(criterion, theta) for theta in ranked), key=lambda one: one.loglik)
    if _nears_limit(fit, start.distance):
        limit = _fit_limit(criterion, ranked[0])
        # Equal to rounding: no two rows of a subject speak of the correlation at all.
        rounding = 1e-9 * max(abs(limit.loglik), 1.0)
        fit = limit if limit.loglik > fit.loglik + rounding else fit
    if fit.certificate.converged or not _is_saturated(criterion):
        return fit
    assert isinstance(criterion, PatternCriterion)
    again = maximise(criterion, approach_by_em(criterion, ranked[0]))
    second = fit if again is None else _assemble(criterion, again)
    return second if second.certificate.converged else fit


def _climb_from(criterion: Criterion, theta: FloatArray) -> EngineFit:
    """Climb, and go on inwards where a boundary of random effects is not the end."""
    fit = climb_and_certify(criterion, theta)
    for _ in range(_MAX_ESCAPES):
        if fit.boundary.escape is None:
            break
        fit = climb_and_certify(criterion, fit.theta_scaled + fit.boundary.escape)
    return fit


def _nears_limit(fit: EngineFit, distance: float) -> bool:
    """Whether a correlation over time may be on its way to zero."""
    rho = fit.theta_scaled[fit.covariance.may_vanish]
    return bool(len(rho) and (not fit.certificate.converged or (rho**distance < _FADING).any()))


def _fit_limit(criterion: Criterion, theta: FloatArray) -> EngineFit:
    """The fit with correlations over time at their limit of zero, marked as on the boundary."""
    term = criterion.covariance
    assert isinstance(criterion, SubjectCriterion)
    limit = replace(criterion, covariance=without_memory(term))
    fit = _climb_from(limit, theta[~term.may_vanish])
    certificate = replace(
        fit.certificate,
        singular=True,
        messages=(
            *fit.certificate.messages,
            "the correlation over time is zero at the maximum: rows at different times do not "
            "covary through it, and it drops out of the inference",
        ),
    )
    return replace(fit, certificate=certificate, limit_of=term)


def _rank_starts(criterion: Criterion, starts: list[FloatArray]) -> list[FloatArray]:
    """The likeliest start first; each with as much dependence as leaves V positive definite.

    Only where likelihoods are known to have several tops is more than the first one used.
    """
    found: list[tuple[float, FloatArray]] = []
    for start in starts:
        for share in _SHRINK:
            theta = shrink_dependence(start, criterion.covariance, share)
            at = criterion.evaluate(theta)
            if at is not None:
                found.append((at.loglik, theta))
                break
    ranked = [theta for _, theta in sorted(found, key=lambda pair: -pair[0])]
    has_several_tops = isinstance(criterion, SubjectCriterion) and not criterion.has_one_top
    return ranked[:_MAX_TOPS] if has_several_tops else ranked[:1]


def climb_and_certify(criterion: Criterion, theta: FloatArray) -> EngineFit:
    """Climb from theta and judge where it ends."""
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
        _decrement_left(optimum, boundary),
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


def _decrement_left(optimum: Optimum, boundary: Boundary) -> float:
    """What a step could still gain, along every direction theta can move in.

    The coordinates of the search can miss a direction where G has lost rank.
    """
    if not boundary.n_lost:
        return optimum.decrement
    score = boundary.tangent.T @ optimum.derivatives.score
    step = solve_spd(boundary.restrict(optimum.derivatives.observed), score)
    return optimum.decrement if step is None else max(optimum.decrement, float(score @ step))
