"""Cross-products of [X, y] by visit pair within pattern: all the likelihood needs of the data.

Collected once; after that one evaluation costs the same for 300 subjects and for a million.
"""

from dataclasses import dataclass, field

import numpy as np

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
from aibmd.model.least_squares import LeastSquares, fit_least_squares
from aibmd.model.patterns import VisitPatterns


@dataclass(frozen=True, slots=True)
class CrossProducts:
    """Sufficient statistics of the scaled rows Z = [Q, r] of `LeastSquares`.

    For pattern k and visits j <= l, ``gram`` holds sum_i (z_ij z_il' + z_il z_ij') packed,
    halved where j = l; with sampling weights every subject counts as often as they say.

    Attributes
    ----------
    least_squares : LeastSquares
    observed : (K, m) bool; n_subjects : (K,)
    pattern, first, second : (n_pairs,) int arrays
        Pattern and the two visits of each row of `gram`.
    gram : (n_pairs, q(q+1)/2) array, q = p + 1
    padding : Padding
        Of `observed`, for inverting all patterns at once.
    """

    least_squares: LeastSquares
    observed: BoolArray
    n_subjects: FloatArray
    pattern: IntArray
    first: IntArray
    second: IntArray
    gram: FloatArray
    padding: Padding = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "padding", make_padding(self.observed))
        freeze_arrays(self)

    @property
    def n_rows(self) -> int:
        """Number of observations."""
        return self.least_squares.n_rows

    @property
    def n_coefficients(self) -> int:
        """p, the number of columns kept."""
        return self.least_squares.n_coefficients

    @property
    def n_visits(self) -> int:
        """Number of visits, or of cells, m."""
        return int(self.observed.shape[1])

    @property
    def co_observed(self) -> BoolArray:
        """(m, m): whether some subject has both visits."""
        seen = self.observed.astype(float)
        return np.asarray((seen.T @ seen) > 0)


def collect_cross_products(
    X: FloatArray,
    y: FloatArray,
    patterns: VisitPatterns,
    log_weights: float = 0.0,
    sampling: FloatArray | None = None,
) -> CrossProducts:
    """Sum the cross-products of long-form rows.

    Parameters
    ----------
    X : (n, p_full) array
    y : (n,) array
    patterns : VisitPatterns
    log_weights : float
        Half the log of the precision weights already multiplied into X and y.
    sampling : (n,) array, optional
        How often each row's subject counts.
    """
    least_squares, Z = fit_least_squares(X, y, log_weights)
    n_subjects = patterns.n_subjects.astype(float)
    if sampling is not None:
        Z = Z * np.sqrt(sampling)[:, None]
        n_subjects = np.array([sampling[rows[:, 0]].sum() for rows in patterns.rows])
    pattern, first, second = visit_pairs(patterns.observed)
    return CrossProducts(
        least_squares=least_squares,
        observed=patterns.observed,
        n_subjects=n_subjects,
        pattern=pattern,
        first=first,
        second=second,
        gram=np.concatenate([_pattern_gram(Z[rows]) for rows in patterns.rows]),
    )


def visit_pairs(observed: BoolArray) -> tuple[IntArray, IntArray, IntArray]:
    """Pattern, first and second visit of every observed pair, in the order of `gram`."""
    rows, cols = triangle(observed.shape[1])
    pattern, pair = np.nonzero(observed[:, rows] & observed[:, cols])
    return pattern, rows[pair], cols[pair]


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
