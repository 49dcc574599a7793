"""The `aibmd` command: verbs are registered here, and errors become one message."""

import io
import sys
from typing import NoReturn

import typer

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
    except (AibmdError, OSError, UnicodeDecodeError) as error:
        print(f"aibmd: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("aibmd: interrupted; no output file was left half written", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
