"""An orthonormal basis for the columns of a design, keeping columns in declared order."""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray

# A column counts as dependent when less than this share of its length is new.
# R's lm uses the same 1e-7; rounding in a QR of standardised columns stays below 1e-13.
DEPENDENT_SHARE = 1e-7
# Below this share the Gram matrix has lost too many digits; QR decides instead.
_GRAM_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class OrthonormalBasis:
    """``Q = X[:, kept] @ transform`` has orthonormal columns.

    Attributes
    ----------
    kept : (p,) int array
        Columns that add something to those before them.
    transform : (p, p) array
        Upper triangular.
    null_basis : (p_full, d) array
        Columns span the null space of X; d is the number of columns dropped.
    length : (p_full,) array
        Length of each column of X, so that estimability can be judged without units.
    """

    kept: IntArray
    transform: FloatArray
    null_basis: FloatArray
    length: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def log_det(self) -> float:
        """Log of the absolute determinant of `transform`."""
        return float(np.log(np.abs(np.diagonal(self.transform))).sum())


def orthonormalise(X: FloatArray) -> OrthonormalBasis:
    """Find the columns of X, in order, that are not combinations of earlier ones.

    Parameters
    ----------
    X : (n, p_full) array

    Returns
    -------
    OrthonormalBasis
    """
    length = np.sqrt(np.einsum("ij,ij->j", X, X))
    scale = np.where(length > 0, length, 1.0)
    R = _gram_factor(X, scale)
    if R is None:
        return _by_householder(X / scale, scale)
    return full_rank_basis(np.linalg.inv(R) / scale[:, None], scale)


def full_rank_basis(transform: FloatArray, length: FloatArray) -> OrthonormalBasis:
    """The basis of a design that keeps every column."""
    p = len(length)
    return OrthonormalBasis(np.arange(p), transform, np.empty((p, 0)), length)


def _gram_factor(X: FloatArray, scale: FloatArray) -> FloatArray | None:
    """R of ``X / scale = QR`` by Cholesky where that is safe, else None."""
    try:
        chol = np.linalg.cholesky((X.T @ X) / scale[:, None] / scale)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(chol.T) if np.diagonal(chol).min(initial=1.0) > _GRAM_SHARE else None


def _by_householder(X: FloatArray, scale: FloatArray) -> OrthonormalBasis:
    """Drop dependent columns one at a time, first in order first."""
    kept = np.arange(X.shape[1])
    R: FloatArray = np.asarray(np.linalg.qr(X, mode="r"))
    while len(kept):
        share = np.zeros(len(kept))
        share[: R.shape[0]] = np.abs(np.diagonal(R))
        dependent = np.flatnonzero(share < DEPENDENT_SHARE)
        if not len(dependent):
            break
        kept = np.delete(kept, dependent[0])
        R = np.asarray(np.linalg.qr(X[:, kept], mode="r"))
    transform = np.linalg.inv(R) / scale[kept, None] if len(kept) else np.empty((0, 0))
    return OrthonormalBasis(kept, transform, _null_basis(X, scale, kept), scale)


def _null_basis(X: FloatArray, scale: FloatArray, kept: IntArray) -> FloatArray:
    """Each dropped column minus its combination of kept ones, as a vector over all columns."""
    dropped = np.setdiff1d(np.arange(X.shape[1]), kept)
    basis = np.zeros((X.shape[1], len(dropped)))
    basis[kept] = -np.linalg.lstsq(X[:, kept], X[:, dropped], rcond=None)[0]
    basis[dropped, np.arange(len(dropped))] = 1.0
    return basis / scale[:, None]
