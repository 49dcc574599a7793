"""Many outcomes on one design at once: simulation and bootstrap.

Every outcome has its own residuals and its own Sigma; patterns, X and the sums of X are
shared, so all of them climb together, one array operation for all. Only for structures that
are linear in theta. Labels (M1) to (M6) are those of docs/methods/mmrm.md; the leading axis
of every array is the outcome.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, packed_weights, unpack_symmetric
from aibmd.model.criterion import LOG_2PI
from aibmd.model.optimiser import DECREMENT_GOAL
from aibmd.model.outcome_products import OutcomeProducts
from aibmd.vocabulary import Method

_MAX_STEPS = 30
# Newton steps take over below this gain, as in `optimiser`.
_NEWTON_ZONE = 0.5
_ROUNDING = 1e-12
_SETTLED = 1e-12


@dataclass(frozen=True, slots=True)
class Together:
    """All outcomes at their own theta, in the basis of the least squares.

    Attributes
    ----------
    theta : (B, n_theta); loglik : (B,); beta : (B, p); Phi : (B, p, p)
    P : (B, n_theta, p, p)
        X'V^-1 E_h V^-1 X.
    expected, observed : (B, n_theta, n_theta)
    decrement : (B,)
        Twice the log-likelihood left to gain.
    settled : (B,) bool
        Whether an outcome has reached its maximum; the others need a search of their own.
    """

    theta: FloatArray
    loglik: FloatArray
    beta: FloatArray
    Phi: FloatArray
    P: FloatArray
    expected: FloatArray
    observed: FloatArray
    decrement: FloatArray
    settled: BoolArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(slots=True)
class _State:
    """Where the outcomes that still climb are."""

    W: FloatArray
    loglik: FloatArray
    Phi: FloatArray
    beta: FloatArray
    inside: BoolArray


def maximise_together(
    data: OutcomeProducts, E: FloatArray, start: FloatArray, method: Method
) -> Together:
    """Climb from `start`, (B, n_theta), each outcome to its own maximum.

    Parameters
    ----------
    data : OutcomeProducts
    E : (n_theta, m, m) array
        Derivatives of Sigma.
    start : (B, n_theta) array
    method : "reml" or "ml"
    """
    theta, n_outcomes = start.copy(), len(start)
    state = _evaluate(data, theta, E, method)
    alive = state.inside.copy()
    settled, decrement = np.zeros(n_outcomes, dtype=bool), np.full(n_outcomes, np.inf)
    for _ in range(_MAX_STEPS):
        moving = np.flatnonzero(alive & ~settled)
        if not len(moving):
            break
        some = data.take(moving)
        here = _pick(state, moving)
        score, expected, observed, _ = _differentiate(some, here, E, method)
        step, gain = _steps(score, expected, observed)
        finite = np.isfinite(gain) & (gain >= 0)
        alive[moving[~finite]] = False
        previous = decrement[moving]
        decrement[moving] = gain
        done = (gain <= DECREMENT_GOAL) | ((gain < _SETTLED) & (gain > 0.1 * previous))
        settled[moving[finite & done]] = True
        go = moving[finite & ~done]
        if len(go):
            _advance(data, E, method, theta, state, alive, go, step[finite & ~done])
    score, expected, observed, P = _differentiate(data, state, E, method)
    return Together(
        theta, state.loglik, state.beta, state.Phi, P, expected, observed, decrement, settled
    )


def _advance(
    data: OutcomeProducts,
    E: FloatArray,
    method: Method,
    theta: FloatArray,
    state: _State,
    alive: BoolArray,
    go: np.ndarray,
    step: FloatArray,
) -> None:
    """Full steps, halved for the outcomes that would leave the cone or descend."""
    left, share = np.arange(len(go)), 1.0
    for _ in range(12):
        who = go[left]
        proposal = theta[who] + share * step[left]
        there = _evaluate(data.take(who), proposal, E, method)
        floor = state.loglik[who] - _ROUNDING * np.maximum(np.abs(state.loglik[who]), 1.0)
        good = there.inside & (there.loglik >= floor)
        theta[who[good]] = proposal[good]
        _put(state, who[good], _pick(there, np.flatnonzero(good)))
        left, share = left[~good], 0.5 * share
        if not len(left):
            return
    alive[go[left]] = False


def _evaluate(data: OutcomeProducts, theta: FloatArray, E: FloatArray, method: Method) -> _State:
    m, p = E.shape[-1], data.n_coefficients
    Sigma = (theta @ E.reshape(len(E), -1)).reshape(-1, 1, m, m)
    padded = Sigma * data.padding.both + data.padding.missing
    inside = _is_positive_definite(padded).all(axis=1)
    padded[~inside] = np.eye(m)
    log_det_V = np.linalg.slogdet(padded)[1] @ data.n_subjects
    W = np.linalg.inv(padded) - data.padding.missing
    w = W[:, data.pattern, data.first, data.second]
    A = unpack_symmetric(w @ data.xx, p)
    c = np.einsum("bz,zpb->bp", w, data.xr, optimize=True)
    Phi = np.asarray(np.linalg.inv(A), dtype=np.float64)
    beta = (Phi @ c[..., None])[..., 0]
    quadratic = np.einsum("bz,zb->b", w, data.rr) - (c * beta).sum(axis=1)
    constant = data.n_rows - (p if method == "reml" else 0)
    total = constant * LOG_2PI + log_det_V + quadratic
    if method == "reml":
        total = total + np.linalg.slogdet(A)[1]
    return _State(W, -0.5 * total, Phi, beta, inside & np.isfinite(total))  # (M1)


def _is_positive_definite(matrices: FloatArray) -> BoolArray:
    """Every leading minor of small matrices by elimination; one bad one does not stop the rest."""
    A = matrices.copy()
    good = np.ones(A.shape[:-2], dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for j in range(A.shape[-1]):
            pivot = A[..., j, j]
            good &= pivot > 1e-13 * np.abs(matrices[..., j, j])
            row = A[..., j, j + 1 :] / pivot[..., None]
            A[..., j + 1 :, j + 1 :] -= A[..., j + 1 :, j, None] * row[..., None, :]
    return good


def _differentiate(
    data: OutcomeProducts, at: _State, E: FloatArray, method: Method
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Score, expected and observed information, and P, for every outcome."""
    n_theta, m, p = len(E), E.shape[-1], data.n_coefficients
    flat_E = E.reshape(n_theta, -1)
    left = at.W[:, data.pattern, data.first]
    right = at.W[:, data.pattern, data.second]
    D = (left[..., :, None] * right[..., None, :]).reshape(*left.shape[:2], -1) @ flat_E.T
    P = unpack_symmetric(D.transpose(0, 2, 1) @ data.xx, p)
    xr = np.einsum("bzh,zpb->bhp", D, data.xr, optimize=True)
    P_beta = P @ at.beta[:, None, :, None]
    g = xr - P_beta[..., 0]
    rr = np.einsum("bzh,zb->bh", D, data.rr)
    quadratic = rr - np.einsum("bhp,bp->bh", xr + g, at.beta)
    moments_r = _residual_moments(data, at.beta)
    moments_x = packed_rows(at.Phi) @ data.xx.T
    by_count = at.W * data.n_subjects[:, None, None]
    pairs = 0.5 * _traces(at.W, by_count, flat_E, m)  # (M4)
    pairs_r = _traces(at.W, _sandwich(data, at.W, moments_r), flat_E, m)
    log_det = by_count.sum(axis=1).reshape(len(P), -1) @ flat_E.T
    score = 0.5 * (quadratic - log_det)  # (M2)
    expected = pairs
    if method == "reml":
        PhiP = at.Phi[:, None] @ P
        score = score + 0.5 * np.trace(PhiP, axis1=2, axis2=3)  # (M3)
        flat = PhiP.reshape(len(P), n_theta, -1)
        turned = PhiP.transpose(0, 1, 3, 2).reshape(len(P), n_theta, -1)
        pairs_x = _traces(at.W, _sandwich(data, at.W, moments_x), flat_E, m)
        expected = pairs - pairs_x + 0.5 * flat @ turned.transpose(0, 2, 1)  # (M5)
    observed = pairs_r - g @ at.Phi @ g.transpose(0, 2, 1) - expected  # (M6)
    return score, _symmetric(expected), _symmetric(observed), P


