"""Interleaved timing: every contestant once per round, medians over the rounds."""

import gc
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the report."""

    what: str
    seconds: float
    ratio: float | None = None
    against: str = ""
    target: str = ""
    passed: bool | None = None
    equal: str = ""


def medians(contestants, rounds):
    """Seconds per contestant, {name: callable} -> {name: median}."""
    times = {name: [] for name in contestants}
    for contestant in contestants.values():
        contestant()  # warm: imports, caches
    for _ in range(rounds):
        gc.collect()  # between rounds, not between contestants: it empties the processor's caches
        gc.disable()
        for name, contestant in contestants.items():
            started = time.perf_counter()
            contestant()
            times[name].append(time.perf_counter() - started)
        gc.enable()
    return {name: statistics.median(values) for name, values in times.items()}


def require(name, difference, tolerance):
    """Answers first: a time for a wrong number is worth nothing."""
    if not difference <= tolerance:
        raise SystemExit(
            f"no time counts: {name} differs by {difference:.3g}, allowed {tolerance:.3g}"
        )
    return f"{name} {difference:.0e}"
