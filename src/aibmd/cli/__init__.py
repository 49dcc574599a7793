"""The command line: one file per verb."""

import sys


def main() -> None:
    """Run the command line; imports its library here so that `import aibmd` does not."""
    try:
        from aibmd.cli.app import run
    except KeyboardInterrupt:
        print("aibmd: interrupted before anything was done", file=sys.stderr)
        sys.exit(130)
    except ModuleNotFoundError as error:
        from aibmd.errors import MissingExtraError

        print(f"aibmd: {MissingExtraError.for_extra(str(error.name), 'cli')}", file=sys.stderr)
        sys.exit(2)
    run()
