"""Linear functions over all columns of the formula, and which of them are estimable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from aibmd.inference.coefficients import CoefficientInference
from aibmd.inference.estimates import LinearEstimates
from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.coding import Coding

# Of functions and null vectors scaled to size one, so units of covariates do not matter.
_TOLERANCE: Final = 1e-8
# Enough to see how large a column is; coding all of a million rows again would be waste.
_ROWS_TO_SCALE: Final = 5_000


@dataclass(frozen=True, slots=True)
class MarginalEstimates(LinearEstimates):
    """Marginal means or contrasts of them.

    Attributes
    ----------
    L_full : (r, p_full) array or None
        Over all columns of the formula, also those that repeat others. A difference of two
        means that are not estimable can be estimable; only these rows know.
    coding : Coding or None
        Of the fit.
    """

    L_full: FloatArray | None = None
    coding: Coding | None = None

    # A generated repr would hide the printed table of the base class.
    __repr__ = LinearEstimates.__repr__


def estimate_functions(
    labels: pd.DataFrame,
    L_full: FloatArray,
    coding: Coding,
    inference: CoefficientInference,
    *,
    conf_level: float,
    by: Sequence[str],
    notes: Sequence[str],
    adjust: str = "none",
    family: np.ndarray | None = None,
) -> MarginalEstimates:
    """Estimate the rows of `L_full`; rows the design does not determine hold NaN."""
    L = L_full[:, coding.kept].copy()
    L[~find_estimable(L_full, coding)] = np.nan
    for array in (L, L_full):
        array.flags.writeable = False
    return MarginalEstimates(
        labels=labels,
        L=L,
        inference=inference,
        conf_level=conf_level,
        adjust=adjust,
        family=family,
        by=tuple(by),
        notes=tuple(notes),
        L_full=L_full,
        coding=coding,
    )


def find_estimable(L_full: FloatArray, coding: Coding) -> BoolArray:
    """(r,) bool: rows that vanish on the null space of X, up to rounding.

    Parameters
    ----------
    L_full : (r, p_full) array
    coding : Coding
        Of the fit.
    """
    if not coding.null_basis.shape[1]:
        return np.ones(len(L_full), dtype=bool)
    size = _column_sizes(coding)
    null = coding.null_basis * size[:, None]
    null = null / np.abs(null).max(axis=0)
    functions = L_full / size
    off = np.abs(functions @ null).max(axis=1)
    return np.asarray(off <= _TOLERANCE * np.abs(functions).max(axis=1))


def _column_sizes(coding: Coding) -> FloatArray:
    step = 1 + len(coding.frame) // _ROWS_TO_SCALE
    size = np.abs(coding.code(coding.frame.iloc[::step])).max(axis=0)
    return np.where(size > 0, size, 1.0)
