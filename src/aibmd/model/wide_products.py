"""Cross-products from subject-by-visit arrays: those of [c_i, r_i], spread over the columns."""

from typing import Any

import numpy as np

from aibmd.linalg.basis import OrthonormalBasis, full_rank_basis
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray, pack_symmetric
from aibmd.model.cross_products import CrossProducts, visit_pairs
from aibmd.model.least_squares import PERFECT_FIT_SHARE, LeastSquares
from aibmd.model.subject_coding import SubjectCoding

# Gram matrices square the condition number; below this share of new length the long form,
# which can fall back on QR, is used instead.
_SAFE_SHARE = 3e-3
# Subjects whose least squares the others are centred on.
_PILOT = 20_000
# Subjects gathered at once.
_AT_ONCE = 50_000


def collect_from_wide(
    coding: SubjectCoding, y: FloatArray, seen: BoolArray
) -> CrossProducts | None:
    """Cross-products without any long array; None where X is too near dependence for it.

    A pilot least squares takes the mean away first, so that sums of squares of what is left
    lose no digits; its coefficients need not be good, only near.

    Parameters
    ----------
    coding : SubjectCoding
    y : (S, m) array
        Zero where not seen.
    seen : (S, m) bool array
    """
    observed, members = _group_by_pattern(seen)
    pilot = _pilot_coefficients(coding, y, seen)
    residual = coding.C @ coding.spread(pilot)
    np.subtract(y, residual, out=residual)
    residual *= seen
    grams = [_gram(coding.C, residual, rows) for rows in members]
    r = coding.C.shape[1]
    basis = _basis(coding, observed, [gram[:r, :r] for gram in grams])
    if basis is None:
        return None
    T = basis.transform
    with_r = sum((coding.B[:, :] * (gram[:r, r:].T[:, coding.part])).sum(axis=0) for gram in grams)
    delta = T @ (T.T @ with_r)
    moved = [_shift(gram, coding.spread(delta), r) for gram in grams]
    n_rows, p = int(seen.sum()), len(delta)
    rss = float(sum(np.trace(gram[r:, r:]) for gram in moved))
    total = float(np.einsum("sj,sj->", y, y))
    is_perfect = rss <= PERFECT_FIT_SHARE**2 * total or n_rows <= p
    scale = 0.0 if is_perfect else float(np.sqrt(rss / (n_rows - p)))
    M = np.zeros((coding.B.shape[0], r, p))  # x_ij T = c_i M_j
    for j, weights in enumerate(coding.B):
        np.add.at(M[j], coding.part, weights[:, None] * T)
    blocks = []
    for pattern, gram in zip(observed, moved, strict=True):
        visits = np.flatnonzero(pattern)
        kept = np.concatenate([np.arange(r), r + visits])
        small = gram[np.ix_(kept, kept)].copy()
        small[r:] /= scale or 1.0
        small[:, r:] /= scale or 1.0
        blocks.append(_spread_products(small, M[visits]))
    number, first, second = visit_pairs(observed)
    return CrossProducts(
        least_squares=LeastSquares(basis, pilot + delta, scale, n_rows),
        observed=observed,
        n_subjects=np.array([len(rows) for rows in members], dtype=float),
        pattern=number,
        first=first,
        second=second,
        gram=np.concatenate(blocks),
    )


def _gram(C: FloatArray, residual: FloatArray, rows: IntArray) -> FloatArray:
    """Products of [c, r] over some subjects, a block of them at a time."""
    width = C.shape[1] + residual.shape[1]
    total = np.zeros((width, width))
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        stacked = np.column_stack([C[some], residual[some]])
        total += stacked.T @ stacked
    return total


def _group_by_pattern(seen: BoolArray) -> tuple[BoolArray, list[IntArray]]:
    """The patterns, in the order of their keys, and the subjects of each."""
    m = seen.shape[1]
    # Whole numbers of 16 bits are sorted in one pass.
    dtype: type[np.integer[Any]] = np.uint16 if m <= 16 else np.int64
    key = seen.astype(dtype) @ (dtype(1) << np.arange(m, dtype=dtype))
    order = np.argsort(key, kind="stable")
    in_order = key[order]
    starts = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
    members = np.split(order, starts[1:])
    return seen[order[starts]], members


def _pilot_coefficients(coding: SubjectCoding, y: FloatArray, seen: BoolArray) -> FloatArray:
    """Least squares of some subjects, any solution."""
    step = max(1, len(y) // _PILOT)
    some, C = seen[::step], coding.C[::step]
    subject, visit = np.nonzero(some)
    X = coding.B[visit] * C[subject][:, coding.part]
    length = np.sqrt((X**2).sum(axis=0))
    length[length == 0] = 1.0
    X /= length
    solution = np.linalg.lstsq(X.T @ X, X.T @ y[::step][some], rcond=1e-10)[0]
    return np.asarray(solution / length)


def _basis(
    coding: SubjectCoding, observed: BoolArray, grams: list[FloatArray]
) -> OrthonormalBasis | None:
    """Of X'X = sum_j (b_j b_j') * (C_j' C_j), C_j the subjects seen at visit j."""
    by_visit = np.tensordot(observed.T.astype(float), np.stack(grams), axes=1)
    spread = by_visit[:, coding.part[:, None], coding.part[None, :]]
    gram = np.einsum("ja,jb,jab->ab", coding.B, coding.B, spread)
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


def _shift(gram: FloatArray, spread: FloatArray, r: int) -> FloatArray:
    """Products of [c, r] after r_j - c' spread_j: a visit not seen must stay zero."""
    seen = np.diagonal(gram)[r:] > 0
    L = np.eye(len(gram))
    L[:r, r:] = -spread * seen
    return np.asarray(L.T @ gram @ L)


def _spread_products(small: FloatArray, M: FloatArray) -> FloatArray:
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
