"""Women, their treatment, their true BMD and their scans, before anything is written down."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aibmd.errors import AibmdError
from aibmd.simulation.bone import Bone, compute_t_scores, draw_bone, draw_scan_error
from aibmd.simulation.decision import (
    BMD_DECIMALS,
    YearFiveChoice,
    decide_bisphosphonate,
    decide_stopping,
    spine_t_score_at_year_5,
)
from aibmd.simulation.design import StudyDesign
from aibmd.simulation.drug_change import (
    compute_bisphosphonate_change,
    compute_endocrine_change,
    compute_exercise_change,
)
from aibmd.simulation.follow_up import FollowUp, draw_follow_up, draw_scan_times
from aibmd.simulation.natural_change import compute_natural_change
from aibmd.simulation.record import Array, Flags, lock, take_women
from aibmd.simulation.stream import Streams
from aibmd.simulation.therapy import PlannedTherapy, Therapy, plan_therapy
from aibmd.simulation.women import Women, draw_women

# Candidates drawn for each woman wanted; with the shipped design about 1 in 16 is not eligible.
_CANDIDATES: Final = 3


@dataclass(frozen=True, slots=True)
class Candidates:
    """Women at entry with everything that is settled by then.

    Attributes
    ----------
    bone : Bone
        With deviations at the nominal times of the visits, then at the scan times.
    scan_time, scan_error : array (n, 5), array (n, 5, 3)
    """

    women: Women
    planned: PlannedTherapy
    bone: Bone
    follow_up: FollowUp
    scan_time: Array
    scan_error: Array


@dataclass(frozen=True, slots=True)
class Population:
    """Everything about the women of one synthetic study.

    Attributes
    ----------
    entry : Candidates
    exercise : array of bool (n,)
        Exercise arm.
    therapy : Therapy
        As treated.
    choice : YearFiveChoice
    attended : array of bool (n, 5)
    scan : array (n, 5, 3)
        Measured BMD at every planned scan, made or not, g/cm2 with 4 decimals.
    true_at_visit, true_at_scan : array (n, 5, 3)
        Noise-free BMD as treated, at nominal visit times and at scan times.
    true_stop, true_continue : array (n, 5, 3)
        Noise-free BMD at nominal visit times had she stopped, or continued, at year 5; equal
        to `true_at_visit` for women not on an inhibitor then.
    """

    entry: Candidates
    exercise: Flags
    therapy: Therapy
    choice: YearFiveChoice
    attended: Flags
    scan: Array
    true_at_visit: Array
    true_at_scan: Array
    true_stop: Array
    true_continue: Array

    def __post_init__(self) -> None:
        lock(self)


def simulate_population(
    design: StudyDesign,
    rng: int | np.random.Generator,
    *,
    n_unselected: int | None = None,
) -> Population:
    """Simulate the women of a study.

    Parameters
    ----------
    design : StudyDesign
    rng : int or numpy.random.Generator
    n_unselected : int, optional
        This many women without the entry rule, in the design's ratio of arms, for checks of
        what a design implies. By default the design's women, selected at entry.

    Raises
    ------
    AibmdError
        If the entry rule leaves too few women.
    """
    streams = Streams(rng)
    # 1. Women as they come, and those who may enter.
    if n_unselected is None:
        wanted = design.arms.n_women
        entry = draw_candidates(design, streams, _CANDIDATES * wanted)
        entry = _select(design, entry, wanted)
    else:
        wanted = n_unselected
        entry = draw_candidates(design, streams, wanted)
    # 2. Arms.
    exercise = _randomise(design, streams, wanted)
    # 3. Decisions at visits, each from what was measured by then.
    attended = entry.follow_up.attended(entry.scan_time)
    therapy, choice = _decide(design, streams, entry, exercise, attended)
    # 4. True BMD under each course, and the scans.
    return _observe(design, entry, exercise, attended, therapy, choice)


def draw_candidates(design: StudyDesign, streams: Streams, n: int) -> Candidates:
    """Draw women, plans, bone and follow-up for `n` women before the entry rule."""
    women = draw_women(design, streams, n)
    scan_time = draw_scan_times(design, streams, n)
    nominal = np.broadcast_to(design.visits.time_years.array(), scan_time.shape)
    return Candidates(
        women=women,
        planned=plan_therapy(design, streams, women),
        bone=draw_bone(design, streams, women.age, np.hstack([nominal, scan_time])),
        follow_up=draw_follow_up(design, streams, n),
        scan_time=scan_time,
        scan_error=draw_scan_error(design, streams, n, scan_time.shape[1]),
    )


def _select(design: StudyDesign, entry: Candidates, wanted: int) -> Candidates:
    """The first women whose measured baseline T-scores all lie above the limit."""
    nobody_trains = np.zeros(entry.women.age.size, dtype=bool)
    true = _true_bmd(design, entry, entry.planned.therapy, nobody_trains)[:, entry_visits(entry) :]
    baseline = np.round(true[:, 0] + entry.scan_error[:, 0], BMD_DECIMALS)
    t_score = compute_t_scores(design, baseline)
    eligible = np.flatnonzero((t_score > design.bone.lowest_t_score_at_entry.value).all(axis=1))
    if eligible.size < wanted:
        raise AibmdError(
            f"bone.lowest_t_score_at_entry leaves {eligible.size} of "
            f"{entry.women.age.size} women drawn, fewer than the {wanted} of arms. Lower it, or "
            "check bone.mean_at_58 against bone.reference_mean."
        )
    return take_women(entry, eligible[:wanted])


def entry_visits(entry: Candidates) -> int:
    """Number of planned visits."""
    return int(entry.scan_time.shape[1])


def _randomise(design: StudyDesign, streams: Streams, n: int) -> Flags:
    """Exactly the design's share of women in the exercise arm, in random order."""
    n_exercise = round(n * design.arms.exercise / design.arms.n_women)
    rank = np.argsort(np.argsort(streams.uniform("arm", n), kind="stable"), kind="stable")
    return rank < n_exercise


