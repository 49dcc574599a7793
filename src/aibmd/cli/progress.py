"""Steps of a long command: one living line on a terminal, one line each elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def show_progress(enabled: bool = True) -> Iterator[Callable[[str], None]]:
    """Yield a function that announces a step; everything goes to standard error.

    Parameters
    ----------
    enabled : bool
        False announces nothing.
    """
    if not enabled:
        yield lambda step: None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _living_line() as announce:
            yield announce
    else:
        yield lambda step: print(step, file=sys.stderr, flush=True)


@contextmanager
def _living_line() -> Iterator[Callable[[str], None]]:
    """A spinner with the running step; finished steps stay above it with their time."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    running: list[tuple[str, float]] = []

    def finish() -> None:
        if running:
            step, start = running.pop()
            console.print(Text(f"  {step}  {time.monotonic() - start:.1f} s", style="dim"))

    with console.status("") as status:

        def announce(step: str) -> None:
            finish()
            running.append((step, time.monotonic()))
            status.update(Text(step))

        yield announce
        finish()
