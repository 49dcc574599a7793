"""Which rows each contrast adds and subtracts, and what it is called."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.inference.estimates import LinearEstimates
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.means.estimates import MarginalEstimates, list_contrast_columns
from aibmd.means.families import FamilyName, build_contrasts


@dataclass(frozen=True, slots=True)
class ContrastPlan:
    """Contrasts of the rows of some estimates, before anything is estimated.

    Attributes
    ----------
    coefficients : (contrasts, r) array
        Over all r rows; zero outside the contrast's own group.
    labels : DataFrame
        One row per contrast.
    group : (contrasts,) int array
        Group each contrast belongs to.
    by : tuple of str
        Columns that define the groups.
    """

    coefficients: FloatArray
    labels: pd.DataFrame
    group: IntArray
    by: tuple[str, ...]

    @property
    def sums_to_zero(self) -> BoolArray:
        """(contrasts,) bool: a shift of all rows cancels."""
        size = np.abs(self.coefficients).sum(axis=1)
        return np.asarray(np.abs(self.coefficients.sum(axis=1)) <= 1e-10 * size)


def plan_contrasts(
    means: LinearEstimates,
    method: FamilyName | Mapping[str, Any],
    by: str | Iterable[str] | None,
    control: str | None,
) -> ContrastPlan:
    """Which rows of `means` each contrast adds and subtracts."""
    by = _group_columns(means, by)
    compared = [name for name in means.labels.columns if name not in by]
    if not compared:
        raise AibmdError("by= names every column, so each group has one row; name fewer")
    column, covariates = _new_column(by), _covariates(means)
    blocks, tables, group = [], [], []
    for number, rows in enumerate(_group_rows(means.labels, by)):
        names = _row_labels(means.labels.iloc[rows][compared], covariates)
        one = build_contrasts(method, names, control)
        block = np.zeros((len(one.labels), len(means)))
        block[:, rows] = one.coefficients
        blocks.append(block)
        same = means.labels.iloc[[rows[0]] * len(one.labels)][list(by)].reset_index(drop=True)
        tables.append(pd.concat([pd.DataFrame({column: one.labels}), same], axis=1))
        group += [number] * len(one.labels)
    labels = pd.concat(tables, ignore_index=True)
    return ContrastPlan(np.vstack(blocks), labels, np.array(group, dtype=np.intp), by)


def are_contrasts(estimates: LinearEstimates) -> bool:
    """Whether the rows are differences already, and no means."""
    return bool(list_contrast_columns(estimates.labels))


def _group_columns(means: LinearEstimates, by: str | Iterable[str] | None) -> tuple[str, ...]:
    names = means.by if by is None else (by,) if isinstance(by, str) else tuple(by)
    for name in names:
        if name not in means.labels.columns:
            raise AibmdError(
                f"by={name!r} is no column of these estimates; they have "
                f"{', '.join(map(str, means.labels.columns))}"
            )
    return names


def _group_rows(labels: pd.DataFrame, by: Sequence[str]) -> list[IntArray]:
    """Row numbers of each group, groups in order of first appearance."""
    if not by:
        return [np.arange(len(labels))]
    keys = labels[list(by)].apply(tuple, axis=1)
    codes, _ = pd.factorize(keys)
    return [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]


def _row_labels(rows: pd.DataFrame, covariates: Collection[str]) -> list[str]:
    """What a row is called in ``A - B``; a contrast within it goes into brackets."""
    parts = [
        [f"{name}={value:g}" if name in covariates else str(value) for value in rows[name]]
        for name in rows.columns
    ]
    joined = [" ".join(row) for row in zip(*parts, strict=True)]
    is_nested = bool(list_contrast_columns(rows))
    return [f"({label})" for label in joined] if is_nested else joined


def _covariates(means: LinearEstimates) -> set[str]:
    """Label columns that hold values of a covariate, which need its name beside them."""
    if not isinstance(means, MarginalEstimates) or means.coding is None:
        return set()
    return set(means.coding.formula.variables) - set(means.coding.levels)


def _new_column(by: Sequence[str]) -> str:
    name, number = "contrast", 0
    while name in by:
        number += 1
        name = f"contrast{number}"
    return name
