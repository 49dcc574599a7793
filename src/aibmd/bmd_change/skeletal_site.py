"""The comparison at one skeletal site: both models, their truth and their provenance."""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import pandas as pd

from aibmd.bmd_change.log_model import (
    fit_log_model,
    tabulate_log_changes,
    tabulate_log_difference,
    tabulate_log_trajectories,
)
from aibmd.bmd_change.percent_model import (
    derive_outcome,
    fit_percent_model,
    tabulate_baseline_handling,
    tabulate_percent_changes,
    tabulate_percent_difference,
)
from aibmd.bmd_change.population import count_scanned, find_nominal_years
from aibmd.bmd_change.question import WithdrawalQuestion
from aibmd.bmd_change.truth import compute_design_truth
from aibmd.fitting import MixedFit
from aibmd.vocabulary import SKELETAL_SITE, TIME, VISIT

CHANGE_COLUMNS: Final = (
    "model",
    SKELETAL_SITE,
    "group",
    "n_year_5",
    "n_year_10",
    "published",
    "design_truth",
    "estimate",
    "std_error",
    "df",
    "conf_low",
    "conf_high",
)
DIFFERENCE_COLUMNS: Final = (
    "model",
    SKELETAL_SITE,
    "contrast",
    "ratio_of_ratios_pct",
    "ratio_std_error",
    "ratio_conf_low",
    "ratio_conf_high",
    "percentage_points",
    "points_std_error",
    "points_conf_low",
    "points_conf_high",
    "df",
    "statistic",
    "p_value",
    "p_holm",
    "family",
    "design_truth_ratio_pct",
    "design_truth_points",
)
TRAJECTORY_COLUMNS: Final = (
    SKELETAL_SITE,
    "group",
    VISIT,
    TIME,
    "retrospective",
    "n_scanned",
    "change_from_year_5_pct",
    "conf_low",
    "conf_high",
    "bmd_geometric_mean",
    "bmd_conf_low",
    "bmd_conf_high",
)


@dataclass(frozen=True, slots=True, eq=False)
class SiteTables:
    """Tables of one skeletal site; see `WithdrawalResult` for their columns."""

    changes: pd.DataFrame
    differences: pd.DataFrame
    trajectories: pd.DataFrame
    scanned: pd.DataFrame
    baseline_handling: pd.DataFrame
    fits: pd.DataFrame

    def label(self, skeletal_site: str) -> "SiteTables":
        """The same tables with a column `skeletal_site`, and columns in their order."""
        orders = {
            "changes": CHANGE_COLUMNS,
            "differences": DIFFERENCE_COLUMNS,
            "trajectories": TRAJECTORY_COLUMNS,
        }
        labelled = {}
        for name in (one.name for one in fields(self)):
            table = getattr(self, name).assign(**{SKELETAL_SITE: skeletal_site})
            rest = [column for column in table.columns if column != SKELETAL_SITE]
            columns = orders.get(name, (SKELETAL_SITE, *rest))
            labelled[name] = table.loc[:, [c for c in columns if c in table.columns]]
        return SiteTables(**labelled)


def compare_site(
    scans: pd.DataFrame,
    skeletal_site: str,
    truth: pd.DataFrame | None,
    question: WithdrawalQuestion,
) -> SiteTables:
    """Fit both models to the scans of one site and tabulate them side by side.

    Parameters
    ----------
    scans : DataFrame
        From `select_scans`.
    skeletal_site : str
        Written into every table.
    truth : DataFrame or None
        `Cohort.truth`.
    question : WithdrawalQuestion
    """
    outcome = derive_outcome(scans, question)
    fits = {"log": fit_log_model(scans), "percent_change": fit_percent_model(outcome)}
    truths = {
        model: compute_design_truth(truth, scans, skeletal_site, model, question) for model in fits
    }
    scanned = _tabulate_scanned(scans)
    handling = tabulate_baseline_handling(outcome, question)
    handling["design_truth_points"] = _subtract(truths["percent_change"], question)
    tables = SiteTables(
        changes=_tabulate_changes(fits, truths, scanned, question),
        differences=_tabulate_differences(fits, truths, question),
        trajectories=_tabulate_trajectories(fits["log"], scanned, question),
        scanned=scanned,
        baseline_handling=handling,
        fits=pd.concat([_describe(model, fit) for model, fit in fits.items()], ignore_index=True),
    )
    return tables.label(skeletal_site)


