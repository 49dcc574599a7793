"""Mean change of BMD without endocrine therapy: age, menopause, ovarian failure."""

from typing import Final

import numpy as np

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.record import Array
from aibmd.simulation.therapy import Therapy
from aibmd.simulation.women import Women

# Earlier than any woman's youth, as the start of her premenopausal years.
_LONG_AGO: Final = -100.0


def elapsed(time: Array, start: Array | float, end: Array | float) -> Array:
    """Years of a period that passed between time zero and `time`, negative before zero.

    Parameters
    ----------
    time : array (n, k)
    start, end : array (n,) or float
        The period; ``inf`` never comes, and a period that ends before it starts is empty.

    Returns
    -------
    array (n, k, 1)
        Ready to be multiplied by rates of shape (3,), (n, 1, 3).
    """
    start, end = (np.broadcast_to(x, time.shape[:1])[:, np.newaxis] for x in (start, end))
    passed = np.maximum(0.0, np.minimum(time, end) - start)
    passed_at_zero = np.maximum(0.0, np.minimum(0.0, end) - start)
    return (passed - passed_at_zero)[:, :, np.newaxis]


def compute_natural_change(
    design: StudyDesign, women: Women, therapy: Therapy, time: Array
) -> Array:
    """Change since time zero without drugs, in percent; equations (N1) to (N3).

    The faster loss round menopause is left out while an aromatase inhibitor is taken: the
    totals given for the inhibitor already hold it.

    Parameters
    ----------
    time : array (n, k), years

    Returns
    -------
    array (n, k, 3)
    """
    late = design.menopause.late_rate_pct_per_year.array()
    menopause = _menopause(design, women, therapy, time)
    chemotherapy = _chemotherapy(design, women, time)
    dials = design.effect_multipliers
    change: Array = (
        late * time[:, :, np.newaxis]
        + dials.menopause * menopause
        + dials.chemotherapy * chemotherapy
    )
    return change


def _menopause(design: StudyDesign, women: Women, therapy: Therapy, time: Array) -> Array:
    """Departure of each phase from the late rate."""
    section = design.menopause
    late = section.late_rate_pct_per_year.array()
    final = np.where(women.ovarian_failure, np.nan, women.final_period)
    zero = np.where(women.ovarian_failure, 0.0, np.nan)
    phases = (
        (np.full(final.size, _LONG_AGO), final - 2, section.premenopausal_rate_pct_per_year),
        (final - 2, final, section.last_2_years_before_pct_per_year),
        (final, final + 2, section.first_2_years_after_pct_per_year),
        (final + 2, final + 5, section.years_2_to_5_after_pct_per_year),
        (zero, zero + 1, section.ovarian_failure_year_1_pct),
        (zero + 1, zero + 2, section.ovarian_failure_year_2_pct),
    )
    change = np.zeros((*time.shape, late.size))
    for start, end, rate in phases:
        applies = ~np.isnan(end)
        begin, until = np.where(applies, start, np.inf), np.where(applies, end, np.inf)
        years = elapsed(time, begin, until)
        years = years - elapsed(
            time, np.maximum(begin, therapy.ai_start), np.minimum(until, therapy.ai_stop)
        )
        change += (rate.array() - late) * years
    return change


def _chemotherapy(design: StudyDesign, women: Women, time: Array) -> Array:
    concerned = women.chemotherapy & ~women.premenopausal
    rate = design.chemotherapy.postmenopausal_year_1_pct.array()
    return rate * elapsed(time, np.where(concerned, 0.0, np.inf), 1.0)
