"""What `aibmd fit` prints and writes about one fit."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aibmd.files import write_atomic
from aibmd.fitting import MixedFit, anova
from aibmd.fitting.summary import format_head
from aibmd.report.tables.csv_text import format_csv
from aibmd.report.tables.display import DisplayTable
from aibmd.report.tables.fit import (
    tabulate_coefficients,
    tabulate_contrasts,
    tabulate_means,
    tabulate_type_three,
)
from aibmd.report.tables.terminal import format_plain

if TYPE_CHECKING:
    from aibmd.inference import LinearEstimates


# SAS and R print tables of coefficients about this wide; names of terms can be long.
_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class FitReport:
    """A fit with the means and contrasts that were asked for, rendered once.

    Attributes
    ----------
    text : str
        Model, covariance and tables, as printed and as in ``fit.txt``.
    tables : dict of str to str
        File name -> CSV text with eight significant digits.
    """

    text: str
    tables: dict[str, str]


def report_fit(
    fit: MixedFit,
    means: "LinearEstimates | None" = None,
    contrasts: "LinearEstimates | None" = None,
    preface: str = "",
) -> FitReport:
    """Render a fit as SAS and R users expect to read it.

    Parameters
    ----------
    fit : MixedFit
    means, contrasts : LinearEstimates, optional
    preface : str
        What was done to the table before the fit; printed first.

    Notes
    -----
    The coefficient table depends on how factors are coded; the type III tests, means and
    contrasts do not. Type III main effects are averages over interactions.
    """
    tests = anova(fit)
    parts = [
        *([preface] if preface else []),
        format_head(fit),
        _print(tabulate_coefficients(fit)),
        _print(tabulate_type_three(tests)),
    ]
    tables = {
        "coefficients.csv": format_csv(fit.tidy()),
        "type_three.csv": format_csv(tests),
        "covariance.csv": format_csv(fit.covariance.rename_axis(fit.spec.visit).reset_index()),
        "fit.csv": format_csv(fit.glance()),
    }
    if means is not None:
        parts.append(_print(tabulate_means(means)))
        tables["means.csv"] = format_csv(means.to_frame())
    if contrasts is not None:
        parts.append(_print(tabulate_contrasts(contrasts)))
        tables["contrasts.csv"] = format_csv(contrasts.to_frame())
    return FitReport("\n\n".join(parts) + "\n", tables)


def write_fit_report(report: FitReport, out: str | Path) -> list[Path]:
    """Write ``fit.txt`` and the CSV tables, each whole or not at all.

    Parameters
    ----------
    report : FitReport
    out : str or Path
        Folder, made if it is not there; files of other names in it are left alone.
    """
    contents = {"fit.txt": report.text, **report.tables}
    return [write_atomic(Path(out) / name, content) for name, content in contents.items()]


def _print(table: DisplayTable) -> str:
    return format_plain(table, _WIDTH)