def packed_rows(matrices: FloatArray) -> FloatArray:
    """`packed_weights` of every matrix."""
    return np.stack([packed_weights(matrix) for matrix in matrices])


def _residual_moments(data: OutcomeProducts, beta: FloatArray) -> FloatArray:
    """(B, pairs): products of y - X beta by pair of visits."""
    square = packed_rows(beta[:, :, None] * beta[:, None, :]) @ data.xx.T
    cross = np.einsum("zpb,bp->bz", data.xr, beta, optimize=True)
    return np.asarray(data.rr.T - 2.0 * cross + square)


def _sandwich(data: OutcomeProducts, W: FloatArray, moments: FloatArray) -> FloatArray:
    half = np.where(data.first == data.second, 1.0, 0.5) * moments
    M = np.zeros_like(W)
    M[:, data.pattern, data.first, data.second] = half
    M[:, data.pattern, data.second, data.first] = half
    return np.asarray(W @ M @ W)


def _traces(W: FloatArray, right: FloatArray, flat_E: FloatArray, m: int) -> FloatArray:
    """(B, h, k): sum over patterns of tr(E_h W E_k R)."""
    n, K = W.shape[:2]
    F = W.reshape(n, K, -1).transpose(0, 2, 1) @ right.reshape(n, K, -1)
    turned = F.reshape(n, m, m, m, m).transpose(0, 2, 3, 4, 1).reshape(n, m * m, m * m)
    return np.asarray(flat_E @ turned @ flat_E.T)


def _steps(
    score: FloatArray, expected: FloatArray, observed: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Newton near the top, scoring elsewhere."""
    newton, newton_gain = _solve(observed, score)
    use = (newton_gain >= 0) & (newton_gain < _NEWTON_ZONE) & _is_positive_definite(observed)
    if use.all():
        return newton, newton_gain
    scoring, scoring_gain = _solve(expected, score)
    scoring_gain = np.where(_is_positive_definite(expected), scoring_gain, np.nan)
    return np.where(use[:, None], newton, scoring), np.where(use, newton_gain, scoring_gain)


def _solve(matrix: FloatArray, score: FloatArray) -> tuple[FloatArray, FloatArray]:
    diagonal = np.diagonal(matrix, axis1=1, axis2=2)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    try:
        step = np.linalg.solve(scaled, (scale * score)[..., None])[..., 0] * scale
    except np.linalg.LinAlgError:
        step = np.full_like(score, np.nan)
    return step, (step * score).sum(axis=1)


def _symmetric(matrices: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (matrices + matrices.transpose(0, 2, 1)))


def _pick(state: _State, who: np.ndarray) -> _State:
    return _State(
        state.W[who], state.loglik[who], state.Phi[who], state.beta[who], state.inside[who]
    )


def _put(state: _State, who: np.ndarray, new: _State) -> None:
    state.W[who], state.loglik[who] = new.W, new.loglik
    state.Phi[who], state.beta[who] = new.Phi, new.beta
    state.inside[who] = new.inside
