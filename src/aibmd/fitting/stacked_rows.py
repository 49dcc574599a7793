"""A row to predict stacked on the known rows of the same woman, with their covariance.

Labels (PR4) to (PR8) are those of docs/methods/prediction.md. Nothing larger than
(k + 1) x (k + 1) is formed for a target and its k known rows.
"""

from dataclasses import dataclass, replace

import numpy as np

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.new_rows import RowPool
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.covariance.compositions import RestrictedTerm
from aibmd.model.covariance.effects import SumTerm
from aibmd.model.covariance.features import RandomPart, RowFeatures

# A known row with less than this share of variance of its own repeats another.
_REPEATED = 1e-12


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
class StackedRows:
    """N targets, each with k known rows behind it; the scaled basis unless said otherwise.

    Attributes
    ----------
    features : RowFeatures
        (N, 1 + k), random effects weighted.
    V : (N, 1 + k, 1 + k) array
        Covariance as the target sees it.
    B : (N, k) array
        C V_oo^-1 (PR4).
    X_given : (N, k, p) array
        Columns of the known rows, user's scale, times the root of their weight.
    m : (N, p) array
        x - B X_o, user's scale.
    root : (N,) array
        Root of the target's weight.
    estimate : (N,) array
        User's scale; NaN where a covariance is needed that no data speak of.
    """

    features: RowFeatures
    V: FloatArray
    B: FloatArray
    X_given: FloatArray
    m: FloatArray
    root: FloatArray
    estimate: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @classmethod
    def of(
        cls, fit: MixedFit, pool: RowPool, rows: IntArray, y: FloatArray, target: PredictionTarget
    ) -> "StackedRows":
        """Stack pooled `rows`, (N, 1 + k): a target, then what it is predicted from."""
        engine, beta = fit.engine, fit.inference.beta
        root = pool.root_weight[rows]
        features = pool.features.take(rows)
        if features.random:
            weighted = (RandomPart(p.Z * root[..., None], p.level) for p in features.random)
            features = replace(features, random=tuple(weighted))
        V = np.array(
            np.broadcast_to(
                engine.covariance.value(engine.theta_scaled, features), (*rows.shape, rows.shape[1])
            )
        )
        if not target.own_errors:
            forget_errors(V, _error_part(fit, features), target)
        X = pool.columns_of(fit, rows) * root[..., None]
        B = _solve_given(V)
        residual = y[rows[:, 1:]] * root[:, 1:] - X[:, 1:] @ beta
        m = (X[:, 0] - np.einsum("nk,nkp->np", B, X[:, 1:])) / root[:, :1]
        estimate = (X[:, 0] @ beta + np.einsum("nk,nk->n", B, residual)) / root[:, 0]
        silent = _is_silent(fit, features)
        if silent is not None:
            estimate = np.where(silent, np.nan, estimate)
        return cls(features, V, B, X[:, 1:], m, root[:, 0], estimate)


def _error_part(fit: MixedFit, features: RowFeatures) -> FloatArray:
    """Covariance of the errors beside random effects."""
    term = fit.engine.covariance
    assert isinstance(term, SumTerm)
    return term.parts[-1].value(term.split(fit.engine.theta_scaled)[-1], features)


def forget_errors(V: FloatArray, errors: FloatArray, target: PredictionTarget) -> None:
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
        pivots = np.linalg.cholesky(V[:, 1:, 1:]).diagonal(0, 1, 2) ** 2
        if (pivots < _REPEATED * V.diagonal(0, 1, 2)[:, 1:]).any():
            raise np.linalg.LinAlgError
        return np.asarray(np.linalg.solve(V[:, 1:, 1:], V[:, 1:, :1])[..., 0])
    except np.linalg.LinAlgError:
        raise AibmdError(
            "the known rows of a subject repeat a visit or time: keep one of each in newdata"
        ) from None


def _is_silent(fit: MixedFit, features: RowFeatures) -> BoolArray | None:
    """Whether a covariance between target and given rows is one the data cannot speak of."""
    term = fit.engine.covariance
    if not isinstance(term, RestrictedTerm):
        return None
    E = np.abs(term.first(fit.engine.theta_scaled, features)).sum(axis=0)
    return np.asarray((E[:, 0] == 0).any(axis=-1))
