"""Endocrine courses and their dates, as far as they are planned at entry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.record import NEVER, Array, Flags, lock
from aibmd.simulation.stream import Streams
from aibmd.simulation.study_parameter import COURSES
from aibmd.simulation.women import Women

NO_ENDOCRINE, TAMOXIFEN, UPFRONT_EARLY, SWITCH_EARLY, UPFRONT, SWITCH = range(len(COURSES))


@dataclass(frozen=True, slots=True)
class Therapy:
    """Dates of treatment in years from time zero; `NEVER` (inf) where there is none.

    Attributes
    ----------
    tamoxifen_start, tamoxifen_stop, ai_start, ai_stop, bisphosphonate_start, \
bisphosphonate_stop : array (n,)
    """

    tamoxifen_start: Array
    tamoxifen_stop: Array
    ai_start: Array
    ai_stop: Array
    bisphosphonate_start: Array
    bisphosphonate_stop: Array

    def __post_init__(self) -> None:
        lock(self)

    @property
    def switched(self) -> Flags:
        """Whether an aromatase inhibitor followed tamoxifen without a gap."""
        switched: Flags = (self.ai_start == self.tamoxifen_stop) & np.isfinite(self.ai_start)
        return switched


@dataclass(frozen=True, slots=True)
class PlannedTherapy:
    """Planned course of each woman, as an index into `COURSES`, and its dates."""

    course: NDArray[np.intp]
    therapy: Therapy

    @property
    def on_ai_at_year_5(self) -> Flags:
        """Women whose aromatase inhibitor runs until the decision at year 5."""
        return np.isin(self.course, (UPFRONT, SWITCH))


def plan_therapy(design: StudyDesign, streams: Streams, women: Women) -> PlannedTherapy:
    """Draw course and dates; an aromatase inhibitor that reaches year 5 has no stop yet."""
    course = _draw_course(design, streams, women)
    section, n = design.courses, course.size
    start = streams.between("endocrine start", section.start_years, n)
    switch = start + streams.truncated(
        "years to switch", section.years_to_switch, section.years_to_switch_range, n
    )
    end = start + streams.truncated(
        "tamoxifen years", section.tamoxifen_years, section.tamoxifen_years_range, n
    )
    upfront = np.isin(course, (UPFRONT, UPFRONT_EARLY))
    switching = np.isin(course, (SWITCH, SWITCH_EARLY))
    ai_start = np.where(upfront, start, np.where(switching, switch, NEVER))
    years = np.select(
        [course == UPFRONT_EARLY, course == SWITCH_EARLY],
        [
            streams.between("upfront AI years", section.upfront_ended_early_ai_years, n),
            streams.between("switch AI years", section.switch_ended_early_ai_years, n),
        ],
        default=NEVER,
    )
    dates = Therapy(
        tamoxifen_start=np.where((course == TAMOXIFEN) | switching, start, NEVER),
        tamoxifen_stop=np.where(course == TAMOXIFEN, end, np.where(switching, switch, NEVER)),
        ai_start=ai_start,
        ai_stop=ai_start + years,
        bisphosphonate_start=np.full(n, NEVER),
        bisphosphonate_stop=np.full(n, NEVER),
    )
    return PlannedTherapy(course, dates)


def _draw_course(design: StudyDesign, streams: Streams, women: Women) -> NDArray[np.intp]:
    """Course by the shares of each woman's menopausal state."""
    section = design.courses
    shares = np.stack(
        [
            section.postmenopausal.array(),
            section.ovarian_failure.array(),
            section.ovarian_function.array(),
        ]
    )
    state = np.where(women.premenopausal, np.where(women.ovarian_failure, 1, 2), 0)
    below = np.cumsum(shares, axis=1)[state, :-1]
    # Rounding must not put a woman into a course whose share is 0.
    below = np.where(np.isclose(below, 1.0, rtol=0, atol=1e-9), 1.0, below)
    u = streams.uniform("course", state.size)
    course: NDArray[np.intp] = (u[:, np.newaxis] >= below).sum(axis=1)
    return course
