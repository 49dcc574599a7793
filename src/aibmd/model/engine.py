"""From cross-products to a certified maximum: what the numerics return."""

from dataclasses import dataclass

import numpy as np

from aibmd.errors import ConvergenceError, RankDeficientError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.covariance import CovarianceStructure, identified_parameters
from aibmd.model.cross_products import CrossProducts
from aibmd.model.diagnostics import Certificate, certify
from aibmd.model.em import approach_by_em
from aibmd.model.likelihood import Derivatives, Evaluation, residual_moments
from aibmd.model.optimiser import Optimum, maximise
from aibmd.vocabulary import Method

# A residual variance this small beside the largest is rounding.
_NO_VARIATION = 1e-20


@dataclass(frozen=True, slots=True)
class EngineFit:
    """A fitted marginal model, on the user's scale unless said otherwise.

    Attributes
    ----------
    beta : (p,) array
    Phi : (p, p) array
        (X'V^-1 X)^-1.
    theta : (n_theta,) array
    Sigma : (m, m) array
        NaN where the data say nothing: a pair of visits that no subject has, under un.
    loglik : float
    E : (n_theta, m, m) array
        Derivatives of Sigma by the parameters kept.
    parameter_names : tuple of str
    certificate : Certificate
    n_steps : int
    method : "reml" or "ml"
    cross, at, derivatives
        Sufficient statistics, criterion and its derivatives in the basis of the
        cross-products, for inference.
    """

    beta: FloatArray
    Phi: FloatArray
    theta: FloatArray
    Sigma: FloatArray
    loglik: float
    E: FloatArray
    parameter_names: tuple[str, ...]
    certificate: Certificate
    n_steps: int
    method: Method
    cross: CrossProducts
    at: Evaluation
    derivatives: Derivatives

    def __post_init__(self) -> None:
        for value in (self, self.at, self.derivatives):
            freeze_arrays(value)

    def to_user_scale(self, matrices: FloatArray) -> FloatArray:
        """(..., p, p) covariances in the basis of the cross-products -> user's scale."""
        T = self.cross.basis.transform * self.cross.scale
        return T @ matrices @ T.T


def fit_engine(
    cross: CrossProducts,
    structure: CovarianceStructure,
    visits: tuple[str, ...],
    method: Method,
) -> EngineFit:
    """Maximise the likelihood and certify the result.

    Parameters
    ----------
    cross : CrossProducts
    structure : CovarianceStructure
    visits : tuple of str
        Labels, in order; for messages.
    method : "reml" or "ml"

    Raises
    ------
    RankDeficientError
        No residual degrees of freedom.
    ConvergenceError
        The criterion cannot be evaluated at all.
    """
    _refuse_hopeless(cross, visits)
    E = structure.derivatives(cross.n_visits)
    kept = identified_parameters(E, _co_observed(cross))
    moments, counts = residual_moments(cross)
    if structure.has_own_variances:
        _refuse_constant_visit(moments, visits)
    start = structure.start(moments, counts)[kept]
    names = tuple(np.array(structure.parameter_names(visits), dtype=object)[kept])
    optimum = maximise(cross, E[kept], start, method)
    if optimum is None:
        raise ConvergenceError(
            f"the likelihood of covariance={structure.name!r} cannot be evaluated at its start; "
            "check for repeated rows or visits with almost no variation"
        )
    fit = _assemble(cross, E[kept], optimum, names, method)
    is_saturated = kept.all() and len(E) == cross.n_visits * (cross.n_visits + 1) // 2
    if fit.certificate.converged or not is_saturated or cross.n_visits == 1:
        return fit
    second = maximise(cross, E, approach_by_em(cross, E, start, method), method)
    again = fit if second is None else _assemble(cross, E, second, names, method)
    return again if again.certificate.converged else fit


def _assemble(
    cross: CrossProducts,
    E: FloatArray,
    optimum: Optimum,
    names: tuple[str, ...],
    method: Method,
) -> EngineFit:
    T, s = cross.basis.transform, cross.scale
    Sigma = np.tensordot(optimum.theta, E, axes=1)
    certificate = certify(optimum.decrement, optimum.derivatives, Sigma, cross.observed, names)
    at = optimum.at
    n_scaled = cross.n_rows - (cross.n_coefficients if method == "reml" else 0)
    return EngineFit(
        beta=cross.beta0 + s * (T @ at.beta),
        Phi=s**2 * (T @ at.Phi @ T.T),
        theta=s**2 * optimum.theta,
        Sigma=np.where(np.abs(E).sum(axis=0) > 0, s**2 * Sigma, np.nan),
        loglik=_user_loglik(at.loglik, cross, method, n_scaled),
        E=E,
        parameter_names=names,
        certificate=certificate,
        n_steps=optimum.n_steps,
        method=method,
        cross=cross,
        at=at,
        derivatives=optimum.derivatives,
    )


def _user_loglik(loglik: float, cross: CrossProducts, method: Method, n_scaled: int) -> float:
    """Undo the scaling of y and X in the constant (M7)."""
    log_det_T = cross.basis.log_det if method == "reml" else 0.0
    return float(loglik - n_scaled * np.log(cross.scale) + log_det_T)


def _co_observed(cross: CrossProducts) -> BoolArray:
    seen = cross.observed.astype(float)
    return np.asarray((seen.T @ seen) > 0)


def _refuse_constant_visit(moments: FloatArray, visits: tuple[str, ...]) -> None:
    """A visit that the fixed effects reproduce has no variance to estimate."""
    variances = np.diagonal(moments)
    constant = np.flatnonzero(variances <= _NO_VARIATION * variances.max())
    if len(constant):
        raise ConvergenceError(
            f"visit {visits[constant[0]]!r} has no residual variation; leave its rows out (the "
            "reference visit of a change is such a visit)"
        )


def _refuse_hopeless(cross: CrossProducts, visits: tuple[str, ...]) -> None:
    n, p = cross.n_rows, cross.n_coefficients
    if n <= p:
        raise RankDeficientError(
            f"{n} rows cannot estimate {p} coefficients and a covariance; "
            "simplify the formula or add data"
        )
    if cross.is_perfect_fit:
        raise ConvergenceError(
            "the fixed effects reproduce the response exactly: there is no residual variation "
            "to model. Check that the response is not constant and is not also a covariate"
        )
