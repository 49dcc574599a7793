"""When women are scanned, and how their follow-up ends."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.record import NEVER, Array, Flags, lock
from aibmd.simulation.stream import Streams, cut_normal

_SCATTER_LIMIT: Final = 3.0


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Ends of follow-up in years from time zero; `NEVER` (inf) where they do not come.

    Attributes
    ----------
    recurrence, death, leaving : array (n,)
        `leaving` is leaving the study for good, for other reasons.
    missed : array of bool (n, 5)
        Single visits without a scan.
    """

    recurrence: Array
    death: Array
    leaving: Array
    missed: Flags

    def __post_init__(self) -> None:
        lock(self)

    def attended(self, scan_time: Array) -> Flags:
        """Which planned scans were made: none after leaving, recurrence or death."""
        end = np.minimum(np.minimum(self.leaving, self.recurrence), self.death)
        return (scan_time < end[:, np.newaxis]) & ~self.missed

    def last_contact(self, scan_time: Array) -> Array:
        """Leaving, death, or the date of the year 10 visit, whichever comes first."""
        return np.minimum(np.minimum(self.leaving, self.death), scan_time[:, -1])


def draw_scan_times(design: StudyDesign, streams: Streams, n: int) -> Array:
    """Planned dates of scans, shape (n, 5); the baseline scan is not after time zero."""
    section = design.visits
    u = streams.uniform("scan time", (n, len(section.time_years.array())))
    scatter = cut_normal(u, 0.0, 1.0, -_SCATTER_LIMIT, _SCATTER_LIMIT)
    scatter[:, 0] = -np.abs(scatter[:, 0])
    return section.time_years.array() + section.scan_time_sd_years.array() * scatter


def draw_follow_up(design: StudyDesign, streams: Streams, n: int) -> FollowUp:
    """Draw recurrence, death, leaving and missed visits from constant hazards."""
    hazard = design.follow_up.event_hazard
    recurrence = _wait(streams, "recurrence", hazard.recurrence, n)
    other_death = _wait(streams, "death without recurrence", hazard.death_without_recurrence, n)
    recurrence = np.where(recurrence < other_death, recurrence, NEVER)
    cancer_death = recurrence + _wait(
        streams, "death after recurrence", hazard.death_after_recurrence, n
    )
    probability = design.visits.missed_scan_probability.array()
    missed = streams.uniform("missed scan", (n, probability.size)) < probability
    return FollowUp(
        recurrence=recurrence,
        death=np.where(np.isfinite(recurrence), cancer_death, other_death),
        leaving=_draw_leaving(design, streams, n),
        missed=missed,
    )


def _wait(streams: Streams, name: str, hazard: float, n: int) -> Array:
    exposure = -np.log1p(-streams.uniform(name, n))
    return exposure / hazard if hazard > 0 else np.full(n, NEVER)


def _draw_leaving(design: StudyDesign, streams: Streams, n: int) -> Array:
    """Time at which the cumulative hazard, linear by period, reaches an exponential draw."""
    hazard, visit = design.follow_up.leaving_hazard, design.visits.time_years
    rest = -np.log1p(-streams.uniform("leaving", n))
    leaving = np.full(n, NEVER)
    periods = (
        (0.0, visit.year_1, hazard.year_1),
        (visit.year_1, visit.year_5, hazard.years_1_to_5),
        (visit.year_5, NEVER, hazard.after_year_5),
    )
    for start, end, rate in periods:
        if rate > 0:
            at = start + rest / rate
            leaving = np.where(np.isinf(leaving) & (at < end), at, leaving)
            rest = rest - rate * (end - start)
    return leaving
