"""The log model of change after withdrawal: all visits, unstructured, (W1) to (W4)."""

from typing import Final

import numpy as np
import pandas as pd

from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.fitting import MixedFit, fit_mmrm
from aibmd.inference import LinearEstimates
from aibmd.means import back_transform, contrast, emmeans, percentage_point_difference
from aibmd.vocabulary import SUBJECT, VISIT

FORMULA: Final = "log(bmd) ~ group * visit"


def fit_log_model(scans: pd.DataFrame) -> MixedFit:
    """Fit (W1) to the scans of one skeletal site: ``un``, REML, Kenward-Roger.

    Parameters
    ----------
    scans : DataFrame
        From `select_scans`.
    """
    return fit_mmrm(FORMULA, scans, subject=SUBJECT, visit=VISIT, covariance="un", method="reml")


def tabulate_log_changes(fit: MixedFit, question: WithdrawalQuestion) -> pd.DataFrame:
    """Percent change of the geometric mean in each group, (W2): one row per group."""
    changes = back_transform(_estimate_change(fit, question), "percent")
    return changes.to_frame().drop(columns="contrast")


def tabulate_log_difference(fit: MixedFit, question: WithdrawalQuestion) -> pd.DataFrame:
    """Withdrawn against comparator, one row: ratio of ratios (W3) and points (W4).

    `statistic`, `df` and `p_value` belong to the ratio of ratios.
    """
    change = _estimate_change(fit, question)
    tested = contrast(change, "pairwise", by="contrast")
    ratio = back_transform(tested, "percent").to_frame().iloc[0]
    points = percentage_point_difference(change, "pairwise", by="contrast").iloc[0]
    row = {
        "contrast": " - ".join(question.groups),
        "ratio_of_ratios_pct": ratio["estimate"],
        "ratio_std_error": ratio["std_error"],
        "ratio_conf_low": ratio["conf_low"],
        "ratio_conf_high": ratio["conf_high"],
        "percentage_points": points["estimate"],
        "points_std_error": points["std_error"],
        "points_conf_low": points["conf_low"],
        "points_conf_high": points["conf_high"],
        "df": ratio["df"],
        "statistic": ratio["statistic"],
        "p_value": ratio["p_value"],
    }
    return pd.DataFrame([row])


def tabulate_log_trajectories(fit: MixedFit, question: WithdrawalQuestion) -> pd.DataFrame:
    """Change from the reference visit and geometric mean BMD at every visit.

    Returns
    -------
    DataFrame
        Columns ``group, visit``, ``change_from_year_5_pct, conf_low, conf_high`` (percent of
        the reference visit, where all three are zero) and ``bmd_geometric_mean,
        bmd_conf_low, bmd_conf_high`` (g/cm2).
    """
    means = _estimate_means(fit, question)
    table = means.to_frame()
    levels = table[["estimate", "conf_low", "conf_high"]].apply(np.exp)
    levels.columns = pd.Index(["bmd_geometric_mean", "bmd_conf_low", "bmd_conf_high"])
    shown = pd.concat([table[["group", VISIT]], levels], axis=1).astype(
        {"group": "str", VISIT: "str"}
    )
    change = _tabulate_change_from_reference(means, fit.visits, question)
    return shown.merge(change, on=["group", VISIT], how="left", validate="1:1")


def _tabulate_change_from_reference(
    means: LinearEstimates, visits: tuple[str, ...], question: WithdrawalQuestion
) -> pd.DataFrame:
    reference = question.reference_visit
    others = {visit: {visit: 1.0, reference: -1.0} for visit in visits if visit != reference}
    change = back_transform(contrast(means, others), "percent").to_frame()
    numbers = ["change_from_year_5_pct", "conf_low", "conf_high"]
    names = {"contrast": VISIT, "estimate": numbers[0]}
    change = change.rename(columns=names)[["group", VISIT, *numbers]]
    itself = pd.DataFrame({"group": list(question.groups), VISIT: reference})
    itself[numbers] = 0.0
    return pd.concat([change, itself], ignore_index=True).astype({"group": "str", VISIT: "str"})


def _estimate_means(fit: MixedFit, question: WithdrawalQuestion) -> LinearEstimates:
    return emmeans(fit, over=VISIT, by="group", conf_level=question.conf_level)


def _estimate_change(fit: MixedFit, question: WithdrawalQuestion) -> LinearEstimates:
    """Outcome minus reference visit within each group, on the log scale."""
    name = f"{question.outcome_visit} - {question.reference_visit}"
    coefficients = {question.outcome_visit: 1.0, question.reference_visit: -1.0}
    return contrast(_estimate_means(fit, question), {name: coefficients})
