"""EM steps for an unstructured Sigma: slow, never downhill, never outside.

Used only where scoring was not certified: from far away a scoring step can leave the basin
of an interior maximum for a ridge, and EM does not.
"""

import numpy as np

from aibmd.linalg.symmetric import FloatArray, triangle
from aibmd.model.pattern_likelihood import PatternCriterion

EM_STEPS = 300


def approach_by_em(criterion: PatternCriterion, theta: FloatArray) -> FloatArray:
    """Move an unstructured theta uphill by `EM_STEPS` steps (M9).

    Parameters
    ----------
    criterion : PatternCriterion
        Whose parameters are all elements of Sigma, in packed order.
    theta : (n_theta,) array
    """
    m = criterion.cross.n_visits
    n_subjects = float(criterion.cross.n_subjects.sum())
    for _ in range(EM_STEPS):
        at = criterion.evaluate(theta)
        if at is None:
            break
        Sigma = criterion.sigma(theta)
        # An off-diagonal element moves two entries of Sigma, hence the half.
        score = criterion.differentiate(theta, at).score
        S = np.tensordot(score, criterion.first(theta), axes=1)
        S = np.where(np.eye(m, dtype=bool), S, 0.5 * S)
        theta = (Sigma + (2.0 / n_subjects) * Sigma @ S @ Sigma)[triangle(m)]
    return theta
