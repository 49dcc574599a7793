"""Symmetric matrices: packed storage, inverses of many sub-matrices at once, unit-free spectra."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv, dpotrf, dpotri

from aibmd.linalg.frozen import freeze_arrays

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]


@lru_cache(maxsize=64)
def _triangle(size: int) -> tuple[IntArray, IntArray, IntArray]:
    """Row and column of each packed element, and the packed place of each (row, column)."""
    rows, cols = np.triu_indices(size)
    place = np.empty((size, size), dtype=np.intp)
    place[rows, cols] = place[cols, rows] = np.arange(len(rows))
    return rows, cols, place


def pack_symmetric(matrices: FloatArray) -> FloatArray:
    """Upper triangles (..., q, q) -> (..., q(q+1)/2)."""
    rows, cols, _ = _triangle(matrices.shape[-1])
    return matrices[..., rows, cols]


def unpack_symmetric(packed: FloatArray, size: int) -> FloatArray:
    """Undo `pack_symmetric`."""
    return packed[..., _triangle(size)[2]]


def packed_weights(matrix: FloatArray) -> FloatArray:
    """Weights w with ``packed @ w == sum(full * matrix)`` for a symmetric (q, q) matrix."""
    rows, cols, _ = _triangle(matrix.shape[-1])
    return matrix[rows, cols] * np.where(rows == cols, 1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Padding:
    """Where sub-matrices of one (m, m) matrix lie, for K sets of observed visits.

    Attributes
    ----------
    both : (K, m, m) array
        One where both visits are observed, else zero.
    missing : (K, m, m) array
        One on the diagonal of visits that are not observed.
    """

    both: FloatArray
    missing: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def make_padding(observed: BoolArray) -> Padding:
    """Masks of the (K, m) observed visits."""
    seen = observed.astype(float)
    missing = np.eye(observed.shape[1]) * (1.0 - seen)[:, :, None]
    return Padding(seen[:, :, None] * seen[:, None, :], missing)


@dataclass(frozen=True, slots=True)
class PaddedInverse:
    """Inverses of the observed sub-matrices, zero where a visit is not observed.

    Attributes
    ----------
    inverse : (K, m, m) array
    logdet : (K,) array
        Log determinant of each observed sub-matrix.
    """

    inverse: FloatArray
    logdet: FloatArray


def invert_padded(matrix: FloatArray, padding: Padding) -> PaddedInverse | None:
    """Invert every observed sub-matrix of one (m, m) matrix; None if one is not positive definite.

    A missing visit gets a one on the diagonal and zeros elsewhere, so that a single
    batched call serves all patterns; its row of the inverse is then set to zero.
    """
    padded = matrix * padding.both + padding.missing
    try:
        chol = np.linalg.cholesky(padded)
        inverse = np.linalg.inv(padded) - padding.missing
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(inverse).all():
        return None
    return PaddedInverse(inverse, 2.0 * np.log(chol.diagonal(0, 1, 2)).sum(axis=1))


def solve_spd(matrix: FloatArray, right: FloatArray) -> FloatArray | None:
    """Solve a positive definite system, scaled to unit diagonal first; None if it is not one."""
    diagonal = matrix.diagonal()
    if not (diagonal > 0).all():
        return None
    scale = 1.0 / np.sqrt(diagonal)
    _, solution, failed = dposv(matrix * (scale[:, None] * scale), right * scale, lower=1)
    if failed or not np.isfinite(solution).all():
        return None
    return np.asarray(solution * scale, dtype=np.float64)


def inverse_spd(matrix: FloatArray) -> FloatArray:
    """Inverse of a positive definite matrix; see `inverse_and_logdet`."""
    return inverse_and_logdet(matrix)[0]


def inverse_and_logdet(matrix: FloatArray) -> tuple[FloatArray, float]:
    """Inverse and log determinant of a positive definite matrix, scaled to unit diagonal first.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite.
    """
    diagonal = matrix.diagonal()
    if not (diagonal > 0).all():
        raise np.linalg.LinAlgError("a diagonal element is not positive")
    scale = 1.0 / np.sqrt(diagonal)
    outer = scale[:, None] * scale
    chol, failed = dpotrf(matrix * outer, lower=1, clean=1)
    if failed or not np.isfinite(chol).all():
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    logdet = 2.0 * float((np.log(chol.diagonal()) - np.log(scale)).sum())
    lower = dpotri(chol, lower=1)[0]
    inverse = lower + lower.T
    inverse.reshape(-1)[:: len(matrix) + 1] *= 0.5
    return np.asarray(inverse * outer, dtype=np.float64), logdet


def triangle(size: int) -> tuple[IntArray, IntArray]:
    """Rows and columns of the upper triangle, in packed order."""
    rows, cols, _ = _triangle(size)
    return rows, cols