def _tabulate_scanned(scans: pd.DataFrame) -> pd.DataFrame:
    scanned = count_scanned(scans).astype({"group": "str", VISIT: "str"})
    scanned[TIME] = scanned[VISIT].map(find_nominal_years(scans).rename(index=str))
    return scanned[["group", VISIT, TIME, "n"]]


def _tabulate_changes(
    fits: dict[str, MixedFit],
    truths: dict[str, dict[str, float]],
    scanned: pd.DataFrame,
    question: WithdrawalQuestion,
) -> pd.DataFrame:
    """Both models below each other, with numbers scanned and design truth."""
    tables = {
        "log": tabulate_log_changes(fits["log"], question),
        "percent_change": tabulate_percent_changes(fits["percent_change"], question),
    }
    changes = pd.concat(tables, names=["model", None]).reset_index("model")
    changes = changes.astype({"group": "str"}).reset_index(drop=True)
    n = scanned.set_index(["group", VISIT])["n"]
    for column, visit in (
        ("n_year_5", question.reference_visit),
        ("n_year_10", question.outcome_visit),
    ):
        changes[column] = [int(n[group, visit]) for group in changes["group"]]
    keys = zip(changes["model"], changes["group"], strict=True)
    changes["design_truth"] = [truths[model][group] for model, group in keys]
    return changes.assign(published=np.nan)


def _tabulate_differences(
    fits: dict[str, MixedFit], truths: dict[str, dict[str, float]], question: WithdrawalQuestion
) -> pd.DataFrame:
    tables = {
        "log": tabulate_log_difference(fits["log"], question),
        "percent_change": tabulate_percent_difference(fits["percent_change"], question),
    }
    rows = pd.concat(tables, names=["model", None]).reset_index("model").reset_index(drop=True)
    rows["design_truth_points"] = [_subtract(truths[model], question) for model in rows["model"]]
    ratio = _divide(truths["log"], question)
    rows["design_truth_ratio_pct"] = np.where(rows["model"] == "log", ratio, np.nan)
    return rows


def _tabulate_trajectories(
    fit: MixedFit, scanned: pd.DataFrame, question: WithdrawalQuestion
) -> pd.DataFrame:
    counts = scanned.rename(columns={"n": "n_scanned"})
    table = tabulate_log_trajectories(fit, question).merge(counts, on=["group", VISIT], how="left")
    reference = table.loc[table[VISIT] == question.reference_visit, TIME].iloc[0]
    return table.assign(retrospective=table[TIME] < reference)


def _subtract(truth: dict[str, float], question: WithdrawalQuestion) -> float:
    """True difference in percentage points."""
    withdrawn, comparator = question.groups
    return truth[withdrawn] - truth[comparator]


def _divide(truth: dict[str, float], question: WithdrawalQuestion) -> float:
    """True ratio of ratios in percent."""
    withdrawn, comparator = (1.0 + truth[group] / 100.0 for group in question.groups)
    return 100.0 * (withdrawn / comparator - 1.0)


def _describe(model: str, fit: MixedFit) -> pd.DataFrame:
    """What was fitted, for the methods text: one row."""
    row = fit.glance()
    row.insert(0, "formula", fit.coding.formula.text)
    row.insert(0, "model", model)
    row["information"] = fit.spec.information
    row["rows_dropped"] = sum(fit.dropped_rows.values())
    return row
