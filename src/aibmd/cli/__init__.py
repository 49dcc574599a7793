"""The command line: one file per verb."""


def main() -> None:
    """Run the command line; imports its library here so that `import aibmd` does not."""
    from aibmd.cli.app import run

    run()
