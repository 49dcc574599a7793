"""Tables of one fit, under the headings of SAS PROC MIXED and with the columns of R."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from aibmd.formatting import (
    MISSING,
    NOT_ESTIMABLE,
    format_df,
    format_number,
    format_p_value,
    significant_digits,
)
from aibmd.report.tables.display import Align, DisplayTable, make_table
from aibmd.vocabulary import ESTIMATE_COLUMNS

if TYPE_CHECKING:
    from aibmd.fitting import MixedFit
    from aibmd.inference import LinearEstimates

_NUMBERS: Final[tuple[str, ...]] = ("Estimate", "Std. Error", "DF", "t value", "Pr(>|t|)")


def tabulate_coefficients(fit: "MixedFit") -> DisplayTable:
    """Coefficients of a fit: SAS "Solution for Fixed Effects"."""
    return _tabulate("Solution for Fixed Effects", fit.tidy(), {"term": "Effect"}, 95.0)


def tabulate_type_three(tests: pd.DataFrame) -> DisplayTable:
    """F tests of `aibmd.anova`: SAS "Type 3 Tests of Fixed Effects"."""
    columns: dict[str, Align] = {"Effect": "left"}
    columns |= dict.fromkeys(("Num DF", "Den DF", "F value", "Pr(>F)"), "right")
    rows = [
        (
            str(row["term"]),
            f"{row['df_num']:.0f}",
            format_df(row["df_denom"]),
            format_number(row["statistic"], 2),
            format_p_value(row["p_value"]),
        )
        for row in tests.to_dict("records")
    ]
    note = "Factors coded sum-to-zero, whatever coding the formula used; covariates not centred."
    return make_table("Type 3 Tests of Fixed Effects", columns, rows, [note])


def tabulate_means(means: "LinearEstimates") -> DisplayTable:
    """Estimated marginal means: SAS "Least Squares Means", R emmeans."""
    return _tabulate_estimates("Least Squares Means (estimated marginal means)", means)


def tabulate_contrasts(contrasts: "LinearEstimates") -> DisplayTable:
    """Contrasts of marginal means: SAS "Differences of Least Squares Means"."""
    return _tabulate_estimates("Differences of Least Squares Means", contrasts)


def _tabulate_estimates(title: str, estimates: "LinearEstimates") -> DisplayTable:
    names = {str(name): str(name) for name in estimates.labels.columns}
    level = 100.0 * estimates.conf_level
    return _tabulate(title, estimates.to_frame(), names, level, estimates.notes)


def _tabulate(
    title: str,
    frame: pd.DataFrame,
    identifiers: dict[str, str],
    level: float,
    notes: Sequence[str] = (),
) -> DisplayTable:
    """Identifier columns under their headings, then the columns every estimate has."""
    digits = significant_digits(frame["std_error"].to_numpy(dtype=float))
    limits = (f"Lower {level:g} %", f"Upper {level:g} %")
    columns: dict[str, Align] = dict.fromkeys(identifiers.values(), "left")
    columns |= dict.fromkeys((*_NUMBERS, *limits), "right")
    rows = [
        (*(str(row[name]) for name in identifiers), *_numbers(row, digits))
        for row in frame.to_dict("records")
    ]
    return make_table(title, columns, rows, notes)


def _numbers(row: dict[Hashable, Any], digits: int) -> list[str]:
    if pd.isna(row["estimate"]):
        return [NOT_ESTIMABLE, *[MISSING] * (len(ESTIMATE_COLUMNS) - 1)]
    return [
        format_number(row["estimate"], digits),
        format_number(row["std_error"], digits),
        format_df(row["df"]),
        format_number(row["statistic"], 2),
        format_p_value(row["p_value"]),
        format_number(row["conf_low"], digits),
        format_number(row["conf_high"], digits),
    ]
