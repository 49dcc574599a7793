"""Interleaved timing: every contestant once per round, medians over the rounds."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class UnequalAnswerError(Exception):
    """A contestant's numbers are not the judge's: its time does not count."""


@dataclass(frozen=True, slots=True)
class Took:
    """Medians of processor time and of the clock on the wall, seconds.

    One thread that never waits takes the same of both; the processor's does not count what
    other programs do in between, so ratios and targets are judged by it.
    """

    processor: float
    wall: float

    def each(self, count: int) -> "Took":
        """Of one of `count` equal tasks."""
        return Took(self.processor / count, self.wall / count)

    def __truediv__(self, other: "Took") -> float:
        return self.processor / other.processor


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report.

    Attributes
    ----------
    what : str
    took : Took or None
        None where nothing was timed.
    ratio, against
        Processor time over that of another row of the same rounds, and which.
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
    took: Took | None = None
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


def judged(what: str, took: Took, limit: float, unit: str = "s", **further: Any) -> Row:
    """A row whose seconds have an upper limit, stated in `unit`."""
    scale = {"s": 1.0, "ms": 1e3}[unit]
    passed = took.processor * scale <= limit
    return Row(what, took, target=f"<= {limit:g} {unit}", passed=passed, **further)


def compared(
    what: str, took: Took, base: Took, against: str, limit: float | None = None, **further: Any
) -> Row:
    """A row judged by its ratio to another contestant of the same rounds."""
    ratio = took / base
    target = "" if limit is None else f"<= {limit:g}"
    passed = None if limit is None else ratio <= limit
    return Row(what, took, ratio, against, target, passed, **further)


def medians(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Took]:
    """{name: callable} -> {name: what it took}."""
    times: dict[str, list[Took]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        contestant()  # warm: imports, caches
    for _ in range(rounds):
        gc.collect()  # between rounds, not between contestants: it empties the processor's caches
        gc.disable()
        for name, contestant in contestants.items():
            processor, wall = time.process_time(), time.perf_counter()
            contestant()
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            times[name].append(Took(processor, wall))
        gc.enable()
    return {name: find_median(several) for name, several in times.items()}


def find_median(several: Sequence[Took]) -> Took:
    """Of processor and wall time, each on its own."""
    return Took(
        statistics.median(one.processor for one in several),
        statistics.median(one.wall for one in several),
    )


def require(name: str, difference: float, tolerance: float) -> str:
    """Answers first: a time for a wrong number is worth nothing."""
    if not difference <= tolerance:
        raise UnequalAnswerError(f"{name} differs by {difference:.3g}, allowed {tolerance:.3g}")
    return f"{name} {difference:.0e}"
