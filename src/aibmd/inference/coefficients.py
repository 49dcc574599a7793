"""What can be said of any linear function of the coefficients: one object, any df method."""

from dataclasses import dataclass, field

import numpy as np

from aibmd.errors import AibmdError
from aibmd.inference import kenward_roger, satterthwaite
from aibmd.inference.distributions import compute_f_p_value
from aibmd.inference.options import KENWARD_ROGER
from aibmd.inference.sandwich import Sandwich
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.vocabulary import DfMethod, Information, VcovMethod

# Share of a function's largest part that is rounding.
_ROUNDING = 1e-9
# Rows of L count as dependent below this share of variance.
_INDEPENDENT = 1e-12


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
            # A coefficient counts as used where it moves the function by more than rounding.
            moved = np.abs(L) * np.sqrt(np.diagonal(self.vcov))
            is_used = moved > _ROUNDING * moved.max(axis=1, keepdims=True)
            least = np.where(is_used, self.column_df, np.inf).min(axis=1)
            return np.where(np.isfinite(least), least, np.nan)
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