def _true_bmd(design: StudyDesign, entry: Candidates, therapy: Therapy, exercise: Flags) -> Array:
    """True BMD at the nominal times, then at the scan times, shape (n, 10, 3)."""
    nominal = np.broadcast_to(design.visits.time_years.array(), entry.scan_time.shape)
    time = np.hstack([nominal, entry.scan_time])
    change = (
        compute_natural_change(design, entry.women, therapy, time)
        + compute_endocrine_change(design, entry.women, therapy, time)
        + compute_exercise_change(design, entry.women, exercise, time)
        + compute_bisphosphonate_change(
            design, therapy.bisphosphonate_start, therapy.bisphosphonate_stop, time
        )
    )
    return entry.bone.compute_bmd(change, time)


def _decide(
    design: StudyDesign, streams: Streams, entry: Candidates, exercise: Flags, attended: Flags
) -> tuple[Therapy, YearFiveChoice]:
    """Bisphosphonates first, from scans up to year 5; then stopping, from the year 5 scan."""
    planned, visits = entry.planned, entry_visits(entry)
    undecided = _true_bmd(design, entry, planned.therapy, exercise)[:, visits:]
    therapy = decide_bisphosphonate(
        design,
        streams,
        planned.therapy,
        entry.bone.level,
        entry.scan_time,
        undecided + entry.scan_error,
        attended,
    )
    undecided = _true_bmd(design, entry, therapy, exercise)[:, visits:]
    t_score = spine_t_score_at_year_5(design, undecided + entry.scan_error)
    choice = decide_stopping(design, streams, planned, entry.scan_time, t_score)
    return therapy, choice


def _observe(
    design: StudyDesign,
    entry: Candidates,
    exercise: Flags,
    attended: Flags,
    therapy: Therapy,
    choice: YearFiveChoice,
) -> Population:
    visits, everyone = entry_visits(entry), np.ones(exercise.size, dtype=bool)
    courses: dict[str, NDArray[np.bool_]] = {
        "stop": everyone,
        "continue": ~everyone,
        "as_treated": choice.stops,
    }
    true = {
        name: _true_bmd(design, entry, choice.apply(therapy, stops), exercise)
        for name, stops in courses.items()
    }
    at_scan = true["as_treated"][:, visits:]
    return Population(
        entry=entry,
        exercise=exercise,
        therapy=choice.apply(therapy, choice.stops),
        choice=choice,
        attended=attended,
        scan=np.round(at_scan + entry.scan_error, BMD_DECIMALS),
        true_at_visit=true["as_treated"][:, :visits],
        true_at_scan=at_scan,
        true_stop=true["stop"][:, :visits],
        true_continue=true["continue"][:, :visits],
    )
