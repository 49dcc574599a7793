"""EM steps for an unstructured Sigma: slow, never downhill, never outside.

Used only where scoring was not certified: from far away a scoring step can leave the basin
of an interior maximum for a ridge, and EM does not.
"""

import numpy as np

from aibmd.linalg.symmetric import FloatArray, triangle
from aibmd.model.cross_products import CrossProducts
from aibmd.model.likelihood import differentiate, evaluate
from aibmd.vocabulary import Method

EM_STEPS = 300


def approach_by_em(
    cross: CrossProducts, E: FloatArray, theta: FloatArray, method: Method
) -> FloatArray:
    """Move an unstructured theta uphill by `EM_STEPS` steps (M9).

    Parameters
    ----------
    cross : CrossProducts
    E : (n_theta, m, m) array
        All elements of Sigma, in packed order.
    theta : (n_theta,) array
    method : "reml" or "ml"
    """
    n_subjects, m = int(cross.n_subjects.sum()), cross.n_visits
    for _ in range(EM_STEPS):
        Sigma = np.tensordot(theta, E, axes=1)
        at = evaluate(cross, Sigma, method)
        if at is None:
            break
        # An off-diagonal element moves two entries of Sigma, hence the half.
        S = np.tensordot(differentiate(cross, at, E, method).score, E, axes=1)
        S = np.where(np.eye(m, dtype=bool), S, 0.5 * S)
        theta = (Sigma + (2.0 / n_subjects) * Sigma @ S @ Sigma)[triangle(m)]
    return theta
