"""Adjusted p-values, by statsmodels."""

import numpy as np

from aibmd.errors import AibmdError, MissingExtraError
from aibmd.linalg.symmetric import FloatArray

# Our word -> that of statsmodels.
AVAILABLE = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh"}


def check_adjustment(adjust: str) -> None:
    """Refuse an adjustment that is not available, listing those that are."""
    if adjust not in ("none", *AVAILABLE):
        names = ", ".join(("none", *AVAILABLE))
        raise AibmdError(f"adjust={adjust!r} is not available; available: {names}")


def adjust_p_values(p_values: FloatArray, adjust: str) -> FloatArray:
    """Adjust one family; NaN (not estimable) is no member of it.

    Parameters
    ----------
    p_values : (r,) array
    adjust : "none", "holm", "bonferroni" or "bh"
    """
    check_adjustment(adjust)
    p_values = np.asarray(p_values, dtype=float)
    members = np.isfinite(p_values)
    if adjust == "none" or members.sum() < 2:
        return p_values
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise MissingExtraError.for_extra("statsmodels", "stats") from error
    adjusted = p_values.copy()
    adjusted[members] = multipletests(p_values[members], method=AVAILABLE[adjust])[1]
    return adjusted


def adjust_within_families(
    p_values: FloatArray, family: np.ndarray | None, adjust: str
) -> FloatArray:
    """Adjust each family on its own; without families all rows are one."""
    if family is None:
        return adjust_p_values(p_values, adjust)
    adjusted = np.asarray(p_values, dtype=float).copy()
    for member in np.unique(family):
        rows = family == member
        adjusted[rows] = adjust_p_values(adjusted[rows], adjust)
    return adjusted
