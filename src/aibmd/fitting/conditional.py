"""Best linear prediction of rows from other rows of the same woman, labels (PR4) to (PR8).

Labels are those of docs/methods/prediction.md. Everything is done for one target row and
the k rows it is predicted from, so nothing larger than (k + 1) x (k + 1) is formed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.new_rows import RowPool
from aibmd.inference.coefficients import compute_theta_vcov
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.compositions import RestrictedTerm
from aibmd.model.criteria import order_by_subject

# Numbers held at once (32 MB).
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class PredictionTarget:
    """What is predicted.

    Attributes
    ----------
    own_errors : bool
        Whether rows are related through their errors too, or through random effects alone.
    new_observation : bool
        Whether the row's own deviation counts: an observation, not a mean.
    """

    own_errors: bool
    new_observation: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions with the variance of their error, user's scale; NaN where data are silent.

    Attributes
    ----------
    estimate, variance, df : (m,) arrays
        The last two are NaN where not asked for.
    """

    estimate: FloatArray
    variance: FloatArray
    df: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def predict_rows(
    fit: MixedFit,
    pool: RowPool,
    targets: IntArray,
    given: IntArray,
    y: FloatArray,
    target: PredictionTarget,
    with_spread: bool,
) -> Prediction:
    """Predict each target row from the given rows of the same subject.

    Parameters
    ----------
    fit : MixedFit
    pool : RowPool
    targets : (m,) int array
        Pooled rows.
    given : (g,) int array
        Pooled rows whose response is known.
    y : (n + m,) array
        Responses of pooled rows; used at `given`.
    target : PredictionTarget
    with_spread : bool
        Whether variance and df are needed.
    """
    estimate, variance, df = np.empty((3, len(targets)))
    uncertainty = _ThetaUncertainty.of(fit) if with_spread else None
    n_theta = len(fit.engine.theta)
    for which, rows in _stacks(pool, targets, given):
        width = rows.shape[1] ** 2 * (n_theta + 4) + n_theta * len(fit.inference.beta)
        step = max(1, _BLOCK // width)
        for begin in range(0, len(which), step):
            some = which[begin : begin + step]
            stack = _Stack.of(fit, pool, rows[begin : begin + step], y, target)
            estimate[some] = stack.estimate
            if uncertainty is not None:
                variance[some], df[some] = uncertainty.spread(fit, stack, target)
    return Prediction(estimate, variance, df)


def _stacks(
    pool: RowPool, targets: IntArray, given: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Places in `targets`, and (N, 1 + k) pooled rows: a target, then what it is predicted from."""
    who = pool.who[targets]
    done = np.zeros(len(targets), dtype=bool)
    for block in order_by_subject(pool.who[given]).blocks if len(given) else ():
        rows = given[block]
        line = np.full(int(pool.who.max()) + 1, -1)
        line[pool.who[rows[:, 0]]] = np.arange(len(rows))
        which = np.flatnonzero(line[who] >= 0)
        if len(which):
            done[which] = True
            yield which, np.column_stack([targets[which], rows[line[who[which]]]])
    alone = np.flatnonzero(~done)
    if len(alone):
        yield alone, targets[alone][:, None]


@dataclass(frozen=True, slots=True)
class _Stack:
    """N targets with k given rows each; covariances in the scaled basis, rows weighted.

    rows (N, 1 + k), V as the target sees it, B = C V_oo^-1, m = x - B X_o on the user's scale.
    """

    rows: IntArray
    features: RowFeatures
    V: FloatArray
    B: FloatArray
    X_given: FloatArray
    m: FloatArray
    root: FloatArray
    estimate: FloatArray

    @classmethod
    def of(
        cls, fit: MixedFit, pool: RowPool, rows: IntArray, y: FloatArray, target: PredictionTarget
    ) -> "_Stack":
        engine, beta = fit.engine, fit.inference.beta
        root = pool.root_weight[rows]
        features = pool.features.take(rows)
        if features.random:
            parts = tuple(
                type(part)(part.Z * root[..., None], part.level) for part in features.random
            )
            features = _with_random(features, parts)
        V = np.array(
            np.broadcast_to(
                engine.covariance.value(engine.theta_scaled, features), (*rows.shape, rows.shape[1])
            )
        )
        if not target.own_errors:
            _forget_errors(V, _error_part(fit, features), target)
        X = pool.columns_of(fit, rows) * root[..., None]
        B = _solve_given(V)
        residual = y[rows[:, 1:]] * root[:, 1:] - X[:, 1:] @ beta
        m = (X[:, 0] - np.einsum("nk,nkp->np", B, X[:, 1:])) / root[:, :1]
        estimate = (X[:, 0] @ beta + np.einsum("nk,nk->n", B, residual)) / root[:, 0]
        silent = _is_silent(fit, features)
        if silent is not None:
            estimate = np.where(silent, np.nan, estimate)
        return cls(rows, features, V, B, X[:, 1:], m, root[:, 0], estimate)


def _with_random(features: RowFeatures, parts: tuple) -> RowFeatures:
    return RowFeatures(
        features.visit,
        features.repeated,
        features.group,
        features.residual_group,
        features.time,
        parts,
    )


def _error_part(fit: MixedFit, features: RowFeatures) -> FloatArray:
    """Covariance of the errors beside random effects."""
    term = fit.engine.covariance
    assert isinstance(term, SumTerm)
    return term.parts[-1].value(term.split(fit.engine.theta_scaled)[-1], features)


def _forget_errors(V: FloatArray, errors: FloatArray, target: PredictionTarget) -> None:
    """The target's error is not hers to predict: leave it out, or make it a new one."""
    V[..., 0, 1:] -= errors[..., 0, 1:]
    V[..., 1:, 0] -= errors[..., 1:, 0]
    if not target.new_observation:
        V[..., 0, 0] -= errors[..., 0, 0]


def _solve_given(V: FloatArray) -> FloatArray:
    """B = C V_oo^-1 (PR4)."""
    if V.shape[-1] == 1:
        return np.zeros((len(V), 0))
    try:
        np.linalg.cholesky(V[:, 1:, 1:])
        return np.linalg.solve(V[:, 1:, 1:], V[:, 1:, :1])[..., 0]
    except np.linalg.LinAlgError:
        raise AibmdError(
            "the known rows of a subject repeat a visit or time: keep one of each in newdata"
        ) from None


def _is_silent(fit: MixedFit, features: RowFeatures) -> FloatArray | None:
    """Whether a covariance between target and given rows is one the data cannot speak of."""
    term = fit.engine.covariance
    if not isinstance(term, RestrictedTerm):
        return None
    E = np.abs(term.first(fit.engine.theta_scaled, features)).sum(axis=0)
    return (E[:, 0] == 0).any(axis=-1)


@dataclass(frozen=True, slots=True)
class _ThetaUncertainty:
    """W, the covariance of theta, and the derivatives of Phi; None where df are fixed."""

    W: FloatArray
    Phi_gradient: FloatArray
    fixed_df: float | None

    @classmethod
    def of(cls, fit: MixedFit) -> "_ThetaUncertainty":
        inference, engine = fit.inference, fit.engine
        fixed = {"normal": np.inf, "residual": inference.residual_df}.get(inference.df_method)
        W, gradient = inference.theta_vcov, inference.Phi_gradient
        if fixed is None and not W.size:
            W = compute_theta_vcov(engine, inference.information)
            scaled = engine.at.Phi @ engine.derivatives.P @ engine.at.Phi
            gradient = engine.least_squares.to_user_vcov(scaled)
        return cls(W, gradient, fixed)

    def spread(
        self, fit: MixedFit, stack: _Stack, target: PredictionTarget
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

    def _gradient(self, fit: MixedFit, stack: _Stack, target: PredictionTarget) -> FloatArray:
        """(N, h) derivative of the variance by theta (PR7)."""
        engine, Phi = fit.engine, fit.inference.Phi
        E = engine.covariance.first(engine.theta_scaled, stack.features)
        E = np.array(np.broadcast_to(E, (len(E), *stack.V.shape)))
        if not target.own_errors:
            _forget_errors(E, _error_derivatives(fit, E), target)
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
        return gradient


def _error_derivatives(fit: MixedFit, E: FloatArray) -> FloatArray:
    """Those of the errors, nil for the parameters of the random effects."""
    term = fit.engine.covariance
    assert isinstance(term, SumTerm)
    n_effects = sum(len(part.names) for part in term.parts if isinstance(part, RandomEffectsTerm))
    errors = E.copy()
    errors[:n_effects] = 0.0
    return errors
