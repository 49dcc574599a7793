"""`aibmd check FILE`: what is in a table of scans, or everything that is wrong with it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from aibmd.cohort import read_cohort
from aibmd.errors import AibmdError, CohortError


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV file of scans in UTF-8.")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILECOL=OURNAME",
            help="Column of the file that holds one of ours, e.g. USUBJID=subject_id; repeatable.",
        ),
    ] = None,
) -> None:
    """List every problem of a table of scans, with its rows and what to do about it.

    Exit code 0: the table can be used; 1: it has problems; 2: it cannot be read at all.
    """
    try:
        cohort = read_cohort(file, columns=_parse_columns(columns or []))
    except CohortError as error:
        if not error.problems:
            raise
        _say(str(error))
        raise typer.Exit(1) from None
    _say(cohort.summary())
    _say("No problems found.")


def _say(text: str) -> None:
    """Print plain text; a terminal that lacks a letter of a label shows its code instead."""
    encoding = sys.stdout.encoding or "utf-8"
    typer.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def _parse_columns(pairs: list[str]) -> dict[str, str]:
    """Mapping of ``FILECOL=OURNAME`` pairs; the last = splits, names of ours hold none."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        old, equals, new = pair.rpartition("=")
        if not (old and equals and new):
            raise AibmdError(
                f"--columns {pair!r} is not of the form FILECOL=OURNAME, "
                "for example --columns USUBJID=subject_id."
            )
        if mapping.setdefault(old, new) != new:
            raise AibmdError(f"--columns names {old!r} twice. Give it one name.")
    return mapping
