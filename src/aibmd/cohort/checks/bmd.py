"""Checks of BMD itself: positive, in g/cm2, and possible."""

import numpy as np
import pandas as pd

from aibmd.cohort.problem import Problem, list_rows, plural
from aibmd.cohort.schema import BMD_HIGH, BMD_LOW, MG_PER_G, SENTINELS
from aibmd.cohort.table import ScanTable
from aibmd.vocabulary import BMD

_MISSING_CODE = "A code for missing values must be blank or NA."


def _measured(table: ScanTable) -> pd.Series:
    """BMD that is a number, missing where the cell is blank, text or infinite."""
    return table.clean[BMD].where(np.isfinite(table.clean[BMD]))


def _in_mg(bmd: pd.Series) -> pd.Series:
    """Values a thousand times too large, which is what mg/cm2 look like."""
    large = bmd.between(BMD_LOW * MG_PER_G, BMD_HIGH * MG_PER_G)
    return large if _is_mg_column(bmd, large) else large & ~bmd.isin(SENTINELS)


def _is_mg_column(bmd: pd.Series, large: pd.Series) -> bool:
    return large.sum() > (bmd > 0).sum() / 2


def _looks_like_scores(bmd: pd.Series) -> bool:
    """Many negative values, and none that is large."""
    return bool((bmd <= 0).sum() > 0.1 * bmd.count() and bmd.abs().max() < 10)


def check_bmd_measured(table: ScanTable) -> list[Problem]:
    """At least one scan has a BMD."""
    if not table.has(BMD) or not len(table.raw) or not table.raw[BMD].isna().all():
        return []
    message = f"bmd is blank in all {plural(len(table.raw), 'row')}"
    return [Problem("bmd_measured", (), message, "Give BMD in g/cm2; blank only missed scans.")]


def check_bmd_positive(table: ScanTable) -> list[Problem]:
    """BMD is above zero."""
    if not table.has(BMD):
        return []
    bmd = _measured(table)
    wrong = bmd <= 0
    if not wrong.any():
        return []
    message = f"bmd: {plural(int(wrong.sum()), 'value')} at or below zero"
    message += list_rows(table.cells(wrong, BMD))
    remedy = f"Give BMD in g/cm2. {_MISSING_CODE}"
    if _looks_like_scores(bmd):
        remedy = "These look like T-scores or changes. Give the BMD itself, in g/cm2."
    return [Problem("bmd_positive", tuple(table.raw.index[wrong]), message, remedy)]


def check_bmd_unit(table: ScanTable) -> list[Problem]:
    """BMD is in g/cm2, all of it."""
    if not table.has(BMD):
        return []
    bmd = _measured(table)
    large = _in_mg(bmd)
    if not large.any():
        return []
    n, of = int(large.sum()), int((bmd > 0).sum())
    remedy = "Divide these values by 1000."
    if n == of:
        message = f"bmd looks like mg/cm2, not g/cm2: the median of {plural(n, 'value')} is "
        message += f"{bmd[large].median():g}"
        remedy = "Divide the column by 1000."
    elif _is_mg_column(bmd, large):
        message = f"bmd mixes units: {n} of {of} values look like mg/cm2, not g/cm2"
    else:
        look = "looks" if n == 1 else "look"
        message = f"bmd: {n} of {plural(of, 'value')} {look} like mg/cm2, not g/cm2"
    message += list_rows(table.cells(large, BMD))
    return [Problem("bmd_unit", tuple(table.raw.index[large]), message, remedy)]


def check_bmd_range(table: ScanTable) -> list[Problem]:
    """BMD lies where an adult's areal BMD can lie."""
    if not table.has(BMD):
        return []
    bmd = _measured(table)
    outside = (bmd > 0) & ~bmd.between(BMD_LOW, BMD_HIGH) & ~_in_mg(bmd)
    if not outside.any() or _looks_like_scores(bmd):
        return []
    message = f"bmd: {plural(int(outside.sum()), 'value')} that cannot be a BMD in g/cm2"
    message += list_rows(table.cells(outside, BMD))
    remedy = f"Expected {BMD_LOW} to {BMD_HIGH} g/cm2. Look the scans up, or leave the cells blank."
    if bmd[outside].isin(SENTINELS).any():
        remedy += f" {_MISSING_CODE}"
    return [Problem("bmd_range", tuple(table.raw.index[outside]), message, remedy)]
