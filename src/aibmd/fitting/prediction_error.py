"""Variance of prediction errors and its degrees of freedom, (PR5) to (PR8)."""

from dataclasses import dataclass

import numpy as np

from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.stacked_rows import PredictionTarget, StackedRows, forget_errors
from aibmd.inference.build import compute_theta_vcov
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm


@dataclass(frozen=True, slots=True)
class ThetaUncertainty:
    """W, the covariance of theta, and the derivatives of Phi; None where df are fixed."""

    W: FloatArray
    Phi_gradient: FloatArray
    fixed_df: float | None

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @classmethod
    def of(cls, fit: MixedFit) -> "ThetaUncertainty":
        """That of a fit, computed where its df method did without."""
        inference, engine = fit.inference, fit.engine
        fixed = {"normal": np.inf, "residual": inference.residual_df}.get(inference.df_method)
        W, gradient = inference.theta_vcov, inference.Phi_gradient
        if fixed is None and not W.size:
            W = compute_theta_vcov(engine, inference.information)
            scaled = engine.at.Phi @ engine.derivatives.P @ engine.at.Phi
            gradient = engine.least_squares.to_user_vcov(scaled)
        return cls(W, gradient, fixed)

    def spread(
        self, fit: MixedFit, stack: StackedRows, target: PredictionTarget
    ) -> tuple[FloatArray, FloatArray]:
        """Variance of the prediction error (PR5, PR6) and its Satterthwaite df (PR8)."""
        inference, m = fit.inference, stack.m
        own = np.zeros(len(m))
        if target.new_observation or not target.own_errors:
            rest = np.einsum("nk,nk->n", stack.B, stack.V[:, 0, 1:])
            own = np.maximum(stack.V[:, 0, 0] - rest, 0.0) / stack.root**2
            own = own * fit.engine.least_squares.scale**2
        total = own + np.einsum("np,pq,nq->n", m, inference.vcov, m)
        if self.fixed_df is not None:
            return total, np.full(len(m), self.fixed_df)
        gradient = self._gradient(fit, stack, target)
        unadjusted = own + np.einsum("np,pq,nq->n", m, inference.Phi, m)
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.einsum("nh,hk,nk->n", gradient, self.W, gradient)
            return total, 2.0 * unadjusted**2 / spread

    def _gradient(self, fit: MixedFit, stack: StackedRows, target: PredictionTarget) -> FloatArray:
        """(N, h) derivative of the variance by theta (PR7)."""
        engine, Phi = fit.engine, fit.inference.Phi
        E = engine.covariance.first(engine.theta_scaled, stack.features)
        E = np.array(np.broadcast_to(E, (len(E), *stack.V.shape)))
        if not target.own_errors:
            forget_errors(E, _error_derivatives(fit, E), target)
        a = np.concatenate([np.ones((len(stack.m), 1)), -stack.B], axis=1)
        aE = np.einsum("na,hnab->hnb", a, E)
        gradient = np.einsum("np,hpq,nq->nh", stack.m, self.Phi_gradient, stack.m)
        if stack.B.shape[1]:
            turn = np.linalg.solve(stack.V[:, 1:, 1:], stack.X_given)
            dm = -np.einsum("hnk,nkp->hnp", aE[..., 1:], turn) / stack.root[:, None]
            gradient += 2.0 * np.einsum("hnp,pq,nq->nh", dm, Phi, stack.m)
        if target.new_observation or not target.own_errors:
            own = np.einsum("hnb,nb->nh", aE, a) / stack.root[:, None] ** 2
            gradient += own * engine.least_squares.scale**2
        return np.asarray(gradient)


def _error_derivatives(fit: MixedFit, E: FloatArray) -> FloatArray:
    """Those of the errors, nil for the parameters of the random effects."""
    term = fit.engine.covariance
    assert isinstance(term, SumTerm)
    n_effects = sum(len(part.names) for part in term.parts if isinstance(part, RandomEffectsTerm))
    errors = E.copy()
    errors[:n_effects] = 0.0
    return errors
