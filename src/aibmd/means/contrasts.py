"""Contrasts of marginal means, and contrasts of contrasts."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from aibmd.errors import AibmdError, DataWarning
from aibmd.inference.estimates import LinearEstimates, multiply_known
from aibmd.inference.multiplicity import ADJUSTMENTS, check_adjustment
from aibmd.linalg.symmetric import IntArray
from aibmd.means.estimates import MarginalEstimates, estimate_functions
from aibmd.means.families import FamilyName
from aibmd.means.family_shape import count_means
from aibmd.means.plan import ContrastPlan, plan_contrasts
from aibmd.vocabulary import Adjustment


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
    adjust : str
        ``"none"``; ``"holm"`` or ``"bh"`` (p-values only, limits stay unadjusted);
        ``"bonferroni"``, ``"tukey"`` (all pairs of one set of means), ``"dunnett"`` (each mean
        with one control, exact) or ``"mvt"`` (any family, exact): p-values and limits.
    family : "within_by" or "all"
        Whether rows are adjusted within each group or over all groups together. A family of
        one has nothing to adjust: where all groups are such, a DataWarning says so and the table
        is the unadjusted one.
    conf_level : float, optional
        That of `means` unless given.

    Returns
    -------
    LinearEstimates
        Labels ``A - B`` in the column `contrast`, then the `by` columns.

    Raises
    ------
    AibmdError
        Unknown method, level or adjustment; an adjustment that is not for such a family; or
        estimates already turned into percent.

    Examples
    --------
    >>> import aibmd, pandas as pd
    >>> scans = pd.DataFrame({
    ...     "subject_id": [1, 1, 2, 2, 3, 3, 4, 4],
    ...     "arm": list("AAAABBBB"),
    ...     "visit": ["m12", "m24"] * 4,
    ...     "bmd_log_change": [-0.01, -0.02, -0.03, -0.06, 0.02, 0.03, 0.00, 0.01],
    ... })
    >>> fit = aibmd.fit_mmrm("bmd_log_change ~ arm * visit", scans,
    ...                      subject="subject_id", visit="visit", covariance="cs")
    >>> means = aibmd.emmeans(fit, over="arm", by="visit")
    >>> found = contrast(means, "revpairwise", adjust="holm", family="all").to_frame()
    >>> print(found[["contrast", "visit", "estimate"]].round(4).to_string(index=False))
    contrast visit  estimate
       B - A   m12      0.03
       B - A   m24      0.06

    Notes
    -----
    With ``adjust="holm"`` an unadjusted limit can exclude zero beside an adjusted p-value above
    0.05. Adjusting within each group controls errors per group, not over the whole table.
    ``"tukey"`` takes the means as independent with one variance; for visits of the same people
    or very unequal groups ``"mvt"`` uses the correlations as they are.
    """
    _check_request(means, adjust, family)
    plan = plan_contrasts(means, method, by, control)
    result = _multiply(means, plan)
    families = plan.group if family == "within_by" else np.zeros_like(plan.group)
    families.flags.writeable = False
    n_means = count_means(adjust, plan.coefficients, families, result.is_estimable)
    sizes = np.bincount(families[result.is_estimable], minlength=families.max() + 1)
    done = _describe_p_values(adjust, sizes, n_means, plan.by)
    if adjust != "none" and sizes.max() == 1:
        if sizes.sum() > 1:  # one p-value alone leaves no other family to choose
            warnings.warn(f"adjust={adjust!r}: p-values are {done}", DataWarning, stacklevel=2)
        adjust = "none"
    return replace(
        result,
        conf_level=means.conf_level if conf_level is None else conf_level,
        adjust=adjust,
        family=families,
        n_means=n_means,
        notes=(*_lasting(means.notes), f"P-values: {done}.", *_describe_sums(plan)),
    )


def _check_request(means: LinearEstimates, adjust: str, family: str) -> None:
    if means.scale == "percent":
        raise AibmdError(
            "these estimates are in percent, whose differences are no ratios of means. Take the "
            "contrast of the log-scale means first, then back_transform it"
        )
    check_adjustment(adjust)
    if family not in ("within_by", "all"):
        raise AibmdError(f"family={family!r} is not 'within_by' or 'all'")


def _multiply(means: LinearEstimates, plan: ContrastPlan) -> LinearEstimates:
    C = plan.coefficients
    spread = None
    if means.covariate_vcov is not None:
        spread = C @ np.nan_to_num(means.covariate_vcov) @ C.T
    if isinstance(means, MarginalEstimates) and means.L_full is not None and means.coding:
        return estimate_functions(
            plan.labels,
            multiply_known(C, means.L_full),
            means.coding,
            means.inference,
            conf_level=means.conf_level,
            by=plan.by,
            notes=(),
            trend=means.trend,
            covariate_vcov=spread,
            covariate_df=means.covariate_df,
        )
    L = multiply_known(C, means.L)
    return replace(means, labels=plan.labels, L=L, by=plan.by, covariate_vcov=spread)


def _lasting(notes: Sequence[str]) -> list[str]:
    """Notes on the grid; what was said of earlier p-values no longer holds."""
    return [note for note in notes if not note.startswith("P-values")]


def _describe_p_values(adjust: str, sizes: IntArray, n_means: IntArray, by: tuple[str, ...]) -> str:
    """What was done to p-values in families of these sizes."""
    size = " or ".join(map(str, sorted(set(sizes.tolist()))))
    count = len(sizes)
    which = f"each of {count} families of {size}" if count > 1 else f"one family of {size}"
    where = f" (by {', '.join(by)})" if count > 1 else ""
    if adjust == "none":
        return f"not adjusted for multiplicity; {which}{where}"
    if sizes.max() == 1:
        return f"not adjusted: {_describe_lone_members(adjust, int(sizes.sum()))}{where}"
    return f"adjusted by {ADJUSTMENTS[adjust].title}{_detail(adjust, n_means)}; {which}{where}"


def _describe_lone_members(adjust: str, together: int) -> str:
    if together == 1:
        return "the family has one member"
    # Rows of several groups are neither all pairs of one set of means nor against one control.
    exact = " with adjust='mvt'" if adjust in ("tukey", "dunnett") else ""
    return f"each family has one member; family='all'{exact} makes one family of {together}"


def _describe_sums(plan: ContrastPlan) -> list[str]:
    if not (off := ~plan.sums_to_zero).any():
        return []
    names = ", ".join(dict.fromkeys(plan.labels.iloc[off, 0]))
    return [f"Coefficients do not sum to zero, so these are not contrasts: {names}."]


def _detail(adjust: str, n_means: IntArray) -> str:
    """What the title of an adjustment leaves open."""
    if adjust == "tukey":
        sizes = " or ".join(map(str, sorted(set(n_means.tolist()))))
        return f" (studentized range of {sizes} means)"
    return " (exact, with the correlations of the estimates)" if adjust == "dunnett" else ""
