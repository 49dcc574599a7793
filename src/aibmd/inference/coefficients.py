"""What can be said of any linear function of the coefficients: one object, any df method."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import fdtrc, stdtr

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.inference import kenward_roger, satterthwaite
from aibmd.inference.between_within import compute_column_df
from aibmd.inference.sandwich import Sandwich, compute_sandwich
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, inverse_spd
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.design import Design
from aibmd.model.engine import EngineFit
from aibmd.model.subject_rows import iterate_subjects
from aibmd.vocabulary import DfMethod, Information, Method, VcovMethod

DF_METHODS: Final[tuple[DfMethod, ...]] = (
    "kenward_roger",
    "kenward_roger_second_order",
    "satterthwaite",
    "between_within",
    "residual",
    "normal",
)
VCOV_METHODS: Final[tuple[VcovMethod, ...]] = ("model", "CR0", "CR2", "CR3")
KENWARD_ROGER: Final = ("kenward_roger", "kenward_roger_second_order")
# Rows of L count as dependent below this share of variance.
_INDEPENDENT = 1e-12
DF_TITLES: Final = {
    "kenward_roger": "Kenward-Roger (1997, first order)",
    "kenward_roger_second_order": "Kenward-Roger (1997, second order, SAS parameters)",
    "satterthwaite": "Satterthwaite",
    "between_within": "between-within",
    "residual": "residual (rows minus coefficients)",
    "normal": "normal (infinite df)",
}


VCOV_TITLES: Final = {
    "model": "model-based",
    "CR0": "sandwich CR0",
    "CR2": "sandwich CR2, bias reduced",
    "CR3": "sandwich CR3, jackknife-like",
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
        What the tests use: Kenward-Roger adjusted, or robust, where that is the method.
    Phi : (p, p) array
        Model-based and not adjusted.
    Phi_gradient : (n_theta, p, p) array
        Derivative of Phi by each covariance parameter, engine units.
    theta_vcov : (n_theta, n_theta) array
        Inverse information of the covariance parameters, engine units.
    df_method, information, vcov_method
        As asked for.
    residual_df : float
    column_df : (p,) array
        Between-within df of each coefficient; empty otherwise.
    sandwich : Sandwich or None
        Robust covariance, in the basis of the least squares.
    to_scaled : (p, p) array
        Rows of L @ to_scaled are in that basis.
    """

    beta: FloatArray
    vcov: FloatArray
    Phi: FloatArray
    Phi_gradient: FloatArray
    theta_vcov: FloatArray
    df_method: DfMethod
    information: Information
    residual_df: float
    vcov_method: VcovMethod = "model"
    column_df: FloatArray = field(default_factory=lambda: np.empty(0))
    sandwich: Sandwich | None = None
    to_scaled: FloatArray = field(default_factory=lambda: np.empty((0, 0)))

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
        if self.df_method == "between_within":
            uses = np.where(L != 0, self.column_df, np.inf).min(axis=1)
            return np.where(np.isfinite(uses), uses, np.nan)
        if self.sandwich is not None:
            return self.sandwich.compute_df(L @ self.to_scaled)
        # One-df Kenward-Roger has lambda = 1 and the Satterthwaite df; only vcov differs.
        return satterthwaite.compute_df(L, self.Phi, self.Phi_gradient, self.theta_vcov)

    def test_jointly(self, L: FloatArray) -> FTest:
        """F test of L beta = 0; dependent rows of L are reduced to a basis first."""
        L = _row_basis(np.atleast_2d(np.asarray(L, dtype=float)), self.Phi)
        q = len(L)
        estimate = L @ self.beta
        covariance = L @ self.vcov @ L.T
        self._refuse_singular(covariance)
        statistic = float(estimate @ np.linalg.solve(covariance, estimate)) / q
        df_denom = self._f_df(L, covariance)
        if self.df_method in KENWARD_ROGER and q > 1:
            scaled = kenward_roger.compute_f_scaling(
                L, self.Phi, self.Phi_gradient, self.theta_vcov
            )
            statistic, df_denom = statistic * scaled.scaling, scaled.df_denom
        return FTest(statistic, q, df_denom, compute_f_p_value(statistic, q, df_denom))

    def _f_df(self, L: FloatArray, covariance: FloatArray) -> float:
        if self.df_method == "between_within":
            return float(self.compute_df(L).min())
        if self.df_method != "satterthwaite":
            return float(self.compute_df(L[:1])[0])
        spread = covariance if self.sandwich is not None else L @ self.Phi @ L.T
        return satterthwaite.combine_f_df(L, spread, self.compute_df)

    def _refuse_singular(self, covariance: FloatArray) -> None:
        """A sandwich of few subjects can have less rank than the hypothesis."""
        if self.sandwich is None:
            return
        sd = np.sqrt(np.diagonal(covariance))
        if not (sd > 0).all() or np.linalg.eigvalsh(covariance / sd[:, None] / sd)[0] < 1e-10:
            raise AibmdError(
                f"the {self.vcov_method} covariance cannot test {len(covariance)} functions at "
                "once: there are too few subjects for them. Test fewer, or use vcov='model'"
            )


