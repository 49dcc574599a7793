"""The log-likelihood, its exact score and its information, from cross-products alone.

Labels (M1) to (M8) are those of docs/methods/mmrm.md. E_h is the derivative of Sigma by
theta_h and W_k the inverse of the observed block of Sigma in pattern k, zero elsewhere.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import (
    FloatArray,
    inverse_and_logdet,
    invert_padded,
    packed_weights,
    unpack_symmetric,
)
from aibmd.model.cross_products import CrossProducts
from aibmd.vocabulary import Method

# Numbers held at once while derivatives are formed pair by pair (32 MB).
_BLOCK = 4_000_000
LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The criterion at one Sigma, in the basis of the cross-products.

    Attributes
    ----------
    loglik : float
    W : (K, m, m) array
        Padded inverses by pattern.
    Phi : (p, p) array
        (X'V^-1 X)^-1.
    beta : (p,) array
    """

    loglik: float
    W: FloatArray
    Phi: FloatArray
    beta: FloatArray


@dataclass(frozen=True, slots=True)
class Derivatives:
    """First and second derivatives at one Sigma.

    Attributes
    ----------
    score : (n_theta,) array
    expected, observed : (n_theta, n_theta) arrays
        Information matrices of the criterion.
    known_mean : (n_theta, n_theta) array
        Expected information were beta known: what `observed` is judged against.
    P : (n_theta, p, p) array
        X'V^-1 E_h V^-1 X, so that dPhi/dtheta_h = Phi P_h Phi.
    """

    score: FloatArray
    expected: FloatArray
    observed: FloatArray
    known_mean: FloatArray
    P: FloatArray


def evaluate(cross: CrossProducts, Sigma: FloatArray, method: Method) -> Evaluation | None:
    """Log-likelihood at Sigma, or None where a V_i is not positive definite."""
    inverse = invert_padded(Sigma, cross.padding)
    if inverse is None:
        return None
    w = inverse.inverse[cross.pattern, cross.first, cross.second]
    q = cross.n_coefficients + 1
    sums = unpack_symmetric(w @ cross.gram, q)  # [X y]' V^-1 [X y]
    try:
        Phi, log_det_A = inverse_and_logdet(sums[:-1, :-1])
    except np.linalg.LinAlgError:
        return None
    beta = Phi @ sums[:-1, -1]
    quadratic = sums[-1, -1] - sums[:-1, -1] @ beta
    n_constant, log_det_X = cross.n_rows, 0.0
    if method == "reml":
        n_constant, log_det_X = cross.n_rows - cross.n_coefficients, log_det_A
    log_det_V = float(cross.n_subjects @ inverse.logdet)
    loglik = -0.5 * (n_constant * LOG_2PI + log_det_V + log_det_X + quadratic)  # (M1)
    return Evaluation(float(loglik), inverse.inverse, Phi, beta)


def differentiate(
    cross: CrossProducts, at: Evaluation, E: FloatArray, method: Method
) -> Derivatives:
    """Exact score and both information matrices for Sigma = sum_h theta_h E_h."""
    p = cross.n_coefficients
    n_theta, flat_E = len(E), E.reshape(len(E), -1)
    contrast = np.append(-at.beta, 1.0)  # [X y] @ contrast is the residual
    D = _pair_derivatives(cross, at.W, flat_E)
    packed = D.T @ cross.gram
    augmented = unpack_symmetric(packed, p + 1)  # Z' V^-1 E_h V^-1 Z
    P = augmented[:, :p, :p]
    g = augmented[:, :p] @ contrast  # X' V^-1 E_h V^-1 r

    # Column 0 weighs products into r r', column 1 into X Phi X'.
    weights = np.column_stack([packed_weights(np.outer(contrast, contrast)), _pad(at.Phi)])
    quadratic, log_det_gain = (packed @ weights).T
    trace_r, trace_x = _sandwich_traces(cross, at.W, cross.gram @ weights, flat_E)
    known_mean = 0.5 * _pattern_trace(cross, at.W, flat_E)  # (M4)
    score = 0.5 * (quadratic - _log_det_gradient(cross, at.W, flat_E))  # (M2)
    expected = known_mean
    if method == "reml":
        PhiP = at.Phi @ P
        PPhi = PhiP.transpose(0, 2, 1).reshape(n_theta, -1)
        score = score + 0.5 * log_det_gain  # (M3)
        expected = known_mean - trace_x + 0.5 * (PhiP.reshape(n_theta, -1) @ PPhi.T)  # (M5)
    observed = trace_r - g @ at.Phi @ g.T - expected  # (M6)
    return Derivatives(score, _symmetric(expected), _symmetric(observed), known_mean, P)


