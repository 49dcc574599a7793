"""The `aibmd` command: verbs are registered here, and errors become one message."""

import io
import sys
from typing import NoReturn

from aibmd.errors import AibmdError, MissingExtraError

try:
    import typer
except ImportError as error:  # pragma: no cover - exercised from an empty environment
    raise MissingExtraError.for_extra("typer", "cli") from error

app = typer.Typer(
    name="aibmd",
    help="Change in bone mineral density under and after aromatase inhibitors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep verbs named on the command line even while there is one alone."""


def run() -> NoReturn:
    """Run a verb; exit code 2 with one message for input that cannot be used."""
    from aibmd.cli import check, fit, reproduce, simulate  # noqa: F401 - importing a verb registers it

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
