"""Sentences of the page, made from the question and from what was fitted."""

import pandas as pd

from aibmd.bmd_change import WithdrawalQuestion
from aibmd.bmd_change.question import WITHDRAWN
from aibmd.formatting import format_count, format_interval, format_number
from aibmd.inference import DF_TITLES
from aibmd.report.tables.models import MODEL_NAMES
from aibmd.report.tables.withdrawal import format_site, sort_rows
from aibmd.vocabulary import SITE_LABELS

STRUCTURES = {"un": "unstructured", "cs": "compound symmetry"}


def describe_estimand(question: WithdrawalQuestion) -> list[tuple[str, str]]:
    """Attributes of the estimand (ICH E9(R1)) in words, for this question's parameters."""
    comparator = next(group for group in question.groups if group != WITHDRAWN)
    return [
        ("Treatment", f"{WITHDRAWN} at year 5, against {comparator}"),
        (
            "Population",
            "women alive and recurrence-free at the year 5 scan, scanned then at the skeletal "
            "site in question, whose AI status is known to the end of the grace window",
        ),
        ("Variable", "BMD at year 10 in percent of BMD at year 5 (not in percent of baseline)"),
        (
            "Groups",
            f"an AI that ends from {_years(question.lookback_years)} before to "
            f"{_years(question.grace_years)} after a woman's own year 5 scan was withdrawn; "
            "nothing later moves her",
        ),
        (
            "Later events",
            "treatment changes and bisphosphonates after the window: treatment policy; recurrence "
            "and death: scans after a recurrence are not used (hypothetical)",
        ),
        (
            "Summary",
            "per group the change of the geometric mean in percent; between groups the ratio of "
            "these ratios in percent, and the difference in percentage points",
        ),
        ("Interpretation", question.interpretation),
    ]


def describe_models(fits: pd.DataFrame) -> list[str]:
    """One paragraph per model: formula, covariance, criterion, df, numbers, certificate."""
    keys = ["model", "formula", "covariance", "method", "df_method", "information"]
    return [
        _describe_model(dict(zip(keys, map(str, key), strict=True)), rows)
        for key, rows in fits.groupby(keys, sort=False)
    ]


def describe_figure(changes: pd.DataFrame, question: WithdrawalQuestion) -> str:
    """Alternative text of the figure: what it shows, and its numbers."""
    rows = sort_rows(changes[changes["model"] == "log"], question).to_dict("records")
    numbers = "; ".join(
        f"{format_site(row)}, {row['group']}: {format_number(row['estimate'], 1)} % "
        f"({format_interval(row['conf_low'], row['conf_high'], 1)})"
        for row in rows
    )
    return (
        "A row for each skeletal site. Left: change in bone mineral density from year 5 to year "
        "10 by group, with intervals, design truth and published value. Right: model means at "
        f"years 0 to 10 as change from year 5. Changes from year 5 to year 10: {numbers}."
    )


def _years(number: float) -> str:
    return f"{number:g} year" if number == 1 else f"{number:g} years"


def _describe_model(what: dict[str, str], rows: pd.DataFrame) -> str:
    name = MODEL_NAMES.get(what["model"], what["model"])
    sizes = ", ".join(
        f"{SITE_LABELS.get(row['skeletal_site'], row['skeletal_site']).lower()} "
        f"{format_count(int(row['n_obs']))} rows of {format_count(int(row['n_subjects']))} women"
        for row in rows.to_dict("records")
    )
    structure = STRUCTURES.get(what["covariance"], what["covariance"])
    repeated = (rows["n_obs"] > rows["n_subjects"]).any()
    within = f"{structure} ({what['covariance']}) covariance of visits within women"
    covariance = within if repeated else "one row per woman, so one residual variance"
    certified = rows["converged"].all()
    verdict = "Every fit was certified as the maximum of its likelihood." if certified else (
        "AT LEAST ONE FIT WAS NOT CERTIFIED as a maximum; its numbers are not to be used."
    )  # fmt: skip
    return (
        f"{name[0].upper()}{name[1:]}: {what['formula']}, one model per skeletal site; "
        f"{covariance}; {what['method'].upper()}; degrees of freedom by "
        f"{DF_TITLES[what['df_method']]}, {what['information']} information. "
        f"Used: {sizes}. {verdict}"
    )
