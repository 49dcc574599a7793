"""`write_withdrawal_report`: outputs are rendered in memory first, then written one by one."""

import json
from pathlib import Path
from typing import Any, Final

from aibmd.bmd_change import WithdrawalResult
from aibmd.cohort import Cohort
from aibmd.files import write_atomic
from aibmd.report.document import TITLE, render_page
from aibmd.report.figures.withdrawal import draw_withdrawal
from aibmd.report.provenance import Origin, collect_provenance
from aibmd.report.style import render_figure
from aibmd.report.tables.csv_text import format_csv
from aibmd.report.tables.terminal import format_plain
from aibmd.report.tables.withdrawal import sort_rows, tabulate_changes, tabulate_differences

SYNTHETIC_NOTE: Final = (
    "SYNTHETIC DATA: generated from a study design; no woman in this cohort exists."
)
PAGE: Final = "report.html"


def render_withdrawal_report(
    result: WithdrawalResult, cohort: Cohort, origin: Origin | None = None, title: str = TITLE
) -> dict[str, bytes]:
    """Every output file of the analysis as bytes, by name; nothing is written.

    Parameters
    ----------
    result : WithdrawalResult
    cohort : Cohort
        The cohort the result came from.
    origin : Origin, optional
        Design, seed and command, where they are known.
    title : str

    Returns
    -------
    dict of str to bytes
        ``<table>.csv`` for every table of the result, ``figure.svg``, ``figure.png``,
        ``provenance.json``, ``summary.txt`` (as printed on the terminal) and ``report.html``.

    Notes
    -----
    The same result, cohort and software give the same bytes: no clock, path, user setting or
    hash order enters. Every file says whether the data are synthetic.
    """
    provenance = collect_provenance(cohort, result.question, result.fits, origin or Origin())
    figure = _draw(result, cohort.synthetic)
    note = SYNTHETIC_NOTE if cohort.synthetic else title
    pictures = {kind: render_figure(figure, kind, note) for kind in ("svg", "png")}
    files = {
        f"{name}.csv": format_csv(table, cohort.synthetic).encode("utf-8")
        for name, table in result.tables.items()
    }
    files |= {f"figure.{kind}": content for kind, content in pictures.items()}
    files["provenance.json"] = _format_json(provenance)
    files["summary.txt"] = _format_summary(result, cohort.synthetic).encode("utf-8")
    files[PAGE] = render_page(result, provenance, pictures["svg"], title).encode("utf-8")
    return files


def write_withdrawal_report(
    result: WithdrawalResult,
    cohort: Cohort,
    out: str | Path,
    origin: Origin | None = None,
    title: str = TITLE,
) -> list[Path]:
    """Write tables, figure, provenance and page of the withdrawal analysis into a folder.

    Parameters
    ----------
    result, cohort, origin, title
        As in `render_withdrawal_report`.
    out : str or Path
        Folder; made if it is not there. Files of other names in it are left alone.

    Returns
    -------
    list of Path
        The files written; the page comes last, so a page that is there has all its tables.

    Raises
    ------
    AibmdError, OSError
        If a file cannot be written; those already written are whole.

    Examples
    --------
    >>> import aibmd
    >>> from aibmd.bmd_change import fit_withdrawal
    >>> cohort = aibmd.load_cohort("brex")
    >>> paths = write_withdrawal_report(  # doctest: +SKIP
    ...     fit_withdrawal(cohort), cohort, "results/brex_withdrawal")
    """
    files = render_withdrawal_report(result, cohort, origin, title)
    return [write_atomic(Path(out) / name, content) for name, content in files.items()]


def _draw(result: WithdrawalResult, synthetic: bool) -> Any:
    changes = sort_rows(result.changes[result.changes["model"] == "log"], result.question)
    trajectories = sort_rows(result.trajectories, result.question)
    note = SYNTHETIC_NOTE if synthetic else ""
    return draw_withdrawal(changes, trajectories, note, result.question.conf_level)


def _format_summary(result: WithdrawalResult, synthetic: bool) -> str:
    """The primary tables as plain text."""
    tables = (
        tabulate_changes(result.changes, result.question),
        tabulate_differences(result.differences, result.question),
    )
    head = [SYNTHETIC_NOTE] if synthetic else []
    return "\n\n".join([*head, *(format_plain(table) for table in tables)]) + "\n"


def _format_json(provenance: dict[str, Any]) -> bytes:
    text = json.dumps(provenance, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()
