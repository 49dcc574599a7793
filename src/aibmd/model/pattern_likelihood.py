"""The likelihood from cross-products alone: subjects of a visit pattern share V_i.

Labels (M1) to (M8) are those of docs/methods/mmrm.md. E_h is the derivative of Sigma by
theta_h and W_k the inverse of the observed block of Sigma in pattern k, zero elsewhere.
"""

from dataclasses import dataclass, field

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import (
    FloatArray,
    invert_padded,
    packed_weights,
    unpack_symmetric,
)
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.criterion import (
    Derivatives,
    Evaluation,
    Moments,
    assemble_derivatives,
    contract_pairs,
    evaluate_sums,
)
from aibmd.model.cross_products import CrossProducts
from aibmd.model.least_squares import LeastSquares
from aibmd.vocabulary import Method

# Numbers held at once while derivatives are formed pair by pair (32 MB).
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class PatternCriterion:
    """Log-likelihood of a covariance over visits, or over cells.

    Attributes
    ----------
    cross : CrossProducts
    covariance : CovarianceTerm
    cells : RowFeatures
        One row per column of `cross.observed`.
    method : "reml" or "ml"
    """

    cross: CrossProducts
    covariance: CovarianceTerm
    cells: RowFeatures
    method: Method
    constant_first: FloatArray | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        theta = np.ones(len(self.covariance.names))
        is_linear = self.covariance.second(theta, self.cells) is None
        first = self.covariance.first(theta, self.cells) if is_linear else None
        object.__setattr__(self, "constant_first", first)
        freeze_arrays(self)

    @property
    def least_squares(self) -> LeastSquares:
        """The scale on which the criterion works."""
        return self.cross.least_squares

    def sigma(self, theta: FloatArray) -> FloatArray:
        """(m, m) covariance of the cells."""
        if self.constant_first is None:
            return self.covariance.value(theta, self.cells)
        E = self.constant_first
        return np.asarray(theta @ E.reshape(len(E), -1)).reshape(E.shape[1:])

    def first(self, theta: FloatArray) -> FloatArray:
        """(n_theta, m, m) derivatives of `sigma`."""
        if self.constant_first is None:
            return self.covariance.first(theta, self.cells)
        return self.constant_first

    def second(self, theta: FloatArray) -> FloatArray | None:
        """(n_theta, n_theta, m, m) second derivatives of `sigma`; None where nil."""
        return self.covariance.second(theta, self.cells) if self.constant_first is None else None

    def evaluate(self, theta: FloatArray) -> Evaluation | None:
        """Log-likelihood, or None where a V_i is not positive definite."""
        cross = self.cross
        if not self.covariance.is_inside(theta):
            return None
        inverse = invert_padded(self.sigma(theta), cross.padding)
        if inverse is None:
            return None
        w = inverse.inverse[cross.pattern, cross.first, cross.second]
        sums = unpack_symmetric(w @ cross.gram, cross.n_coefficients + 1)  # [X y]' V^-1 [X y]
        log_det_V = float(cross.n_subjects @ inverse.logdet)
        return evaluate_sums(sums, log_det_V, cross.n_rows, self.method, inverse.inverse)

    def differentiate(self, theta: FloatArray, at: Evaluation) -> Derivatives:
        """Exact score and both information matrices."""
        cross, W = self.cross, at.work
        E = self.first(theta)
        p, flat_E = cross.n_coefficients, E.reshape(len(E), -1)
        contrast = np.append(-at.beta, 1.0)  # [X y] @ contrast is the residual
        packed = _pair_derivatives(cross, W, flat_E).T @ cross.gram
        augmented = unpack_symmetric(packed, p + 1)  # Z' V^-1 E_h V^-1 Z
        weights = np.column_stack([packed_weights(np.outer(contrast, contrast)), _pad(at.Phi)])
        by_r, by_x = _sandwiches(cross, W, cross.gram @ weights)
        by_count = W * cross.n_subjects[:, None, None]
        log_det = by_count.sum(axis=0).reshape(-1)
        pairs, pairs_r, pairs_x = _pair_traces(E, W, np.stack([by_count, by_r, by_x]))
        sums = Moments(
            quadratic=packed @ weights[:, 0],
            log_det=flat_E @ log_det,
            pairs=pairs,
            pairs_r=pairs_r,
            pairs_x=pairs_x,
            P=augmented[:, :p, :p],
            g=augmented[:, :p] @ contrast,
            curvature=self._curvature(theta, by_r, by_x, log_det),
        )
        return assemble_derivatives(sums, at.Phi, self.method)

    def _curvature(
        self, theta: FloatArray, by_r: FloatArray, by_x: FloatArray, log_det: FloatArray
    ) -> FloatArray | None:
        second = self.second(theta)
        if second is None:
            return None
        S = by_r.sum(axis=0).reshape(-1) - log_det  # twice dl/dSigma
        if self.method == "reml":
            S = S + by_x.sum(axis=0).reshape(-1)
        return np.asarray(0.5 * second.reshape(*second.shape[:2], -1) @ S)

    def kenward_roger_sums(
        self, theta: FloatArray, at: Evaluation, theta_vcov: FloatArray, second_order: bool
    ) -> FloatArray:
        """(M8) without forming a single Q_hk."""
        cross, W, p = self.cross, at.work, self.cross.n_coefficients
        inner = _weighted_pairs(self.first(theta), W, theta_vcov)
        second = self.second(theta) if second_order else None
        if second is not None:
            inner = inner - 0.25 * np.tensordot(theta_vcov, second, axes=2)
        middle = W @ inner @ W
        middle = 0.5 * (middle + middle.transpose(0, 2, 1))
        w = middle[cross.pattern, cross.first, cross.second]
        return unpack_symmetric(w @ cross.gram, p + 1)[:p, :p]

    def smallest_correlation(self, theta: FloatArray) -> float:
        """Smallest eigenvalue over the observed blocks of Sigma, each as a correlation matrix."""
        Sigma = self.sigma(theta)
        variance = np.diagonal(Sigma)
        if not (np.isfinite(Sigma).all() and (variance > 0).all()):
            return -np.inf
        scale = 1.0 / np.sqrt(variance)
        seen = self.cross.observed
        both = seen[:, :, None] & seen[:, None, :] | np.eye(len(Sigma), dtype=bool)
        blocks = np.where(both, Sigma * scale[:, None] * scale, 0.0)
        return float(np.linalg.eigvalsh(blocks).min())


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


