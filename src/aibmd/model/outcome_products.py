"""Cross-products of many outcomes with one design."""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.basis import OrthonormalBasis, orthonormalise
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import (
    FloatArray,
    IntArray,
    Padding,
    make_padding,
    pack_symmetric,
    triangle,
)
from aibmd.model.cross_products import visit_pairs
from aibmd.model.patterns import VisitPatterns


@dataclass(frozen=True, slots=True)
class OutcomeProducts:
    """As `CrossProducts`, with B residuals in place of one.

    Attributes
    ----------
    padding : Padding
    n_subjects : (K,) array
    pattern, first, second : (n_pairs,) int arrays
    xx : (n_pairs, p(p+1)/2) array
        Sums of q_ij q_il' + q_il q_ij', packed, halved where j = l.
    xr : (n_pairs, p, B) array
        Sums of q_ij r_il + q_il r_ij, halved where j = l.
    rr : (n_pairs, B) array
        Sums of 2 r_ij r_il, halved where j = l.
    n_rows : int
    """

    padding: Padding
    n_subjects: FloatArray
    pattern: IntArray
    first: IntArray
    second: IntArray
    xx: FloatArray
    xr: FloatArray
    rr: FloatArray
    n_rows: int

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def n_coefficients(self) -> int:
        """P."""
        return int(self.xr.shape[1])

    def take(self, who: IntArray) -> "OutcomeProducts":
        """Some of the outcomes."""
        if len(who) == self.xr.shape[2]:
            return self
        return OutcomeProducts(
            self.padding,
            self.n_subjects,
            self.pattern,
            self.first,
            self.second,
            self.xx,
            self.xr[:, :, who],
            self.rr[:, who],
            self.n_rows,
        )

    def moments(self, n_visits: int) -> tuple[FloatArray, FloatArray]:
        """Average products of residuals by visit pair, (B, m, m), and counts (m, m)."""
        m, n_outcomes = n_visits, self.rr.shape[1]
        sums, counts = np.zeros((m, m, n_outcomes)), np.zeros((m, m))
        half = np.where(self.first == self.second, 1.0, 0.5)
        np.add.at(sums, (self.first, self.second), half[:, None] * self.rr)
        np.add.at(counts, (self.first, self.second), self.n_subjects[self.pattern])
        lower = np.tril_indices(m, -1)
        sums[lower], counts[lower] = sums.transpose(1, 0, 2)[lower], counts.T[lower]
        return (sums / np.maximum(counts, 1.0)[..., None]).transpose(2, 0, 1), counts


@dataclass(frozen=True, slots=True)
class OutcomeDesign:
    """A design that waits for outcomes: everything of X that does not change.

    Attributes
    ----------
    basis : OrthonormalBasis
    Q : (n, p) array
    patterns : VisitPatterns
    xx : (n_pairs, p(p+1)/2) array
    """

    basis: OrthonormalBasis
    Q: FloatArray
    patterns: VisitPatterns
    xx: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def prepare_design(X: FloatArray, patterns: VisitPatterns) -> OutcomeDesign:
    """Orthonormalise X and sum its cross-products by visit pair."""
    basis = orthonormalise(X)
    Q = X[:, basis.kept] @ basis.transform
    blocks = []
    for rows in patterns.rows:
        block = _pairs(Q[rows], Q[rows])
        blocks.append(pack_symmetric(0.5 * (block + block.transpose(0, 2, 1))))
    return OutcomeDesign(basis, Q, patterns, np.concatenate(blocks))


def collect_outcomes(
    design: OutcomeDesign, Y: FloatArray
) -> tuple[OutcomeProducts, FloatArray, FloatArray]:
    """Cross-products of the scaled residuals of every column of Y.

    Parameters
    ----------
    design : OutcomeDesign
    Y : (n, B) array

    Returns
    -------
    products, coefficients (B, p) in the basis of Q, residual SD (B,)
    """
    Q, patterns = design.Q, design.patterns
    coefficients = Q.T @ Y
    residual = Y - Q @ coefficients
    correction = Q.T @ residual
    residual -= Q @ correction
    scale = np.sqrt((residual**2).sum(axis=0) / (len(Y) - Q.shape[1]))
    residual /= scale
    xr = [_pairs(Q[rows], residual[rows]) for rows in patterns.rows]
    rr = [_own_pairs(residual[rows]) for rows in patterns.rows]
    pattern, first, second = visit_pairs(patterns.observed)
    products = OutcomeProducts(
        padding=make_padding(patterns.observed),
        n_subjects=patterns.n_subjects.astype(float),
        pattern=pattern,
        first=first,
        second=second,
        xx=design.xx,
        xr=np.concatenate(xr),
        rr=np.concatenate(rr),
        n_rows=len(Y),
    )
    return products, (coefficients + correction).T, scale


def _pairs(left: FloatArray, right: FloatArray) -> FloatArray:
    """(S, k, a) and (S, k, b) -> (pairs, a, b), both orders summed, halved where equal."""
    n, k, a = left.shape
    b = right.shape[2]
    full = (left.reshape(n, k * a).T @ right.reshape(n, k * b)).reshape(k, a, k, b)
    rows, cols = triangle(k)
    block = full[rows, :, cols, :] + full[cols, :, rows, :]
    block[rows == cols] *= 0.5
    return np.asarray(block)


def _own_pairs(residual: FloatArray) -> FloatArray:
    """(S, k, B) -> (pairs, B): twice the products of an outcome with itself, halved where equal."""
    rows, cols = triangle(residual.shape[1])
    sums = np.einsum("szb,szb->zb", residual[:, rows], residual[:, cols], optimize=True)
    return np.asarray(np.where(rows == cols, 1.0, 2.0)[:, None] * sums)
