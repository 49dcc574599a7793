"""What can be said of any linear function of the coefficients: one object, any df method."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import fdtrc, stdtr

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.inference import kenward_roger, satterthwaite
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, inverse_spd
from aibmd.model.engine import EngineFit
from aibmd.vocabulary import DfMethod, Information, Method

DF_METHODS: Final[tuple[DfMethod, ...]] = ("kenward_roger", "satterthwaite", "residual", "normal")
# Rows of L count as dependent below this share of variance.
_INDEPENDENT = 1e-12
DF_TITLES: Final = {
    "kenward_roger": "Kenward-Roger (1997, first order)",
    "satterthwaite": "Satterthwaite",
    "residual": "residual (rows minus coefficients)",
    "normal": "normal (infinite df)",
}


@dataclass(frozen=True, slots=True)
class LinearFunctions:
    """Estimates of L beta, covariance and degrees of freedom, one entry per row of L."""

    estimate: FloatArray
    vcov: FloatArray
    df: FloatArray


@dataclass(frozen=True, slots=True)
class FTest:
    """A joint test of L beta = 0."""

    statistic: float
    df_num: int
    df_denom: float
    p_value: float


@dataclass(frozen=True, slots=True)
class CoefficientInference:
    """Coefficients with the covariance and df rule their tests use.

    Attributes
    ----------
    beta : (p,) array
    vcov : (p, p) array
        What the tests use: Kenward-Roger adjusted where that is the method.
    Phi : (p, p) array
        Not adjusted.
    Phi_gradient : (n_theta, p, p) array
        Derivative of Phi by each covariance parameter, engine units.
    theta_vcov : (n_theta, n_theta) array
        Inverse information of the covariance parameters, engine units.
    df_method, information
        As asked for.
    residual_df : float
    """

    beta: FloatArray
    vcov: FloatArray
    Phi: FloatArray
    Phi_gradient: FloatArray
    theta_vcov: FloatArray
    df_method: DfMethod
    information: Information
    residual_df: float

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def infer(self, L: FloatArray) -> LinearFunctions:
        """Estimates, covariance and df of the rows of L, (r, p)."""
        L = np.atleast_2d(np.asarray(L, dtype=float))
        return LinearFunctions(L @ self.beta, L @ self.vcov @ L.T, self.compute_df(L))

    def compute_df(self, L: FloatArray) -> FloatArray:
        """Degrees of freedom of each row of L; NaN for a row of zeros."""
        if self.df_method in ("normal", "residual"):
            value = np.inf if self.df_method == "normal" else self.residual_df
            return np.full(len(L), value)
        # One-df Kenward-Roger has lambda = 1 and the Satterthwaite df; only vcov differs.
        return satterthwaite.compute_df(L, self.Phi, self.Phi_gradient, self.theta_vcov)

    def test_jointly(self, L: FloatArray) -> FTest:
        """F test of L beta = 0; dependent rows of L are reduced to a basis first."""
        L = _row_basis(np.atleast_2d(np.asarray(L, dtype=float)), self.Phi)
        q = len(L)
        estimate = L @ self.beta
        statistic = float(estimate @ np.linalg.solve(L @ self.vcov @ L.T, estimate)) / q
        df_denom = self._f_df(L)
        if self.df_method == "kenward_roger" and q > 1:
            scaled = kenward_roger.compute_f_scaling(
                L, self.Phi, self.Phi_gradient, self.theta_vcov
            )
            statistic, df_denom = statistic * scaled.scaling, scaled.df_denom
        return FTest(statistic, q, df_denom, compute_f_p_value(statistic, q, df_denom))

    def _f_df(self, L: FloatArray) -> float:
        if self.df_method == "satterthwaite":
            return satterthwaite.compute_f_df(L, self.Phi, self.Phi_gradient, self.theta_vcov)
        return float(self.compute_df(L[:1])[0])


def build_inference(
    fit: EngineFit, df_method: DfMethod | None, information: Information
) -> CoefficientInference:
    """Equip a fit with a covariance for beta and a df rule.

    Raises
    ------
    AibmdError
        Unknown or impossible combination.
    ConvergenceError
        The information is not positive definite, so no df exist.
    """
    chosen = choose_df_method(df_method, fit.method)
    if information not in ("observed", "expected"):
        raise AibmdError(f"information={information!r} is not 'observed' or 'expected'")
    needs_theta = chosen in ("satterthwaite", "kenward_roger")
    Phi = fit.at.Phi
    theta_vcov = _theta_vcov(fit, information) if needs_theta else np.empty((0, 0))
    Phi_gradient = Phi @ fit.derivatives.P @ Phi if needs_theta else np.empty((0, *Phi.shape))
    vcov = fit.Phi
    if chosen == "kenward_roger":
        vcov = kenward_roger.compute_adjusted_vcov(fit, theta_vcov)
    n, p = fit.cross.n_rows, fit.cross.n_coefficients
    return CoefficientInference(
        beta=fit.beta,
        vcov=vcov,
        Phi=fit.Phi,
        Phi_gradient=fit.to_user_scale(Phi_gradient),
        theta_vcov=theta_vcov,
        df_method=chosen,
        information=information,
        residual_df=float(n - p),
    )


def choose_df_method(df_method: DfMethod | None, method: Method) -> DfMethod:
    """The default of each criterion, or the method asked for if it can be had."""
    if df_method is None:
        return "kenward_roger" if method == "reml" else "satterthwaite"
    if df_method not in DF_METHODS:
        raise AibmdError(
            f"df_method={df_method!r} is not available; available: {', '.join(DF_METHODS)}"
        )
    if df_method == "kenward_roger" and method == "ml":
        raise AibmdError(
            "Kenward-Roger corrects REML estimates and has no meaning after method='ml'; "
            "use method='reml', or df_method='satterthwaite'"
        )
    return df_method


def check_conf_level(conf_level: float) -> None:
    """Refuse a level that is no probability; 95 is meant as 0.95."""
    if not 0.0 < conf_level < 1.0:
        raise AibmdError(f"the level {conf_level!r} is not between 0 and 1; 95 % is 0.95")


def compute_t_p_value(statistic: FloatArray, df: FloatArray) -> FloatArray:
    """Two-sided, from the tail, so that small values keep their digits."""
    return np.asarray(2.0 * stdtr(df, -np.abs(statistic)), dtype=float)


def compute_f_p_value(statistic: float, df_num: float, df_denom: float) -> float:
    """Upper tail of F; infinite df_denom is the chi-square limit."""
    if np.isinf(df_denom):
        from scipy.special import chdtrc

        return float(chdtrc(df_num, df_num * statistic))
    return float(fdtrc(df_num, df_denom, statistic))


def _theta_vcov(fit: EngineFit, information: Information) -> FloatArray:
    """Inverse information, where there is a maximum inside to take it at."""
    certificate = fit.certificate
    if not certificate.singular and certificate.is_definite:
        with suppress(np.linalg.LinAlgError):
            return inverse_spd(getattr(fit.derivatives, information))
    reason = "; ".join(certificate.messages) or "the information is not positive definite"
    raise ConvergenceError(
        f"no degrees of freedom exist for this fit: {reason}. Use a simpler covariance "
        "(for example covariance='cs'), or df_method='residual' to see the estimates"
    )


def _row_basis(L: FloatArray, Phi: FloatArray) -> FloatArray:
    """Rows of L if they are independent, else a basis of what they span.

    Independence is judged after scaling every row to an estimate of variance one.
    """
    variance = np.einsum("rp,pq,rq->r", L, Phi, L)
    L = L[variance > 0]
    if not len(L):
        raise AibmdError("the hypothesis matrix L has no nonzero row")
    scaled = L / np.sqrt(variance[variance > 0])[:, None]
    values, vectors = np.linalg.eigh(scaled @ Phi @ scaled.T)
    independent = values > _INDEPENDENT * values[-1]
    return L if independent.all() else np.asarray(vectors[:, independent].T @ scaled)
