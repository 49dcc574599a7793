"""Contrasts of marginal means, and contrasts of contrasts."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.inference.estimates import LinearEstimates
from aibmd.inference.multiplicity import check_adjustment
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.means.estimates import MarginalEstimates, estimate_functions
from aibmd.means.families import FamilyName, build_contrasts
from aibmd.vocabulary import Adjustment

# The others need simultaneous limits, which the table of estimates does not offer yet.
_OFFERED: Final = ("none", "holm", "bh")
_CONTRAST_COLUMN: Final = re.compile(r"contrast\d*")
_TITLES: Final = {"holm": "Holm", "bh": "Benjamini-Hochberg"}


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


def contrast(
    means: LinearEstimates,
    method: FamilyName | Mapping[str, Any] = "pairwise",
    by: str | Iterable[str] | None = None,
    control: str | None = None,
    adjust: Adjustment = "none",
    family: Literal["within_by", "all"] = "within_by",
    conf_level: float | None = None,
) -> LinearEstimates:
    """Differences between marginal means, or any other linear function of them.

    Parameters
    ----------
    means : LinearEstimates
        From `emmeans`, or from `contrast` itself. It is not changed.
    method : str or mapping
        ``"pairwise"`` (A - B in level order), ``"revpairwise"`` (B - A),
        ``"treatment_vs_control"``, ``"consecutive"`` (later - earlier), or
        ``{name: coefficients}`` with coefficients in row order of each group, or by level.
    by : str or list of str, optional
        Columns within whose values rows are compared; those of `means` unless given.
        ``by=[]`` compares across all rows.
    control : str, optional
        Level the others are compared with; the first unless given.
    adjust : "none", "holm" or "bh"
        Adjustment of the p-values. Limits stay unadjusted.
    family : "within_by" or "all"
        Whether p-values are adjusted within each group or over all rows.
    conf_level : float, optional
        That of `means` unless given.

    Returns
    -------
    LinearEstimates
        Labels ``A - B`` in the column `contrast`, then the `by` columns.

    Raises
    ------
    AibmdError
        Unknown method, level or adjustment; or estimates already turned into percent.

    Examples
    --------
    >>> means = emmeans(fit, over="armcd", by="avisit")  # doctest: +SKIP
    >>> contrast(means, "revpairwise", adjust="holm", family="all")  # doctest: +SKIP

    Notes
    -----
    With ``adjust="holm"`` an unadjusted limit can exclude zero beside an adjusted p-value above
    0.05. Adjusting within each group controls errors per group, not over the whole table.
    """
    _check_request(means, adjust, family)
    plan = plan_contrasts(means, method, by, control)
    result = _multiply(means, plan)
    families = plan.group if family == "within_by" else np.zeros_like(plan.group)
    families.flags.writeable = False
    return replace(
        result,
        conf_level=means.conf_level if conf_level is None else conf_level,
        adjust=adjust,
        family=families,
        notes=(*_lasting(means.notes), *_describe(adjust, families, plan, result)),
    )


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
    return any(_CONTRAST_COLUMN.fullmatch(str(name)) for name in estimates.labels.columns)


def _check_request(means: LinearEstimates, adjust: str, family: str) -> None:
    if means.scale == "percent":
        raise AibmdError(
            "these estimates are in percent, whose differences are no ratios of means. Take the "
            "contrast of the log-scale means first, then back_transform it"
        )
    if adjust not in _OFFERED:
        if adjust not in ("bonferroni", "tukey", "dunnett", "mvt"):
            check_adjustment(adjust)
        raise AibmdError(
            f"adjust={adjust!r} needs simultaneous limits and is not available yet; available: "
            f"{', '.join(_OFFERED)}"
        )
    if family not in ("within_by", "all"):
        raise AibmdError(f"family={family!r} is not 'within_by' or 'all'")


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
    nested = any(_CONTRAST_COLUMN.fullmatch(str(column)) for column in rows.columns)
    return [f"({label})" for label in joined] if nested else joined


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


def _multiply(means: LinearEstimates, plan: ContrastPlan) -> LinearEstimates:
    C = plan.coefficients
    if isinstance(means, MarginalEstimates) and means.L_full is not None and means.coding:
        return estimate_functions(
            plan.labels,
            C @ means.L_full,
            means.coding,
            means.inference,
            conf_level=means.conf_level,
            by=plan.by,
            notes=(),
        )
    unknown: BoolArray = ~means.is_estimable
    L = C @ np.where(unknown[:, None], 0.0, means.L)
    L[(C[:, unknown] != 0).any(axis=1)] = np.nan
    L.flags.writeable = False
    return replace(means, labels=plan.labels, L=L, by=plan.by)


def _lasting(notes: Sequence[str]) -> list[str]:
    """Notes on the grid; what was said of earlier p-values no longer holds."""
    return [note for note in notes if not note.startswith("P-values")]


def _describe(
    adjust: str,
    families: IntArray,
    plan: ContrastPlan,
    result: LinearEstimates,
) -> list[str]:
    sizes = np.bincount(families[result.is_estimable], minlength=families.max() + 1)
    size = " or ".join(map(str, sorted(set(sizes.tolist()))))
    count = len(sizes)
    which = f"each of {count} families of {size}" if count > 1 else f"one family of {size}"
    where = f" (by {', '.join(plan.by)})" if count > 1 else ""
    lines = [
        f"P-values: not adjusted for multiplicity; {which}{where}."
        if adjust == "none"
        else f"P-values: adjusted by {_TITLES[adjust]} within {which}{where}; limits are not."
    ]
    if (off := ~plan.sums_to_zero).any():
        names = ", ".join(dict.fromkeys(result.labels.iloc[off, 0]))
        lines.append(f"Coefficients do not sum to zero, so these are not contrasts: {names}.")
    return lines