def kenward_roger_sum(
    cross: CrossProducts, at: Evaluation, E: FloatArray, theta_vcov: FloatArray
) -> FloatArray:
    """sum_hk W_hk X'V^-1 E_h V^-1 E_k V^-1 X, without forming the single Q_hk (M8)."""
    m, p = cross.n_visits, cross.n_coefficients
    flat_E = E.reshape(len(E), -1)
    outer = (flat_E.T @ theta_vcov @ flat_E).reshape(m, m, m, m)  # [a b, c d]
    H = outer.transpose(0, 3, 1, 2).reshape(m * m, m * m)  # [a d, b c]
    inner = (at.W.reshape(-1, m * m) @ H.T).reshape(-1, m, m)
    middle = at.W @ inner @ at.W
    middle = 0.5 * (middle + middle.transpose(0, 2, 1))
    w = middle[cross.pattern, cross.first, cross.second]
    return unpack_symmetric(w @ cross.gram, p + 1)[:p, :p]


def residual_moments(cross: CrossProducts) -> tuple[FloatArray, FloatArray]:
    """Average products of least-squares residuals by visit pair, and how many subjects have it."""
    m = cross.n_visits
    sums, counts = np.zeros((m, m)), np.zeros((m, m))
    last = cross.gram[:, -1] * np.where(cross.first == cross.second, 1.0, 0.5)
    np.add.at(sums, (cross.first, cross.second), last)
    np.add.at(counts, (cross.first, cross.second), cross.n_subjects[cross.pattern])
    sums, counts = np.triu(sums), np.triu(counts)
    sums, counts = sums + np.triu(sums, 1).T, counts + np.triu(counts, 1).T
    return sums / np.maximum(counts, 1.0), counts


def _pair_derivatives(cross: CrossProducts, W: FloatArray, flat_E: FloatArray) -> FloatArray:
    """(n_pairs, n_theta): element (first, second) of W E_h W in each pair's pattern."""
    m = cross.n_visits
    if len(flat_E) < m:  # few parameters: one product of matrices for each
        E = flat_E.reshape(-1, m, m)
        columns = [(W @ E_h @ W)[cross.pattern, cross.first, cross.second] for E_h in E]
        return np.column_stack(columns)
    D = np.empty((len(cross.pattern), len(flat_E)))
    step = max(1, _BLOCK // m**2)
    for begin in range(0, len(D), step):
        block = slice(begin, begin + step)
        left = W[cross.pattern[block], cross.first[block]]
        right = W[cross.pattern[block], cross.second[block]]
        D[block] = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1) @ flat_E.T
    return D


def _log_det_gradient(cross: CrossProducts, W: FloatArray, flat_E: FloatArray) -> FloatArray:
    """tr(V^-1 E_h) summed over subjects."""
    return flat_E @ (cross.n_subjects @ W.reshape(len(W), -1))


def _pattern_trace(cross: CrossProducts, W: FloatArray, flat_E: FloatArray) -> FloatArray:
    """tr(V^-1 E_h V^-1 E_k) summed over subjects."""
    flat_W = W.reshape(len(W), -1)
    return _contract((flat_W * cross.n_subjects[:, None]).T @ flat_W, flat_E, cross.n_visits)


def _sandwich_traces(
    cross: CrossProducts, W: FloatArray, moments: FloatArray, flat_E: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """sum_k tr(W E_h W E_k W M_k), with M_k the matrix of a column of `moments` in pattern k."""
    half = np.where(cross.first == cross.second, 1.0, 0.5) * moments.T
    M = np.zeros((2, *W.shape))
    M[:, cross.pattern, cross.first, cross.second] = half
    M[:, cross.pattern, cross.second, cross.first] = half
    WMW = (W @ M @ W).reshape(2, len(W), -1)
    by_pattern = W.reshape(len(W), -1).T
    first, second = (_contract(by_pattern @ one, flat_E, cross.n_visits) for one in WMW)
    return first, second


def _pad(Phi: FloatArray) -> FloatArray:
    """Packed weights of Phi on X, nothing on r."""
    padded = np.zeros((len(Phi) + 1, len(Phi) + 1))
    padded[:-1, :-1] = Phi
    return packed_weights(padded)


def _contract(F: FloatArray, flat_E: FloatArray, m: int) -> FloatArray:
    """Sum E_h[b c] F[a b, c d] E_k[d a]."""
    reordered = F.reshape(m, m, m, m).transpose(1, 2, 3, 0).reshape(m * m, m * m)
    return flat_E @ reordered @ flat_E.T


def _symmetric(matrix: FloatArray) -> FloatArray:
    """Free of rounding that an ill-conditioned inverse would magnify."""
    return 0.5 * (matrix + matrix.T)
