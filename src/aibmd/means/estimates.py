"""Linear functions over all columns of the formula, and which of them are estimable."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from aibmd.inference.coefficients import CoefficientInference
from aibmd.inference.estimates import LinearEstimates
from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.coding import Coding

_CONTRAST_COLUMN: Final = re.compile(r"contrast\d*")


@dataclass(frozen=True, slots=True)
class MarginalEstimates(LinearEstimates):
    """Marginal means, slopes, or contrasts of them.

    Attributes
    ----------
    L_full : (r, p_full) array or None
        Over all columns of the formula, also those that repeat others. A difference of two
        means that are not estimable can be estimable; only these rows know.
    coding : Coding or None
        Of the fit.
    trend : str
        Covariate whose slopes these are; empty for means.
    """

    L_full: FloatArray | None = None
    coding: Coding | None = None
    trend: str = ""

    # A generated repr would hide the printed table of the base class.
    __repr__ = LinearEstimates.__repr__

    def _footer(self) -> list[str]:
        """That of the base class, headed by what the rows are where the notes do not say it."""
        lines = LinearEstimates._footer(self)
        columns = list_contrast_columns(self.labels)
        if not columns and not self.trend and self.coding is not None:
            return [f"Means of {self.coding.formula.response}.", *lines]
        if len(columns) > 1:
            inner = " and ".join(columns[1:])
            return [f"{columns[0]}: difference of differences, taken within {inner}.", *lines]
        return lines


def list_contrast_columns(labels: pd.DataFrame) -> list[str]:
    """Label columns that name contrasts, the outermost first; none for means and slopes."""
    return [name for name in map(str, labels.columns) if _CONTRAST_COLUMN.fullmatch(name)]


def estimate_functions(
    labels: pd.DataFrame,
    L_full: FloatArray,
    coding: Coding,
    inference: CoefficientInference,
    *,
    conf_level: float,
    by: Sequence[str],
    notes: Sequence[str],
    trend: str = "",
    covariate_vcov: FloatArray | None = None,
    covariate_df: float = np.inf,
) -> MarginalEstimates:
    """Estimate the rows of `L_full`; rows the design does not determine hold NaN."""
    L = L_full[:, coding.kept].copy()
    known: BoolArray = np.asarray(np.isfinite(L_full).all(axis=1))
    L[~(known & coding.find_estimable(np.where(known[:, None], L_full, 0.0)))] = np.nan
    for array in (L, L_full):
        array.flags.writeable = False
    return MarginalEstimates(
        labels=labels,
        L=L,
        inference=inference,
        conf_level=conf_level,
        by=tuple(by),
        notes=tuple(notes),
        L_full=L_full,
        coding=coding,
        trend=trend,
        covariate_vcov=covariate_vcov,
        covariate_df=covariate_df,
    )
