"""Interleaved timing: every contestant once per round, medians over the rounds."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class UnequalAnswerError(Exception):
    """A contestant's numbers are not the judge's: its time does not count."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report.

    Attributes
    ----------
    what : str
    seconds : float or None
        Median; None where nothing was timed.
    ratio, against
        Seconds over those of another row of the same run, and which.
    target : str
        As written in the table.
    passed : bool or None
        None where there is no target, or nothing to judge yet.
    equal : str
        How closely answers agree, or what differs.
    series, subjects
        Where the row stands in the plot of time against subjects.
    """

    what: str
    seconds: float | None = None
    ratio: float | None = None
    against: str = ""
    target: str = ""
    passed: bool | None = None
    equal: str = ""
    series: str = ""
    subjects: int | None = None

    @property
    def result(self) -> str:
        """One word for the table."""
        if self.passed is None:
            return "not measured" if self.target else ""
        return "pass" if self.passed else "FAIL"


def judged(what, seconds, limit, unit="s", **further):
    """A row whose seconds have an upper limit, stated in `unit`."""
    scale = {"s": 1.0, "ms": 1e3}[unit]
    return Row(
        what, seconds, target=f"<= {limit:g} {unit}", passed=seconds * scale <= limit, **further
    )


def compared(what, seconds, base, against, limit=None, **further):
    """A row judged by its ratio to another contestant of the same rounds."""
    ratio = seconds / base
    target = "" if limit is None else f"<= {limit:g}"
    passed = None if limit is None else ratio <= limit
    return Row(what, seconds, ratio, against, target, passed, **further)


def medians(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds per contestant, {name: callable} -> {name: median}."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
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


def require(name: str, difference: float, tolerance: float) -> str:
    """Answers first: a time for a wrong number is worth nothing."""
    if not difference <= tolerance:
        raise UnequalAnswerError(f"{name} differs by {difference:.3g}, allowed {tolerance:.3g}")
    return f"{name} {difference:.0e}"