def build_inference(
    fit: EngineFit,
    df_method: DfMethod | None,
    information: Information,
    vcov: VcovMethod = "model",
    design: Design | None = None,
    features: RowFeatures | None = None,
) -> CoefficientInference:
    """Equip a fit with a covariance for beta and a df rule.

    Parameters
    ----------
    fit : EngineFit
    df_method : str or None
    information : "observed" or "expected"
    vcov : "model", "CR0", "CR2" or "CR3"
    design, features
        The rows, for a sandwich and for between-within df.

    Raises
    ------
    AibmdError
        Unknown or impossible combination.
    ConvergenceError
        The information is not positive definite, so no df exist.
    """
    weighted = design is not None and design.rows.sampling_weights is not None
    chosen = choose_df_method(df_method, fit.method, vcov, weighted)
    if information not in ("observed", "expected"):
        raise AibmdError(f"information={information!r} is not 'observed' or 'expected'")
    scale, Phi = fit.least_squares, fit.at.Phi
    n, p = scale.n_rows, scale.n_coefficients
    sandwich, column_df = None, np.empty(0)
    if vcov != "model" and design is not None and features is not None:
        sandwich = compute_sandwich(iterate_subjects(design, features, fit), Phi, vcov)
    if chosen == "between_within" and design is not None:
        column_df = compute_column_df(design.columns_of(np.arange(n)), design.rows.subject)
    needs_theta = sandwich is None and (chosen == "satterthwaite" or chosen in KENWARD_ROGER)
    theta_vcov = compute_theta_vcov(fit, information) if needs_theta else np.empty((0, 0))
    Phi_gradient = Phi @ fit.derivatives.P @ Phi if needs_theta else np.empty((0, p, p))
    covariance = fit.Phi if sandwich is None else scale.to_user_vcov(sandwich.vcov)
    if chosen in KENWARD_ROGER:
        second_order = chosen == "kenward_roger_second_order"
        covariance = kenward_roger.compute_adjusted_vcov(fit, theta_vcov, second_order)
    return CoefficientInference(
        beta=fit.beta,
        vcov=covariance,
        Phi=fit.Phi,
        Phi_gradient=scale.to_user_vcov(Phi_gradient),
        theta_vcov=theta_vcov,
        df_method=chosen,
        information=information,
        residual_df=float(n - p),
        vcov_method=vcov,
        column_df=column_df,
        sandwich=sandwich,
        to_scaled=scale.basis.transform * scale.scale,
    )


def choose_df_method(
    df_method: DfMethod | None,
    method: Method,
    vcov: VcovMethod = "model",
    has_sampling_weights: bool = False,
) -> DfMethod:
    """The default of each criterion, or the method asked for if it can be had."""
    if vcov not in VCOV_METHODS:
        raise AibmdError(f"vcov={vcov!r} is not available; available: {', '.join(VCOV_METHODS)}")
    if has_sampling_weights and vcov == "model":
        raise AibmdError(
            "sampling_weights need a sandwich: model-based standard errors would count weights "
            "as data. Give vcov='CR2' (few subjects) or vcov='CR0' (many)"
        )
    if df_method is None:
        return "kenward_roger" if method == "reml" and vcov == "model" else "satterthwaite"
    if df_method not in DF_METHODS:
        raise AibmdError(
            f"df_method={df_method!r} is not available; available: {', '.join(DF_METHODS)}"
        )
    if df_method in KENWARD_ROGER and vcov != "model":
        raise AibmdError(
            f"Kenward-Roger corrects the model-based covariance and vcov={vcov!r} is not that; "
            "use df_method='satterthwaite' (Bell-McCaffrey) with a sandwich"
        )
    if df_method in KENWARD_ROGER and method == "ml":
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


def compute_theta_vcov(fit: EngineFit, information: Information) -> FloatArray:
    """Inverse information, where there is a maximum inside to take it at."""
    certificate, boundary = fit.certificate, fit.boundary
    if certificate.is_bounded and certificate.is_definite:
        with suppress(np.linalg.LinAlgError):
            is_observed = information == "observed"
            along = boundary.restrict(getattr(fit.derivatives, information), is_observed)
            return np.asarray(boundary.tangent @ inverse_spd(along) @ boundary.tangent.T)
    reason = "; ".join(certificate.messages) or "the information is not positive definite"
    raise ConvergenceError(
        f"no degrees of freedom exist for this fit: {reason}. Use {_simpler(fit)}, or "
        "df_method='residual' to see the estimates"
    )


def _simpler(fit: EngineFit) -> str:
    if fit.covariance.effects:
        return "fewer random effects or an independent residual (for example random='1')"
    return "a simpler covariance (for example covariance='cs')"


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
