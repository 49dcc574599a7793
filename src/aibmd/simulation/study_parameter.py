"""Kinds of design parameters that have a shape of their own: arms, visits, courses, dials."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aibmd.errors import AibmdError
from aibmd.simulation.parameter import (
    Parameter,
    check_not_negative,
    check_probability,
    check_shares,
)

VISITS: Final = ("baseline", "year_1", "year_3", "year_5", "year_10")
# Keeps a slip of the keyboard from filling the memory.
MOST_WOMEN: Final = 200_000
COURSES: Final = (
    "no_endocrine",
    "tamoxifen",
    "upfront_ai_ended_early",
    "switch_ai_ended_early",
    "upfront_ai",
    "switch_ai",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms(Parameter):
    """Women in each randomised arm."""

    exercise: int
    control: int

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        check_not_negative("exercise", self.exercise)
        check_not_negative("control", self.control)
        if not 1 <= self.n_women <= MOST_WOMEN:
            raise AibmdError(
                f"exercise and control sum to {self.n_women} women; expected 1 to {MOST_WOMEN}."
            )

    @property
    def n_women(self) -> int:
        """Women randomised."""
        return self.exercise + self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class ByVisit(Parameter):
    """One number, 0 or more, for each visit."""

    baseline: float
    year_1: float
    year_3: float
    year_5: float
    year_10: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for visit in VISITS:
            check_not_negative(visit, getattr(self, visit))

    def array(self) -> NDArray[np.float64]:
        """Values in the order of `VISITS`, shape (5,)."""
        return np.array([getattr(self, visit) for visit in VISITS])


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTimes(ByVisit):
    """Planned time of each visit in years."""

    def __post_init__(self) -> None:
        ByVisit.__post_init__(self)
        if self.baseline != 0 or not np.all(np.diff(self.array()) > 0):
            raise AibmdError("visit times start at 0 for baseline and must increase.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbabilityByVisit(ByVisit):
    """One probability for each visit."""

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for visit in VISITS:
            check_probability(visit, getattr(self, visit))


@dataclass(frozen=True, slots=True, kw_only=True)
class ByStatus(Parameter):
    """One probability by menopausal status at entry."""

    premenopausal: float
    postmenopausal: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        check_probability("premenopausal", self.premenopausal)
        check_probability("postmenopausal", self.postmenopausal)


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseShares(Parameter):
    """Shares of women by planned endocrine course; they sum to 1."""

    no_endocrine: float
    tamoxifen: float
    upfront_ai_ended_early: float
    switch_ai_ended_early: float
    upfront_ai: float
    switch_ai: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        check_shares({course: getattr(self, course) for course in COURSES})

    def array(self) -> NDArray[np.float64]:
        """Shares in the order of `COURSES`, shape (6,)."""
        return np.array([getattr(self, course) for course in COURSES])


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProbability(Parameter):
    """Probability that a woman on an AI at year 5 stops it then, by planned course."""

    upfront_ai: float
    switch_ai: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for course in ("upfront_ai", "switch_ai"):
            value = getattr(self, course)
            if not 0 < value < 1:
                raise AibmdError(
                    f"{course} is {value:g}; expected more than 0 and less than 1, so that "
                    "stopping and continuing are both possible."
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartProbability(Parameter):
    """Probability of starting a bisphosphonate after a scan, by its lowest T-score."""

    low_bmd: float
    other: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        check_probability("low_bmd", self.low_bmd)
        check_probability("other", self.other)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeavingHazard(Parameter):
    """Hazard of leaving the study for good, per year."""

    year_1: float
    years_1_to_5: float
    after_year_5: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for period in ("year_1", "years_1_to_5", "after_year_5"):
            check_not_negative(period, getattr(self, period))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventHazard(Parameter):
    """Hazards of recurrence and death, per year."""

    recurrence: float
    death_after_recurrence: float
    death_without_recurrence: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for event in ("recurrence", "death_after_recurrence", "death_without_recurrence"):
            check_not_negative(event, getattr(self, event))


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectMultipliers(Parameter):
    """Dials: each effect is multiplied; 1 as given, 0 none, -1 reversed.

    An effect is the departure from the natural rate late after menopause
    (`menopause.late_rate_pct_per_year`).
    """

    ai: float
    withdrawal: float
    tamoxifen: float
    menopause: float
    chemotherapy: float
    bisphosphonate: float
    exercise: float
