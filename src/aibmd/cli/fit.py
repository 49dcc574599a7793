"""`aibmd fit FILE`: a mixed model for repeated measures on any long table."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aibmd.errors import AibmdError
from aibmd.vocabulary import BASELINE_BMD, BMD, CHANGE_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from aibmd.fitting import MixedFit
    from aibmd.inference import LinearEstimates


def fit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Long table, CSV in UTF-8.")],
    formula: Annotated[str, typer.Option(help="Such as 'bmd ~ arm * visit'. Runs no code.")],
    subject: Annotated[str, typer.Option(metavar="C", help="Column of the subject.")],
    visit: Annotated[str, typer.Option(metavar="C", help="Column of the visit.")],
    bmd: Annotated[str, typer.Option(metavar="C", help="Column --change is taken of.")] = BMD,
    change: Annotated[
        str | None, typer.Option(metavar="SCALE", help="percent, absolute or log: derive a change.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="V", help="Visit that --change counts from.")
    ] = None,
    covariance: Annotated[
        str,
        typer.Option(
            help="Visit covariance: un, toep, toeph, ar1, ar1h, cs, csh, ad, adh. Several, "
            "with commas: the next only where the one before is not certified."
        ),
    ] = "un",
    method: Annotated[str, typer.Option(help="reml or ml.")] = "reml",
    df_method: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="kenward_roger, kenward_roger_second_order, satterthwaite, between_within, "
            "residual, normal.",
        ),
    ] = None,
    means: Annotated[
        str | None, typer.Option(metavar="A[,B]", help="Factors to print marginal means of.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="C[,D]", help="Factors that split them into groups.")
    ] = None,
    contrast: Annotated[
        str | None,
        typer.Option(metavar="FAMILY", help="pairwise (A - B), revpairwise (B - A), ..."),
    ] = None,
    adjust: Annotated[
        str, typer.Option(help="none, holm, bonferroni, bh, tukey, dunnett, mvt; per --by group.")
    ] = "none",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write fit.txt and CSV tables here.")
    ] = None,
) -> None:
    """Fit an MMRM to a long table and print what SAS PROC MIXED or R mmrm would.

    With --change, the formula may use bmd_change, bmd_pct_change or bmd_log_change (whatever
    --bmd is called in the file) and baseline_bmd; rows of the baseline visit are left out.
    """
    from aibmd.cohort.long_table import read_long_table
    from aibmd.report.fit_report import report_fit, write_fit_report

    _check_options(change, baseline, means, by, contrast, adjust, out)
    if change is not None and CHANGE_COLUMNS[change] not in formula:
        raise AibmdError(
            f"--change {change} adds {CHANGE_COLUMNS[change]}, which the formula does not use; "
            f"write '{CHANGE_COLUMNS[change]} ~ ...', or leave --change out"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table, preface = read_long_table(file), ""
        if change is not None and baseline is not None:
            table, preface = _derive(table, change, baseline, bmd, subject, visit)
        fitted = _fit(formula, table, subject, visit, covariance, method, df_method)
        averages = _means(fitted, means, by)
        report = report_fit(fitted, averages, _contrasts(averages, contrast, adjust), preface)
    for message in dict.fromkeys(str(entry.message) for entry in caught):
        typer.echo(f"warning: {message}", err=True)
    typer.echo(report.text, nl=False)
    if out is not None:
        for path in write_fit_report(report, out):
            typer.echo(f"wrote {path}", err=True)


def _check_options(
    change: str | None, baseline: str | None, means: str | None, by: str | None,
    contrast: str | None, adjust: str, out: Path | None,
) -> None:  # fmt: skip
    """Options that make sense only together, refused before anything is read."""
    if (change is None) != (baseline is None):
        raise AibmdError("--change and --baseline go together: which change, from which visit.")
    if change is not None and change not in CHANGE_COLUMNS:
        raise AibmdError(f"--change {change!r} is not known; use {', '.join(CHANGE_COLUMNS)}.")
    if means is None and (by is not None or contrast is not None):
        raise AibmdError("--by and --contrast need --means: name the factors to average for.")
    if contrast is None and adjust != "none":
        raise AibmdError("--adjust needs --contrast: only p-values of contrasts are adjusted.")
    if out is not None:
        existing = next(path for path in (out, *out.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise AibmdError(f"--out {out}: {existing} is a file. Name a folder for the tables.")


def _derive(
    table: "pd.DataFrame", scale: str, baseline: str, of: str, subject: str, visit: str
) -> tuple["pd.DataFrame", str]:
    """Changes under the names of the vocabulary, without the rows they count from."""
    from aibmd.cohort.visits import format_label
    from aibmd.densitometry import derive_change

    if of != BMD and (taken := {BASELINE_BMD, CHANGE_COLUMNS[scale]} & set(table.columns)):
        raise AibmdError(f"the table has a column {', '.join(taken)} already. Rename it.")
    derived = derive_change(table, scale, of, baseline, subject=subject, visit=visit)  # type: ignore[call-overload]
    named = {name.replace(BMD, of): name for name in (BASELINE_BMD, CHANGE_COLUMNS[scale])}
    labels = derived[visit].astype(object).map(format_label, na_action="ignore")
    counted_from = labels == format_label(baseline)
    preface = (
        f"{CHANGE_COLUMNS[scale]}: {scale} change of {of} from {visit} {baseline}; the "
        f"{int(counted_from.sum())} rows of that visit are left out"
    )
    return derived.rename(columns=named)[~counted_from], preface


def _fit(
    formula: str, table: "pd.DataFrame", subject: str, visit: str, *options: Any
) -> "MixedFit":
    from aibmd.fitting import fit_mmrm

    covariance, method, df_method = options
    path = _names(covariance)
    return fit_mmrm(formula, table, subject=subject, visit=visit,
                    covariance=path[0] if len(path) == 1 else path,
                    method=method, df_method=df_method)  # fmt: skip


def _means(fitted: "MixedFit", over: str | None, by: str | None) -> "LinearEstimates | None":
    from aibmd.means import emmeans

    return None if over is None else emmeans(fitted, _names(over), _names(by or ""))


def _contrasts(
    means: "LinearEstimates | None", family: str | None, adjust: str
) -> "LinearEstimates | None":
    from aibmd.means import contrast

    if means is None or family is None:
        return None
    return contrast(means, family, adjust=adjust)  # type: ignore[arg-type]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
