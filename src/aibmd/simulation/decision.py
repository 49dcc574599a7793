"""What is decided at visits: a bisphosphonate after any scan, stopping an AI at year 5."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import expit, logit

from aibmd.simulation.bone import compute_t_scores
from aibmd.simulation.design import StudyDesign
from aibmd.simulation.drug_change import compute_bisphosphonate_change
from aibmd.simulation.record import NEVER, Array, Flags
from aibmd.simulation.stream import Streams
from aibmd.simulation.study_parameter import VISITS
from aibmd.simulation.therapy import SWITCH, PlannedTherapy, Therapy

BMD_DECIMALS: Final = 4
YEAR_5: Final = VISITS.index("year_5")
_SPINE: Final = 0


@dataclass(frozen=True, slots=True)
class YearFiveChoice:
    """Both courses of each woman on an aromatase inhibitor at year 5.

    Attributes
    ----------
    stops : array of bool (n,)
        What she does; false for women not on an inhibitor at year 5.
    stop, go_on : array (n,)
        End of the inhibitor under stopping and under continuing; for other women both are
        the end that was planned at entry.
    """

    stops: Flags
    stop: Array
    go_on: Array

    def apply(self, therapy: Therapy, stops: Flags) -> Therapy:
        """Dates of treatment when `stops` says who stops."""
        return replace(therapy, ai_stop=np.where(stops, self.stop, self.go_on))


def decide_bisphosphonate(
    design: StudyDesign,
    streams: Streams,
    therapy: Therapy,
    level: Array,
    scan_time: Array,
    scan: Array,
    attended: Flags,
) -> Therapy:
    """Dates of bisphosphonate courses, one per woman, started after a scan up to year 5.

    Parameters
    ----------
    level : array (n, 3)
        g/cm2; what gains in percent refer to.
    scan_time, scan : array (n, 5), array (n, 5, 3)
        Years and measured g/cm2, without bisphosphonates.
    attended : array of bool (n, 5)
        Nothing is decided without a scan.
    """
    section, n = design.bisphosphonate, level.shape[0]
    chance = streams.uniform("bisphosphonate", (n, YEAR_5 + 1))
    lag = streams.between("bisphosphonate lag", section.start_lag_years, n)
    years = streams.truncated(
        "bisphosphonate years", section.course_years, section.course_years_range, n
    )
    start = np.full(n, NEVER)
    for visit in range(YEAR_5 + 1):
        at = scan_time[:, [visit]]
        gain = compute_bisphosphonate_change(design, start, start + years, at)[:, 0]
        lowest = compute_t_scores(design, scan[:, visit] + level * gain / 100).min(axis=1)
        low = lowest < section.treatment_threshold_t_score.value
        odds = section.start_probability
        begins = chance[:, visit] < np.where(low, odds.low_bmd, odds.other)
        begins &= attended[:, visit] & np.isinf(start)
        start = np.where(begins, at[:, 0] + lag, start)
    return replace(therapy, bisphosphonate_start=start, bisphosphonate_stop=start + years)


def decide_stopping(
    design: StudyDesign,
    streams: Streams,
    planned: PlannedTherapy,
    scan_time: Array,
    spine_t_score: Array,
) -> YearFiveChoice:
    """Who stops an aromatase inhibitor at year 5, and when it ends either way; (D1).

    Parameters
    ----------
    scan_time : array (n, 5)
    spine_t_score : array (n,)
        Of the lumbar spine as measured at year 5; for women who were not scanned then,
        what the scan would have shown.
    """
    section, n = design.stopping, spine_t_score.size
    probability = np.where(
        planned.course == SWITCH, section.probability.switch_ai, section.probability.upfront_ai
    )
    distance = spine_t_score - section.t_score_centre.value
    log_odds = logit(probability) + section.log_odds_per_t_score.value * distance
    concerned = planned.on_ai_at_year_5
    lag = streams.truncated("stop lag", section.lag_years, section.lag_years_range, n)
    further = streams.truncated(
        "extended years", section.extended_years, section.extended_years_range, n
    )
    at, end = scan_time[:, YEAR_5], planned.therapy.ai_stop
    return YearFiveChoice(
        stops=concerned & (streams.uniform("stopping", n) < expit(log_odds)),
        stop=np.where(concerned, at + lag, end),
        go_on=np.where(concerned, at + further, end),
    )


def spine_t_score_at_year_5(design: StudyDesign, scan: Array) -> Array:
    """T-score of the lumbar spine in `scan` (n, 5, 3), shape (n,)."""
    return compute_t_scores(design, scan[:, YEAR_5])[:, _SPINE]
