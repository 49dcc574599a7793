"""From the log scale to percent: ratios in percent, and differences in percentage points."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aibmd.errors import AibmdError
from aibmd.inference.distributions import compute_t_p_value
from aibmd.inference.estimates import LinearEstimates
from aibmd.means.estimates import MarginalEstimates
from aibmd.means.families import FamilyName
from aibmd.means.plan import ContrastPlan, are_contrasts, plan_contrasts
from aibmd.vocabulary import CHANGE_COLUMNS, ESTIMATE_COLUMNS

# Natural logs only: exp() would not undo log2, log10 or log1p.
_LOG_NAME: Final = re.compile(r"(?<![a-z])(log(?!2|10|1p)|ln(?![a-z]))", re.IGNORECASE)
_CHANGE_NAME: Final = re.compile(r"change|chg|ratio|diff|/| - ", re.IGNORECASE)


def back_transform(
    estimates: LinearEstimates, to: Literal["percent"] = "percent", *, assume_log: bool = False
) -> LinearEstimates:
    """Percent differences from estimates of a natural-log response: 100 (exp(estimate) - 1).

    Parameters
    ----------
    estimates : LinearEstimates
        Contrasts of means of ``log(bmd)``, or means of a log change such as `bmd_log_change`.
    to : "percent"
    assume_log : bool
        Say that the response is a natural log although its name does not show it.

    Returns
    -------
    LinearEstimates
        `estimate` and limits in percent: limits are the transformed t limits, so they are not
        symmetric. `df`, `statistic` and `p_value` are those of the log scale; `std_error` is by
        the delta method, ``100 exp(estimate) SE``.

    Raises
    ------
    AibmdError
        The estimates are in percent already, or the response is not a natural log.

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
    >>> found = back_transform(means, "percent").to_frame()
    >>> print(found[["arm", "visit", "estimate"]].round(3).to_string(index=False))
    arm visit  estimate
      A   m12    -1.980
      B   m12     1.005
      A   m24    -3.921
      B   m24     2.020

    Notes
    -----
    A percent is a ratio of geometric means. Differences between groups become ratios of
    ratios in percent, not percentage points; see `percentage_point_difference`. A *mean* of
    ``log(bmd)`` is no change, and its percent is relative to 1 g/cm2: contrast first.
    """
    if to != "percent":
        raise AibmdError(f"back_transform to {to!r} is not available; available: 'percent'")
    if estimates.scale == "percent":
        raise AibmdError("these estimates are in percent already")
    response = _response(estimates)
    if not assume_log:
        _refuse_unless_log(response)
    result = replace(estimates, scale="percent")
    if are_contrasts(estimates):
        return result.with_notes(
            "A - B in percent is the ratio 100 (A / B - 1); between changes it is a ratio of "
            "ratios, not a difference in percentage points."
        )
    if response and _is_level(estimates, response):
        return result.with_notes(
            f"These are means of {response}, not changes: percent is relative to 1 on the "
            f"original scale. Take contrasts first."
        )
    return result


def percentage_point_difference(
    means: LinearEstimates,
    method: FamilyName | Mapping[str, Any] = "revpairwise",
    by: str | Iterable[str] | None = None,
    control: str | None = None,
    *,
    assume_log: bool = False,
) -> pd.DataFrame:
    """Differences between percent changes, in percentage points.

    Parameters
    ----------
    means : LinearEstimates
        Log changes on the log scale: means of a log change, or contrasts between visits.
    method, by, control
        As in `contrast`.
    assume_log : bool
        As in `back_transform`.

    Returns
    -------
    DataFrame
        Identifiers with the column `unit` ("percentage points"), then estimate, std_error, df,
        statistic, p_value, conf_low, conf_high. P-values are not adjusted.

    Raises
    ------
    AibmdError
        As in `back_transform`; or the rows are levels and not changes, or the coefficients
        do not sum to zero.

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
    >>> found = percentage_point_difference(means, "revpairwise")
    >>> print(found[["contrast", "visit", "unit", "estimate"]].round(3).to_string(index=False))
    contrast visit              unit  estimate
       B - A   m12 percentage points     2.985
       B - A   m24 percentage points     5.941

    Notes
    -----
    The estimate is ``100 (exp(a) - exp(b))`` for changes a and b on the log scale; standard
    error, df and limits treat it as linear around the estimate (delta method). Its p-value
    is close to, but not, that of the ratio of ratios: state one of them in advance.
    """
    if means.scale == "percent":
        raise AibmdError("give the log-scale estimates, not those in percent")
    response = _response(means)
    if not assume_log:
        _refuse_unless_log(response)
    if response and not assume_log and _is_level(means, response):
        raise AibmdError(
            f"these are means of {response}, not changes, so they have no percent. Contrast "
            f"visits within each group first, or model the log change"
        )
    plan = plan_contrasts(means, method, by, control)
    if not plan.sums_to_zero.all():
        raise AibmdError("coefficients of a difference in percentage points must sum to zero")
    return _delta_table(means, plan)


def _delta_table(means: LinearEstimates, plan: ContrastPlan) -> pd.DataFrame:
    """Estimate ``100 C exp(m)`` and its delta-method inference."""
    C = plan.coefficients
    known = means.is_estimable
    growth = np.zeros(len(means))
    growth[known] = 100.0 * np.exp(means.L[known] @ means.inference.beta)
    estimable = ~(C[:, ~known] != 0).any(axis=1)
    table = pd.DataFrame(np.nan, index=plan.labels.index, columns=list(ESTIMATE_COLUMNS))
    if estimable.any():
        found = means.infer((C * growth)[estimable])
        estimate = (C @ growth)[estimable]
        std_error = np.sqrt(np.diagonal(found.vcov))
        margin = stdtrit(found.df, 0.5 + means.conf_level / 2) * std_error
        p_value = compute_t_p_value(estimate / std_error, found.df)
        table.loc[estimable] = np.column_stack(
            [estimate, std_error, found.df, estimate / std_error, p_value,
             estimate - margin, estimate + margin]
        )  # fmt: skip
    labels = plan.labels.assign(unit="percentage points")
    return pd.concat([labels, table], axis=1)


def _response(estimates: LinearEstimates) -> str:
    """Text of the response, empty where the estimates do not know it."""
    coding = estimates.coding if isinstance(estimates, MarginalEstimates) else None
    return coding.formula.response if coding else ""


def _refuse_unless_log(response: str) -> None:
    if not response or _LOG_NAME.search(response):
        return
    raise AibmdError(
        f"the response is {response!r}, which does not look like a natural log, so "
        f"100 (exp(estimate) - 1) would not be a percent. Fit log(...) of it or the log change "
        f"({CHANGE_COLUMNS['log']}); or pass assume_log=True if it is a natural log"
    )


def _is_level(estimates: LinearEstimates, response: str) -> bool:
    if isinstance(estimates, MarginalEstimates) and estimates.trend:
        return False
    return not are_contrasts(estimates) and not _CHANGE_NAME.search(response)
