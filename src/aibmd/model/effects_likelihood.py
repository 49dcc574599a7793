"""The likelihood of random effects with independent errors, from sums of q x q size per woman.

V_i = Z_i G Z_i' + v I with G linear in theta. Woodbury's identity leaves Z_i'Z_i and
Z_i'[X_i, r_i]; after these are summed, no step depends on the number of rows. Labels (R1) to
(R5) are those of docs/methods/random_effects.md, (M1) to (M8) of docs/methods/mmrm.md.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.stacked import invert_stacked, multiply_stacked
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.criterion import (
    Derivatives,
    Evaluation,
    Moments,
    assemble_derivatives,
    contract_pairs,
    evaluate_sums,
)
from aibmd.model.least_squares import LeastSquares
from aibmd.vocabulary import Method

# Subjects whose matrices stay in the cache while they are worked on.
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class EffectsProducts:
    """Sufficient statistics of the scaled rows [Q, r], the subject last.

    Attributes
    ----------
    ZZ : (q, q, S) array
    ZD : (q, p + 1, S) array
        Z'[Q, r].
    total : (p + 1, p + 1) array
        [Q, r]'[Q, r] over all rows.
    n_rows : float
        Rows, each counted as often as its subject.
    count : (S,) array
    """

    ZZ: FloatArray
    ZD: FloatArray
    total: FloatArray
    n_rows: float
    count: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class _Work:
    """Per subject: C = Z'V^-1 Z and D = Z'V^-1 [X, y]; and [X, y]'V^-1 [X, y] over all."""

    C: FloatArray
    D: FloatArray
    sums: FloatArray


@dataclass(frozen=True, slots=True)
class EffectsCriterion:
    """Log-likelihood of random effects with independent errors.

    Attributes
    ----------
    least_squares : LeastSquares
    products : EffectsProducts
    covariance : CovarianceTerm
        Effects, then the residual variance as last parameter.
    directions : (g, q, q) array
        Derivatives of G by its parameters.
    method : "reml" or "ml"
    """

    least_squares: LeastSquares
    products: EffectsProducts
    covariance: CovarianceTerm
    directions: FloatArray
    method: Method

    def evaluate(self, theta: FloatArray) -> Evaluation | None:
        """Log-likelihood, or None where G or the residual variance is not allowed."""
        data, v = self.products, float(theta[-1])
        if not v > 0:
            return None
        root = _square_root(np.tensordot(theta[:-1], self.directions, axes=1) / v)
        if root is None:
            return None
        C, D = np.empty_like(data.ZZ), np.empty_like(data.ZD)
        explained, log_det_V = np.zeros_like(data.total), data.n_rows * float(np.log(v))
        for begin in range(0, data.ZZ.shape[2], _BLOCK):
            block = slice(begin, begin + _BLOCK)
            ZZ, ZD, count = data.ZZ[..., block], data.ZD[..., block], data.count[block]
            try:
                K, log_det = _woodbury(root, ZZ)
            except np.linalg.LinAlgError:  # effects so large beside v that rounding takes over
                return None
            KD = multiply_stacked(K, ZD)
            C[..., block] = (ZZ - multiply_stacked(multiply_stacked(ZZ, K), ZZ)) / v  # (R2)
            D[..., block] = (ZD - multiply_stacked(ZZ, KD)) / v
            for one, two in zip(ZD, KD * count, strict=True):
                explained += one @ two.T
            log_det_V += float(count @ log_det)
        sums = (data.total - explained) / v  # (R3)
        work = _Work(C, D, 0.5 * (sums + sums.T))
        return evaluate_sums(work.sums, log_det_V, self.least_squares.n_rows, self.method, work)

    def differentiate(self, theta: FloatArray, at: Evaluation) -> Derivatives:
        """Exact score and both information matrices."""
        work, data, e = at.work, self.products, self.directions
        q, p = len(work.C), self.least_squares.n_coefficients
        flat_e = e.reshape(len(e), -1)
        augmented = self._augmented(work)
        contrast = np.append(-at.beta, 1.0)
        a = np.tensordot(contrast, work.D, axes=(0, 1))  # (q, S), Z'V^-1 r
        half = np.tensordot(np.linalg.cholesky(at.Phi), work.D[:, :p], axes=(0, 1))  # (p, q, S)
        by_x = np.einsum("jus,jvs->uvs", half, half)
        flat_C = work.C.reshape(q * q, -1)
        by_count = flat_C * data.count
        outer_r = (a[:, None] * a[None]).reshape(q * q, -1)
        effects = Moments(
            quadratic=augmented @ contrast @ contrast,
            log_det=flat_e @ by_count.sum(axis=1),
            pairs=contract_pairs(flat_C @ by_count.T, flat_e, q),
            pairs_r=contract_pairs(by_count @ outer_r.T, flat_e, q),
            pairs_x=contract_pairs(by_count @ by_x.reshape(q * q, -1).T, flat_e, q),
            P=augmented[:, :p, :p],
            g=augmented[:, :p] @ contrast,
        )
        J = self._residual_direction(theta)
        extended = _extend(effects, at, work.sums, data.n_rows)
        return assemble_derivatives(_transform(extended, J), at.Phi, self.method)

    def _augmented(self, work: _Work) -> FloatArray:
        """(g, p + 1, p + 1): sum over subjects of D' e_h D."""
        q, width = work.D.shape[:2]
        flat = work.D.reshape(q * width, -1)
        H = ((flat * self.products.count) @ flat.T).reshape(q, width, q, width)
        return np.asarray(np.tensordot(self.directions, H, axes=((1, 2), (0, 2))))

    def _residual_direction(self, theta: FloatArray) -> FloatArray:
        """Derivatives by theta from those by G and V: dV/dv = (V - Z G Z') / v (R4)."""
        J = np.eye(len(theta))
        J[-1] = np.append(-theta[:-1], 1.0) / theta[-1]
        return J

    def kenward_roger_sums(
        self, theta: FloatArray, at: Evaluation, theta_vcov: FloatArray, second_order: bool
    ) -> FloatArray:
        """(M8); V is linear in theta, so there is no second-order term (R5)."""
        work, e, p = at.work, self.directions, self.least_squares.n_coefficients
        J = self._residual_direction(theta)
        weights = J.T @ theta_vcov @ J
        q = len(work.C)
        outer = np.einsum("hk,hab,kcd->adbc", weights[:-1, :-1], e, e).reshape(q * q, q * q)
        middle = (outer @ work.C.reshape(q * q, -1)).reshape(q, q, -1)
        D = work.D[:, :p]
        counted = multiply_stacked(middle, D) * self.products.count
        total = np.tensordot(D, counted, axes=((0, 2), (0, 2)))
        P = self._augmented(work)[:, :p, :p]
        total = total + 2.0 * np.tensordot(weights[:-1, -1], P, axes=1)
        total = total + weights[-1, -1] * work.sums[:p, :p]
        return np.asarray(0.5 * (total + total.T))

    def smallest_correlation(self, theta: FloatArray) -> float:
        """Residual variance as a share of the largest total variance of a row, at least."""
        G = np.tensordot(theta[:-1], self.directions, axes=1)
        # The trace of G Z'Z bounds every z'Gz from above.
        largest = float(np.einsum("uv,uvs->s", G, self.products.ZZ).max())
        return float(theta[-1] / (theta[-1] + max(largest, 0.0)))


