"""Many small matrices at once, the index of the matrix last: (a, b, S).

Loops run over the small sizes and every step is one operation on S numbers, which for
2 x 2 or 5 x 5 matrices is many times quicker than a call for each matrix.
"""

import numpy as np

from aibmd.linalg.symmetric import FloatArray


def multiply_stacked(left: FloatArray, right: FloatArray) -> FloatArray:
    """(a, b, S) times (b, c, S) -> (a, c, S)."""
    product = left[:, 0, None] * right[None, 0]
    for inner in range(1, left.shape[1]):
        product += left[:, inner, None] * right[None, inner]
    return np.asarray(product)


def invert_stacked(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverses (q, q, S) and log determinants (S,) of positive definite matrices.

    Raises
    ------
    numpy.linalg.LinAlgError
        If one of them is not positive definite.
    """
    q = len(matrices)
    L = np.zeros_like(matrices)
    for j in range(q):
        pivot = matrices[j, j] - (L[j, :j] ** 2).sum(axis=0)
        if not (pivot > 0).all():
            raise np.linalg.LinAlgError("a matrix is not positive definite")
        L[j, j] = np.sqrt(pivot)
        for i in range(j + 1, q):
            L[i, j] = (matrices[i, j] - (L[i, :j] * L[j, :j]).sum(axis=0)) / L[j, j]
    logdet = 2.0 * np.log(np.stack([L[j, j] for j in range(q)])).sum(axis=0)
    inverse_L = _invert_lower(L)
    inverse = np.empty_like(matrices)
    for i in range(q):
        for j in range(i, q):
            inverse[i, j] = inverse[j, i] = (inverse_L[j:, i] * inverse_L[j:, j]).sum(axis=0)
    return inverse, logdet


def _invert_lower(L: FloatArray) -> FloatArray:
    q = len(L)
    inverse = np.zeros_like(L)
    for j in range(q):
        inverse[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, q):
            inverse[i, j] = -(L[i, j:i] * inverse[j:i, j]).sum(axis=0) / L[i, i]
    return inverse
