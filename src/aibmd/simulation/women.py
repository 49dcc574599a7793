"""Who the women are at entry, and when their ovaries stop."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, logit

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.record import Array, Flags, lock
from aibmd.simulation.stream import Streams, cut_normal

# A postmenopausal woman had her final period at least a year before entry.
_YEAR_OF_AMENORRHEA: Final = 1.0
_AGE_OF_PROBABILITY: Final = 45.0


@dataclass(frozen=True, slots=True)
class Women:
    """One value per woman.

    Attributes
    ----------
    age, bmi : array (n,)
        Years; kg/m2.
    premenopausal, chemotherapy : array of bool (n,)
        At entry; before entry.
    ovarian_failure : array of bool (n,)
        Premenopausal at entry by stratum, but the ovaries failed after chemotherapy.
    final_period : array (n,)
        Years from time zero; 0 with ovarian failure.
    """

    age: Array
    bmi: Array
    premenopausal: Flags
    chemotherapy: Flags
    ovarian_failure: Flags
    final_period: Array

    def __post_init__(self) -> None:
        lock(self)


def draw_women(design: StudyDesign, streams: Streams, n: int) -> Women:
    """Draw `n` women before the entry rule."""
    section = design.women
    premenopausal = streams.uniform("menopausal status", n) < section.premenopausal_share.value
    age = np.where(
        premenopausal,
        streams.truncated(
            "premenopausal age", section.premenopausal_age, section.premenopausal_age_range, n
        ),
        streams.truncated(
            "postmenopausal age", section.postmenopausal_age, section.postmenopausal_age_range, n
        ),
    )
    share = section.chemotherapy_share
    chemotherapy = streams.uniform("chemotherapy", n) < np.where(
        premenopausal, share.premenopausal, share.postmenopausal
    )
    failure = premenopausal & chemotherapy & _ovaries_fail(design, streams, age)
    final_period = _draw_final_period(design, streams, age, premenopausal)
    return Women(
        age=age,
        bmi=streams.truncated("bmi", section.bmi, section.bmi_range, n),
        premenopausal=premenopausal,
        chemotherapy=chemotherapy,
        ovarian_failure=failure,
        final_period=np.where(failure, 0.0, final_period),
    )


def _ovaries_fail(design: StudyDesign, streams: Streams, age: Array) -> Flags:
    """Logit P(failure | chemotherapy, age) = logit p45 + b (age - 45)."""
    section = design.menopause
    years = age - _AGE_OF_PROBABILITY
    at_45 = logit(section.ovarian_failure_probability_at_45.value)
    log_odds = at_45 + section.ovarian_failure_log_odds_per_year.value * years
    return streams.uniform("ovarian failure", age.size) < expit(log_odds)


def _draw_final_period(
    design: StudyDesign, streams: Streams, age: Array, premenopausal: Flags
) -> Array:
    """Years from time zero to the final period, given age and status at entry."""
    at = design.menopause.age_at_final_period
    low = np.where(premenopausal, age, -np.inf)
    high = np.where(premenopausal, np.inf, age - _YEAR_OF_AMENORRHEA)
    u = streams.uniform("final period", age.size)
    return cut_normal(u, at.mean, at.sd, low, high) - age
