"""Models of percent change at the outcome visit: as in papers, and by baseline handling."""

from typing import Final

import pandas as pd

from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.densitometry import derive_change
from aibmd.fitting import MixedFit, fit_mmrm
from aibmd.means import contrast, emmeans
from aibmd.vocabulary import BMD, SUBJECT, VISIT

FORMULA: Final = "bmd_pct_change ~ group"

# Handling -> when the difference between the groups is unbiased.
ASSIGNMENT_RULES: Final[dict[str, str]] = {
    "change score": (
        "unbiased when group has nothing to do with the scan error or the passing deviation of "
        "the reference BMD; it may depend on a woman's lasting level"
    ),
    "ANCOVA on the reference visit": (
        "unbiased when, given the measured BMD of the reference visit, group depends on nothing "
        "else that predicts later change"
    ),
    "ANCOVA on the baseline and reference visits": (
        "unbiased when, given the measured BMD of the baseline and reference visits, group "
        "depends on nothing else that predicts later change"
    ),
}


def derive_outcome(scans: pd.DataFrame, question: WithdrawalQuestion) -> pd.DataFrame:
    """Percent change at the outcome visit, one row per woman scanned at both visits.

    Parameters
    ----------
    scans : DataFrame
        From `select_scans`.

    Returns
    -------
    DataFrame
        Columns ``subject_id, visit, group, bmd_pct_change`` (percent of the reference
        visit) and ``bmd_<visit>`` of the baseline and reference visits, g/cm2.
    """
    changed = derive_change(scans, "percent", baseline=question.reference_visit)
    rows = changed.loc[changed[VISIT] == question.outcome_visit]
    rows = rows[[SUBJECT, VISIT, "group", "bmd_pct_change"]].reset_index(drop=True)
    for visit in (question.baseline_visit, question.reference_visit):
        at = scans[scans[VISIT] == visit].set_index(SUBJECT)[BMD]
        rows[f"bmd_{visit}"] = rows[SUBJECT].map(at)
    rows[VISIT] = rows[VISIT].cat.remove_unused_categories()
    return rows


def fit_percent_model(outcome: pd.DataFrame, formula: str = FORMULA) -> MixedFit:
    """Fit a model of percent change to one visit; without covariates a two-sample t test."""
    return fit_mmrm(formula, outcome, subject=SUBJECT, visit=VISIT, covariance="un", method="reml")


def tabulate_percent_changes(fit: MixedFit, question: WithdrawalQuestion) -> pd.DataFrame:
    """Mean percent change of each group, (W5): one row per group."""
    return emmeans(fit, over="group", conf_level=question.conf_level).to_frame()


def tabulate_percent_difference(fit: MixedFit, question: WithdrawalQuestion) -> pd.DataFrame:
    """Withdrawn minus comparator in percentage points, one row."""
    means = emmeans(fit, over="group", conf_level=question.conf_level)
    table = contrast(means, "pairwise").to_frame()
    return table.rename(
        columns={
            "estimate": "percentage_points",
            "std_error": "points_std_error",
            "conf_low": "points_conf_low",
            "conf_high": "points_conf_high",
        }
    )


def list_baseline_formulas(question: WithdrawalQuestion) -> dict[str, str]:
    """Formula of each way of handling baseline, by name."""
    reference, baseline = f"bmd_{question.reference_visit}", f"bmd_{question.baseline_visit}"
    formulas = (FORMULA, f"{FORMULA} + {reference}", f"{FORMULA} + {baseline} + {reference}")
    return dict(zip(ASSIGNMENT_RULES, formulas, strict=True))


def tabulate_baseline_handling(outcome: pd.DataFrame, question: WithdrawalQuestion) -> pd.DataFrame:
    """The difference in percentage points under each way of handling baseline.

    Returns
    -------
    DataFrame
        Columns ``handling, assignment_rule, formula, n_subjects``, then the columns of
        `tabulate_percent_difference`.

    Notes
    -----
    Women without a baseline scan are dropped by the last one only; `n_subjects` shows it.
    """
    tables = []
    for handling, formula in list_baseline_formulas(question).items():
        fit = fit_percent_model(outcome, formula)
        table = tabulate_percent_difference(fit, question)
        table.insert(0, "n_subjects", fit.n_subjects)
        table.insert(0, "formula", formula)
        table.insert(0, "assignment_rule", ASSIGNMENT_RULES[handling])
        table.insert(0, "handling", handling)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
