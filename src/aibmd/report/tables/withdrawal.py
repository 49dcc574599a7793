"""Display tables of the withdrawal analysis; nothing is computed, only worded and rounded."""

from collections.abc import Hashable, Sequence
from typing import Any, Final

import pandas as pd

from aibmd.bmd_change import WithdrawalQuestion
from aibmd.bmd_change.question import WITHDRAWN
from aibmd.formatting import (
    format_count,
    format_df,
    format_interval,
    format_number,
    format_p_value,
)
from aibmd.report.tables.display import Align, DisplayTable, make_table
from aibmd.vocabulary import SITE_LABELS, SKELETAL_SITE

PUBLISHED_NOTE: Final = (
    "Published (Blomqvist 2024, doi 10.1007/s10549-024-07252-7): used to set the shipped design, "
    "not evidence. An estimate near it shows that it was put in, and nothing else; a cohort of "
    "another design need not lie near it."
)
TRUTH_NOTE: Final = (
    "Design truth: the mean noise-free change of the women analysed, which only a generator knows."
)
_DIGITS: Final = 2

Row = dict[Hashable, Any]


def tabulate_changes(changes: pd.DataFrame, question: WithdrawalQuestion) -> DisplayTable:
    """Primary table: estimate, interval, design truth and published value of each group.

    Parameters
    ----------
    changes : DataFrame
        Of `WithdrawalResult`; rows of the log model are shown.
    question : WithdrawalQuestion
        Order of skeletal sites and groups.
    """
    columns: dict[str, Align] = {"Skeletal site": "left", "Group": "left"}
    columns |= dict.fromkeys(("Estimate", _limits(question), "Design truth",
                              "Published (set the shipped design)", "n year 5", "n year 10"),
                             "right")  # fmt: skip
    rows = [
        (
            *_who(row),
            *_estimate(row),
            _truth(row),
            format_number(row["published"], 1),
            format_count(int(row["n_year_5"])),
            format_count(int(row["n_year_10"])),
        )
        for row in sort_rows(changes[changes["model"] == "log"], question).to_dict("records")
    ]
    title = "BMD change from year 5 to year 10, percent of year 5 (log model)"
    return make_table(title, columns, rows, (PUBLISHED_NOTE, TRUTH_NOTE))


def tabulate_models(changes: pd.DataFrame, question: WithdrawalQuestion) -> DisplayTable:
    """Estimates of the log model and of the percent-change model side by side."""
    columns: dict[str, Align] = {"Skeletal site": "left", "Group": "left"}
    columns |= dict.fromkeys(("Log model", f"log, {_limits(question)}", "log, design truth",
                              "Percent-change model", f"percent, {_limits(question)}",
                              "percent, design truth"), "right")  # fmt: skip
    by_model = [
        sort_rows(changes[changes["model"] == m], question) for m in ("log", "percent_change")
    ]
    both = zip(*(table.to_dict("records") for table in by_model), strict=True)
    rows = [
        (*_who(log), *_estimate(log), _truth(log), *_estimate(percent), _truth(percent))
        for log, percent in both
    ]
    notes = (
        "Log model: change of the geometric mean, from all visits of the population. "
        "Percent-change model: mean of the women's own percent changes, among women scanned at "
        "both visits. Each has its own truth.",
    )
    return make_table("Change by both models, percent of year 5", columns, rows, notes)


def tabulate_differences(
    differences: pd.DataFrame, question: WithdrawalQuestion, model: str = "log"
) -> DisplayTable:
    """Withdrawn against comparator: ratio of ratios, percentage points, p and Holm p.

    Parameters
    ----------
    differences : DataFrame
        Of `WithdrawalResult`.
    question : WithdrawalQuestion
    model : {"log", "percent_change"}
        The percent-change model has no ratio of ratios.
    """
    limits, logged = _limits(question), model == "log"
    ratio = ("Ratio of ratios, %", f"ratio, {limits}", "ratio, design truth") if logged else ()
    columns: dict[str, Align] = {"Skeletal site": "left", "Role": "left"}
    columns |= dict.fromkeys((*ratio, "Percentage points", f"points, {limits}",
                              "points, design truth", "df", "p",
                              f"Holm p (of {len(question.primary_sites)})"), "right")  # fmt: skip
    rows = [
        (
            format_site(row),
            "primary" if row[SKELETAL_SITE] in question.primary_sites else "secondary",
            *(
                _pair(row, "ratio_of_ratios_pct", "ratio", "design_truth_ratio_pct")
                if logged
                else ()
            ),
            *_pair(row, "percentage_points", "points", "design_truth_points"),
            format_df(row["df"]),
            format_p_value(row["p_value"]),
            format_p_value(row["p_holm"]),
        )
        for row in sort_rows(differences[differences["model"] == model], question).to_dict(
            "records"
        )
    ]
    name = "log model" if logged else "percent-change model"
    contrast = ", ".join(dict.fromkeys(differences["contrast"]))
    title = f"Difference in change from year 5 to year 10: {contrast} ({name})"
    return make_table(title, columns, rows, _difference_notes(question, logged))


def sort_rows(table: pd.DataFrame, question: WithdrawalQuestion) -> pd.DataFrame:
    """Rows by skeletal site as the question lists them, the withdrawn first within each."""
    keys = pd.DataFrame({"site": table[SKELETAL_SITE].map(question.sites.index)})
    if "group" in table.columns:
        keys["group"] = (table["group"] != WITHDRAWN).astype("int64")
    order = keys.astype("int64").sort_values(list(keys.columns), kind="stable").index
    return table.loc[order]


def _difference_notes(question: WithdrawalQuestion, logged: bool) -> Sequence[str]:
    notes = [f"{question.family}; limits are unadjusted. Secondary sites are not adjusted."]
    if logged:
        notes.append(
            "The ratio of ratios compares (year 10 / year 5) between groups; percentage points "
            "subtract the two percent changes. df and p belong to the ratio of ratios."
        )
    return [*notes, question.interpretation]


def _limits(question: WithdrawalQuestion) -> str:
    return f"{100 * question.conf_level:g} % interval"


def _who(row: Row) -> tuple[str, str]:
    return format_site(row), str(row["group"])


def format_site(row: Row) -> str:
    """Name of the skeletal site of a row as people write it."""
    return SITE_LABELS.get(row[SKELETAL_SITE], str(row[SKELETAL_SITE]))


def _truth(row: Row) -> str:
    return format_number(row["design_truth"], _DIGITS)


def _estimate(row: Row) -> tuple[str, str]:
    interval = format_interval(row["conf_low"], row["conf_high"], _DIGITS)
    return format_number(row["estimate"], _DIGITS), interval


def _pair(row: Row, name: str, limits: str, truth: str) -> tuple[str, str, str]:
    interval = format_interval(row[f"{limits}_conf_low"], row[f"{limits}_conf_high"], _DIGITS)
    return format_number(row[name], _DIGITS), interval, format_number(row[truth], _DIGITS)
