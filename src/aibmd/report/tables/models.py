"""Display tables of the models themselves: baseline handling and what was fitted."""

import pandas as pd

from aibmd.bmd_change import WithdrawalQuestion
from aibmd.formatting import format_count, format_interval, format_number, format_p_value
from aibmd.report.tables.display import DisplayTable, make_table
from aibmd.report.tables.withdrawal import format_site

MODEL_NAMES = {"log": "log model (primary)", "percent_change": "percent-change model"}


def tabulate_handling(handling: pd.DataFrame, question: WithdrawalQuestion) -> DisplayTable:
    """The difference under each way of handling baseline, with the rule that makes it unbiased."""
    rows = [
        (
            format_site(row),
            str(row["handling"]),
            format_count(int(row["n_subjects"])),
            format_number(row["percentage_points"], 2),
            format_interval(row["points_conf_low"], row["points_conf_high"], 2),
            format_number(row["design_truth_points"], 2),
            format_p_value(row["p_value"]),
        )
        for row in handling.to_dict("records")
    ]
    rules = handling.drop_duplicates("handling").to_dict("records")
    notes = [f"{_capitalise(r['handling'])}: {r['assignment_rule']}." for r in rules]
    return make_table(
        "Baseline handling: the difference in percentage points under three assumptions",
        {"Skeletal site": "left", "Handling": "left", "Women": "right",
         "Percentage points": "right", f"{100 * question.conf_level:g} % interval": "right",
         "Design truth": "right", "p (unadjusted)": "right"},
        rows,
        notes,
    )  # fmt: skip


def _capitalise(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def tabulate_fits(fits: pd.DataFrame) -> DisplayTable:
    """Every model fitted: formula, rows, women, log-likelihood and certificate."""
    rows = [
        (
            format_site(row),
            MODEL_NAMES.get(row["model"], str(row["model"])),
            str(row["formula"]),
            format_count(int(row["n_obs"])),
            format_count(int(row["n_subjects"])),
            format_number(row["log_likelihood"], 3),
            "certified maximum" if row["converged"] else "NOT CERTIFIED, do not use",
        )
        for row in fits.to_dict("records")
    ]
    return make_table(
        "Models fitted",
        {"Skeletal site": "left", "Model": "left", "Formula": "left", "Rows": "right",
         "Women": "right", "Log-likelihood": "right", "Convergence": "left"},
        rows,
    )  # fmt: skip