def _woodbury(root: FloatArray, ZZ: FloatArray) -> tuple[FloatArray, FloatArray]:
    """K = A N^-1 A' with N = I + A'Z'Z A, and log|N|, for G / v = A A' (R1)."""
    A = root[:, :, None]
    N = multiply_stacked(A.transpose(1, 0, 2), multiply_stacked(ZZ, A))
    N += np.eye(len(root))[:, :, None]
    inverse, log_det = invert_stacked(N)
    return multiply_stacked(multiply_stacked(A, inverse), A.transpose(1, 0, 2)), log_det


def _square_root(G: FloatArray) -> FloatArray | None:
    """A with A A' = G; None where G is not positive semidefinite."""
    scale = np.sqrt(np.maximum(G.diagonal(), 0.0))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(G / scale[:, None] / scale)
    if not np.isfinite(values).all() or values[0] < -1e-10:
        return None
    return np.asarray(scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))


def _extend(effects: Moments, at: Evaluation, sums: FloatArray, n_rows: float) -> Moments:
    """Add V itself as a direction: V^-1 V V^-1 = V^-1, so its sums are known already."""
    p = len(at.beta)
    contrast = np.append(-at.beta, 1.0)
    rss = float(contrast @ sums @ contrast)
    by_x = np.einsum("ab,hab->h", at.Phi, effects.P)
    return Moments(
        quadratic=np.append(effects.quadratic, rss),
        log_det=np.append(effects.log_det, n_rows),
        pairs=_border(effects.pairs, effects.log_det, n_rows),
        pairs_r=_border(effects.pairs_r, effects.quadratic, rss),
        pairs_x=_border(effects.pairs_x, by_x, float(p)),
        P=np.concatenate([effects.P, sums[None, :p, :p]]),
        g=np.vstack([effects.g, np.zeros(p)]),
    )


def _border(matrix: FloatArray, edge: FloatArray, corner: float) -> FloatArray:
    return np.block([[matrix, edge[:, None]], [edge[None], np.array([[corner]])]])


def _transform(sums: Moments, J: FloatArray) -> Moments:
    """The same sums along the rows of J."""
    return Moments(
        quadratic=J @ sums.quadratic,
        log_det=J @ sums.log_det,
        pairs=J @ sums.pairs @ J.T,
        pairs_r=J @ sums.pairs_r @ J.T,
        pairs_x=J @ sums.pairs_x @ J.T,
        P=np.tensordot(J, sums.P, axes=1),
        g=J @ sums.g,
    )
