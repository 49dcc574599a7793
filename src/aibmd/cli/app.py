"""The `aibmd` command: verbs are registered here, and errors become one message."""

import io
import locale
import sys
from typing import Annotated, NoReturn

import typer

from aibmd import __version__
from aibmd.cli.check import check
from aibmd.cli.fit import fit
from aibmd.cli.reproduce import reproduce
from aibmd.cli.simulate import simulate
from aibmd.errors import AibmdError

app = typer.Typer(
    name="aibmd",
    help="Change in bone mineral density under and after aromatase inhibitors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aibmd {__version__}")
        raise typer.Exit


@app.callback()
def describe(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it and end."),
    ] = False,
) -> None:
    """Change in bone mineral density under and after aromatase inhibitors."""


for verb in (check, fit, reproduce, simulate):
    app.command()(verb)


def run() -> NoReturn:
    """Run a verb; exit code 2 with one message for input that cannot be used."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal of another encoding shows ? for a dash, instead of a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except UnicodeDecodeError as error:
        print(
            f"aibmd: {error}. A text file is not UTF-8: one named in the command, or the "
            "settings of matplotlib (matplotlibrc)",
            file=sys.stderr,
        )
        sys.exit(2)
    except (AibmdError, OSError) as error:
        print(f"aibmd: {error}", file=sys.stderr)
        sys.exit(2)
    except locale.Error as error:
        print(
            f"aibmd: {error}. The settings of matplotlib (matplotlibrc) ask for the locale of the "
            "system, which is not installed; set LC_ALL=C.UTF-8",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("aibmd: interrupted; no output file was left half written", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
