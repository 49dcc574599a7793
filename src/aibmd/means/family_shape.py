"""Which families an adjustment was derived for: all pairs, or many against one control."""

import numpy as np

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray


def count_means(
    adjust: str, coefficients: FloatArray, family: IntArray, is_estimable: BoolArray
) -> IntArray:
    """Number of means that the family of each contrast compares.

    Parameters
    ----------
    adjust : str
    coefficients : (contrasts, r) array
        Over the r means.
    family : (contrasts,) int array
    is_estimable : (contrasts,) bool array
        Means that only appear in other contrasts are not counted.

    Raises
    ------
    AibmdError
        The adjustment is not for such a family.
    """
    counts = np.zeros(len(family), dtype=np.intp)
    for own in np.unique(family):
        rows = family == own
        if adjust == "tukey" and not is_all_pairs(coefficients[rows]):
            raise AibmdError(
                "adjust='tukey' is for all pairs of one set of means, once each. Use "
                "method='pairwise' or 'revpairwise' with family='within_by', or adjust='mvt', "
                "which is exact for any family"
            )
        if adjust == "dunnett" and not is_one_control(coefficients[rows]):
            raise AibmdError(
                "adjust='dunnett' is for each mean of one set against one control. Use "
                "method='treatment_vs_control' with family='within_by', or adjust='mvt', which "
                "is exact for any family"
            )
        counts[rows] = (coefficients[rows & is_estimable] != 0).any(axis=0).sum()
    counts.flags.writeable = False
    return counts


def is_all_pairs(coefficients: FloatArray) -> bool:
    """Whether these are the differences of every pair of the rows they use, once each.

    Examples
    --------
    >>> is_all_pairs(np.array([[1.0, -1, 0], [1, 0, -1], [0, 1, -1]]))
    True
    >>> is_all_pairs(np.array([[1.0, -1, 0], [1, 0, -1]]))
    False
    """
    if not _are_differences(coefficients):
        return False
    pairs = {tuple(np.flatnonzero(row).tolist()) for row in coefficients}
    n_means = int((coefficients != 0).any(axis=0).sum())
    return len(pairs) == len(coefficients) == n_means * (n_means - 1) // 2


def is_one_control(coefficients: FloatArray) -> bool:
    """Whether these are differences of distinct rows with one and the same row.

    Examples
    --------
    >>> is_one_control(np.array([[-1.0, 1, 0], [-1, 0, 1]]))
    True
    >>> is_one_control(np.array([[-1.0, 1, 0], [0, -1, 1]]))
    False
    """
    if not _are_differences(coefficients):
        return False
    uses = (coefficients != 0).sum(axis=0)
    shared = (coefficients == coefficients[0]).all(axis=0) & (coefficients[0] != 0)
    return bool(shared.any() and (uses > 0).sum() == len(coefficients) + 1)


def _are_differences(coefficients: FloatArray) -> bool:
    size = np.abs(coefficients)
    is_one = (size == 1.0).sum(axis=1) == 2
    return bool((is_one & (size.sum(axis=1) == 2) & (coefficients.sum(axis=1) == 0)).all())
