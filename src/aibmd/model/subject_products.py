"""Cross-products from x_ij = B_j c_i: those of [c_i, y_i], spread over the columns of X."""

import numpy as np

from aibmd.linalg.basis import OrthonormalBasis, full_rank_basis
from aibmd.linalg.symmetric import FloatArray, IntArray, pack_symmetric
from aibmd.model.cross_products import CrossProducts, visit_pairs
from aibmd.model.least_squares import LeastSquares, residual_scale
from aibmd.model.patterns import VisitPatterns
from aibmd.model.subject_coding import SubjectCoding

# Gram matrices square the condition number; below this share of new length the long form,
# which can fall back on QR, is used instead.
_SAFE_SHARE = 3e-3


def collect_from_subjects(
    coding: SubjectCoding,
    y: FloatArray,
    subject: IntArray,
    visit: IntArray,
    patterns: VisitPatterns,
) -> CrossProducts | None:
    """Cross-products without the long X; None where X is too near dependence for it."""
    members = tuple(subject[rows[:, 0]] for rows in patterns.rows)
    basis = _basis(coding, patterns, members)
    if basis is None:
        return None
    beta0, residual = _least_squares(coding, basis, y, subject, visit)
    p = len(beta0)
    scale = residual_scale(residual, y, p)
    scaled = residual / (scale or 1.0)
    pattern, first, second = visit_pairs(patterns.observed)
    M = np.zeros((coding.B.shape[0], coding.C.shape[1], p))  # x_ij T = c_i M_j
    for j, weights in enumerate(coding.B):
        np.add.at(M[j], coding.part, weights[:, None] * basis.transform)
    blocks = []
    for k, (rows, block) in enumerate(zip(patterns.rows, members, strict=True)):
        seen = np.flatnonzero(patterns.observed[k])
        stacked = np.column_stack([coding.C[block], scaled[rows]])
        blocks.append(_spread(stacked.T @ stacked, M[seen]))
    return CrossProducts(
        least_squares=LeastSquares(basis, beta0, scale, len(y)),
        observed=patterns.observed,
        n_subjects=patterns.n_subjects.astype(float),
        pattern=pattern,
        first=first,
        second=second,
        gram=np.concatenate(blocks),
    )


def _basis(
    coding: SubjectCoding, patterns: VisitPatterns, members: tuple[IntArray, ...]
) -> OrthonormalBasis | None:
    gram = _gram_of_x(coding, patterns, members)
    scale = np.sqrt(np.diagonal(gram))
    if not (scale > 0).all():
        return None
    try:
        chol = np.linalg.cholesky(gram / scale[:, None] / scale)
    except np.linalg.LinAlgError:
        return None
    if np.diagonal(chol).min() < _SAFE_SHARE:
        return None
    return full_rank_basis(np.linalg.inv(chol.T) / scale[:, None], scale)


def _gram_of_x(
    coding: SubjectCoding, patterns: VisitPatterns, members: tuple[IntArray, ...]
) -> FloatArray:
    """X'X = sum_j (b_j b_j') * (C_j' C_j), C_j the subjects seen at visit j."""
    by_pattern = np.stack([coding.C[block].T @ coding.C[block] for block in members])
    by_visit = np.tensordot(patterns.observed.T.astype(float), by_pattern, axes=1)
    spread = by_visit[:, coding.part[:, None], coding.part[None, :]]
    return np.asarray(np.einsum("ja,jb,jab->ab", coding.B, coding.B, spread))


def _least_squares(
    coding: SubjectCoding,
    basis: OrthonormalBasis,
    y: FloatArray,
    subject: IntArray,
    visit: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Coefficients and residuals, refined twice against a large mean and Gram rounding."""
    beta, residual = np.zeros(len(coding.columns)), y
    wide = np.zeros((len(coding.C), coding.B.shape[0]))
    for _ in range(3):
        wide[subject, visit] = residual
        moments = (coding.C.T @ wide)[coding.part]  # (p, m)
        beta = beta + basis.transform @ (basis.transform.T @ (moments * coding.B.T).sum(axis=1))
        residual = y - coding.linear_predictor(beta, subject, visit)
    return beta, residual


def _spread(small: FloatArray, M: FloatArray) -> FloatArray:
    """Cross-products of [c, r_1..r_k] -> packed gram of [Q_j, r_j] for each visit pair."""
    k, r, p = M.shape
    rows, cols = np.triu_indices(k)
    full = np.empty((len(rows), p + 1, p + 1))
    M_rows, M_cols = M[rows], M[cols]
    full[:, :p, :p] = M_rows.transpose(0, 2, 1) @ small[:r, :r] @ M_cols
    full[:, :p, p] = (small[r + cols, None, :r] @ M_rows)[:, 0]
    full[:, p, :p] = (small[r + rows, None, :r] @ M_cols)[:, 0]
    full[:, p, p] = small[r + rows, r + cols]
    full = full + full.transpose(0, 2, 1)
    full[rows == cols] *= 0.5
    return pack_symmetric(full)
