"""Mean change of BMD through drugs and exercise, as departures from natural change."""

from typing import Final

import numpy as np

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.natural_change import elapsed
from aibmd.simulation.record import NEVER, Array, Flags
from aibmd.simulation.therapy import Therapy
from aibmd.simulation.women import Women

# Aromatase inhibitor years at which `WithdrawalSection` states the gain.
SHORT_COURSE_YEARS: Final = 2.5
LONG_COURSE_YEARS: Final = 5.0


def compute_endocrine_change(
    design: StudyDesign, women: Women, therapy: Therapy, time: Array
) -> Array:
    """Change since time zero through endocrine drugs, in percent; (A1), (W1), (T1).

    Treatment in the future changes nothing: each period counts only as far as it has passed.

    Parameters
    ----------
    time : array (n, k), years

    Returns
    -------
    array (n, k, 3)
    """
    dials = design.effect_multipliers
    change: Array = (
        dials.ai * _on_ai(design, therapy, time)
        + dials.withdrawal * _after_ai(design, therapy, time)
        + dials.tamoxifen * _tamoxifen(design, women, therapy, time)
    )
    return change


def _on_ai(design: StudyDesign, therapy: Therapy, time: Array) -> Array:
    """Equation (A1): year 1, later years, and the extra loss of a switch."""
    section = design.ai
    late = design.menopause.late_rate_pct_per_year.array()
    start, stop = therapy.ai_start, therapy.ai_stop
    first = elapsed(time, start, np.minimum(start + 1, stop))
    later = elapsed(time, start + 1, stop)
    duration = section.switch_extra_years.value
    switch = np.where(therapy.switched, start, NEVER)
    extra = elapsed(time, switch, np.minimum(switch + duration, stop))
    return (
        (section.year_1_pct.array() - late) * first
        + (section.later_rate_pct_per_year.array() - late) * later
        + section.switch_extra_pct.array() / duration * extra
    )


def _after_ai(design: StudyDesign, therapy: Therapy, time: Array) -> Array:
    """Equation (W1): a gain over some years, then a lasting rate; more after longer courses."""
    section = design.withdrawal
    late = design.menopause.late_rate_pct_per_year.array()
    stop, years = therapy.ai_stop, section.gain_years.value
    taken = np.zeros(stop.size)
    np.subtract(stop, therapy.ai_start, out=taken, where=np.isfinite(stop))
    natural = late * years
    short = section.gain_after_2_to_3_years_pct.array() - natural
    long = section.gain_after_5_years_pct.array() - natural
    knots = [0.0, SHORT_COURSE_YEARS, LONG_COURSE_YEARS]
    gain = np.stack(
        [np.interp(taken, knots, [0.0, a, b]) for a, b in zip(short, long, strict=True)], axis=-1
    )
    rate = section.later_rate_pct_per_year.array() - late
    weight = np.minimum(taken / SHORT_COURSE_YEARS, 1.0)[:, np.newaxis, np.newaxis]
    return gain[:, np.newaxis, :] / years * elapsed(
        time, stop, stop + years
    ) + weight * rate * elapsed(time, stop + years, NEVER)


def _tamoxifen(design: StudyDesign, women: Women, therapy: Therapy, time: Array) -> Array:
    """Equation (T1): loss while the ovaries work, protection afterwards, loss on stopping."""
    section, final = design.tamoxifen, women.final_period
    start, stop = therapy.tamoxifen_start, therapy.tamoxifen_stop
    protected = np.maximum(start, final)
    harmful = np.minimum(start + section.premenopausal_years.value, final)
    leaves = (final <= stop) & ~therapy.switched
    end, years = np.where(leaves, stop, NEVER), section.after_stop_years.value
    return (
        section.first_2_years_pct_per_year.array()
        * elapsed(time, protected, np.minimum(protected + 2, stop))
        + section.later_rate_pct_per_year.array() * elapsed(time, protected + 2, stop)
        + section.premenopausal_pct_per_year.array()
        * elapsed(time, start, np.minimum(harmful, stop))
        + section.after_stop_pct.array() / years * elapsed(time, end, end + years)
    )


def compute_bisphosphonate_change(
    design: StudyDesign, start: Array, stop: Array, time: Array
) -> Array:
    """Change since time zero through a bisphosphonate, in percent; equation (B1)."""
    section = design.bisphosphonate
    gaining = elapsed(time, start, np.minimum(start + section.gain_years.value, stop))
    return design.effect_multipliers.bisphosphonate * section.gain_pct_per_year.array() * gaining


def compute_exercise_change(
    design: StudyDesign, women: Women, exercise: Flags, time: Array
) -> Array:
    """Change since time zero through the exercise arm, in percent; equation (E1)."""
    section, visit = design.exercise, design.visits.time_years
    knots = [0.0, visit.year_1, visit.year_3, visit.year_5]
    values = [np.zeros(3), section.premenopausal_by_year_1_pct.array()]
    values += [section.premenopausal_by_year_3_pct.array()]
    values += [section.premenopausal_by_year_5_pct.array()]
    trained = (exercise & women.premenopausal)[:, np.newaxis, np.newaxis]
    by_site = [np.interp(time, knots, [v[site] for v in values]) for site in range(3)]
    effect: Array = design.effect_multipliers.exercise * trained * np.stack(by_site, axis=-1)
    return effect
