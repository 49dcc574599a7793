"""Cross-products of [X, y] by visit pair within pattern: all the likelihood needs of the data.

Collected once; after that one evaluation costs the same for 300 subjects and for a million.
"""

from dataclasses import dataclass, field

import numpy as np

from aibmd.linalg.basis import OrthonormalBasis, orthonormalise
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import (
    BoolArray,
    FloatArray,
    IntArray,
    Padding,
    make_padding,
    pack_symmetric,
    triangle,
)
from aibmd.model.patterns import VisitPatterns

# Residuals below this share of the response are rounding, not variation.
PERFECT_FIT_SHARE = 1e-10


@dataclass(frozen=True, slots=True)
class CrossProducts:
    """Sufficient statistics in a basis where Q'Q = I and the residual SD is one.

    Z = [Q, r] with Q = X[:, kept] T and r = (y - X b0) / s. For pattern k and visits
    j <= l, ``gram`` holds sum_i (z_ij z_il' + z_il z_ij') packed, halved where j = l.

    Attributes
    ----------
    observed : (K, m) bool; n_subjects : (K,)
    pattern, first, second : (n_pairs,) int arrays
        Pattern and the two visits of each row of `gram`.
    gram : (n_pairs, q(q+1)/2) array, q = p + 1
    basis : OrthonormalBasis
    beta0 : (p,) array
        Least-squares coefficients b0, on the user's scale.
    scale : float
        s, the least-squares residual SD, on the user's scale.
    n_rows : int
    padding : Padding
        Of `observed`, for inverting all patterns at once.
    """

    observed: BoolArray
    n_subjects: IntArray
    pattern: IntArray
    first: IntArray
    second: IntArray
    gram: FloatArray
    basis: OrthonormalBasis
    beta0: FloatArray
    scale: float
    n_rows: int
    padding: Padding = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", make_padding(self.observed))
        freeze_arrays(self)

    @property
    def n_coefficients(self) -> int:
        """p, the number of columns kept."""
        return len(self.beta0)

    @property
    def n_visits(self) -> int:
        """Number of visits, m."""
        return int(self.observed.shape[1])

    @property
    def is_perfect_fit(self) -> bool:
        """Whether least squares leaves nothing to model."""
        return self.scale == 0.0


def collect_cross_products(X: FloatArray, y: FloatArray, patterns: VisitPatterns) -> CrossProducts:
    """Sum the cross-products of long-form rows.

    Parameters
    ----------
    X : (n, p_full) array
    y : (n,) array
    patterns : VisitPatterns
    """
    basis = orthonormalise(X)
    Q = (X if len(basis.kept) == X.shape[1] else X[:, basis.kept]) @ basis.transform
    delta, residual = _least_squares(Q, y)
    scale = residual_scale(residual, y, Q.shape[1])
    Z = np.column_stack([Q, residual / (scale or 1.0)])
    pattern, first, second = visit_pairs(patterns.observed)
    gram = np.concatenate([_pattern_gram(Z[rows]) for rows in patterns.rows])
    return CrossProducts(
        observed=patterns.observed,
        n_subjects=patterns.n_subjects,
        pattern=pattern,
        first=first,
        second=second,
        gram=gram,
        basis=basis,
        beta0=basis.transform @ delta,
        scale=scale,
        n_rows=len(y),
    )


def visit_pairs(observed: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Pattern, first and second visit of every observed pair, in the order of `gram`."""
    rows, cols = triangle(observed.shape[1])
    pattern, pair = np.nonzero(observed[:, rows] & observed[:, cols])
    return pattern, rows[pair], cols[pair]


def _least_squares(Q: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients on Q and residuals, with one refinement against a large mean of y."""
    delta = Q.T @ y
    residual = y - Q @ delta
    correction = Q.T @ residual
    return delta + correction, residual - Q @ correction


def residual_scale(residual: FloatArray, y: FloatArray, n_columns: int) -> float:
    """Residual SD of least squares; zero where what is left is rounding."""
    sum_of_squares = float(residual @ residual)
    if sum_of_squares <= PERFECT_FIT_SHARE**2 * float(y @ y) or len(y) <= n_columns:
        return 0.0
    return float(np.sqrt(sum_of_squares / (len(y) - n_columns)))


def _pattern_gram(Z: FloatArray) -> FloatArray:
    """(n, k, q) rows of one pattern -> (k(k+1)/2, q(q+1)/2)."""
    n, k, q = Z.shape
    flat = Z.reshape(n, k * q)
    full = (flat.T @ flat).reshape(k, q, k, q)
    rows, cols = triangle(k)
    block = full[rows, :, cols, :]
    block = block + block.transpose(0, 2, 1)
    block[rows == cols] *= 0.5
    return pack_symmetric(block)