def _sandwiches(
    cross: CrossProducts, W: FloatArray, moments: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(K, m, m) each: W M W, with M the matrix of a column of `moments` in pattern k."""
    half = np.where(cross.first == cross.second, 1.0, 0.5) * moments.T
    M = np.zeros((2, *W.shape))
    M[:, cross.pattern, cross.first, cross.second] = half
    M[:, cross.pattern, cross.second, cross.first] = half
    by_r, by_x = W @ M @ W
    return by_r, by_x


def _pad(Phi: FloatArray) -> FloatArray:
    """Packed weights of Phi on X, nothing on r."""
    padded = np.zeros((len(Phi) + 1, len(Phi) + 1))
    padded[:-1, :-1] = Phi
    return packed_weights(padded)


def _pair_traces(E: FloatArray, W: FloatArray, right: FloatArray) -> FloatArray:
    """(c, h, k): sum over patterns of tr(E_h W E_k R_c), for each column c of `right`."""
    n_theta, m = len(E), E.shape[-1]
    if n_theta < m:  # few parameters: one product of matrices for each
        EW = (E[:, None] @ W).reshape(n_theta, -1)
        ER = (E[:, None, None] @ right).swapaxes(-1, -2).reshape(n_theta, len(right), -1)
        return np.asarray(np.einsum("hx,kcx->chk", EW, ER, optimize=True))
    flat_E, flat_W = E.reshape(n_theta, -1), W.reshape(len(W), -1)
    return np.stack(
        [contract_pairs(flat_W.T @ one.reshape(len(W), -1), flat_E, m) for one in right]
    )


def _weighted_pairs(E: FloatArray, W: FloatArray, weights: FloatArray) -> FloatArray:
    """(K, m, m): sum_hk weights_hk E_h W E_k in every pattern."""
    n_theta, m = len(E), E.shape[-1]
    if n_theta < m:
        values, vectors = np.linalg.eigh(weights)
        F = np.tensordot(vectors.T, E, axes=1)
        return np.asarray(sum(v * (one @ W @ one) for v, one in zip(values, F, strict=True)))
    flat_E = E.reshape(n_theta, -1)
    outer = (flat_E.T @ weights @ flat_E).reshape(m, m, m, m)  # [a b, c d]
    H = outer.transpose(0, 3, 1, 2).reshape(m * m, m * m)  # [a d, b c]
    return np.asarray((W.reshape(-1, m * m) @ H.T).reshape(-1, m, m))
