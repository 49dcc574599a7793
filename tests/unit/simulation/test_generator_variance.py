"""How much measured BMD varies, before the entry rule and dropout.

The limits were derived from published intervals (SE times root n): 1-year changes have an
SD of 2.5 to 4 %, years 0 and 5 correlate 0.93 to 0.96, and the spread between women grows by
less than 15 % in 10 years. They hold among women of one menopausal stratum and one course.
"""

import numpy as np
import pytest

from aibmd.simulation.parameter import SITES
from aibmd.simulation.population import simulate_population
from aibmd.simulation.study_parameter import VISITS
from aibmd.simulation.therapy import NO_ENDOCRINE, TAMOXIFEN, UPFRONT

YEAR_0, YEAR_1, YEAR_5, YEAR_10 = (VISITS.index(f"year_{y}") if y else 0 for y in (0, 1, 5, 10))


@pytest.fixture(scope="module")
def courses(brex_design):
    """Scans by course; bisphosphonates act on nobody, since they are part of a course."""
    design = brex_design.replace_values({"effect_multipliers.bisphosphonate": 0})
    population = simulate_population(design, 21, n_unselected=40_000)
    women, planned = population.entry.women, population.entry.planned
    stops = population.choice.stops
    chosen = {
        "postmenopausal, AI to year 5": ~women.premenopausal & (planned.course == UPFRONT) & stops,
        "postmenopausal, no endocrine": ~women.premenopausal & (planned.course == NO_ENDOCRINE),
        "ovarian failure, tamoxifen": women.ovarian_failure & (planned.course == TAMOXIFEN),
    }
    return {name: population.scan[who] for name, who in chosen.items()}


COURSES = ["postmenopausal, AI to year 5", "postmenopausal, no endocrine",
           "ovarian failure, tamoxifen"]  # fmt: skip


@pytest.mark.parametrize("site", range(3), ids=SITES)
@pytest.mark.parametrize("course", COURSES)
def test_one_year_change_varies_as_published(courses, course, site):
    scan = courses[course][:, :, site]
    change = 100 * (scan[:, YEAR_1] / scan[:, YEAR_0] - 1)
    assert change.size > 1500  # standard error of an SD: 4 % / sqrt(2 n) is below 0.08
    assert 2.5 < change.std(ddof=1) < 4.0


@pytest.mark.parametrize("site", range(3), ids=SITES)
@pytest.mark.parametrize("course", COURSES)
def test_years_0_and_5_correlate_as_published(courses, course, site):
    scan = courses[course][:, :, site]
    # Standard error (1 - r^2) / sqrt(n) is below 0.004.
    assert 0.93 < np.corrcoef(scan[:, YEAR_0], scan[:, YEAR_5])[0, 1] < 0.96


@pytest.mark.parametrize("site", range(3), ids=SITES)
@pytest.mark.parametrize("course", COURSES)
def test_the_spread_between_women_hardly_grows_in_10_years(courses, course, site):
    scan = courses[course][:, :, site]
    assert scan[:, YEAR_10].std() / scan[:, YEAR_0].std() < 1.15


def test_the_total_spread_of_a_baseline_scan_is_the_one_declared(brex_design, many_women):
    section = brex_design.bone
    age = many_women.entry.women.age
    by_age = section.mean_at_58.array() + section.age_slope_per_year.array() * (age - 58)[:, None]
    found = (many_women.scan[:, YEAR_0] - by_age).std(axis=0)
    # Four standard errors of an SD, sd / sqrt(2 n), with n = 30,000.
    assert found == pytest.approx(section.sd.array(), rel=4 / np.sqrt(2 * age.size))


def test_skeletal_sites_of_a_woman_correlate_as_declared(brex_design, many_women):
    level = many_women.entry.bone.level
    age = many_women.entry.women.age
    rest = level - brex_design.bone.age_slope_per_year.array() * (age - 58)[:, None]
    found = np.corrcoef(rest, rowvar=False)
    expected = brex_design.bone.correlation.matrix()
    assert found == pytest.approx(expected, abs=4 * (1 - 0.65**2) / np.sqrt(age.size))


def test_deviations_forget_with_the_declared_time_constant(brex_design, many_women):
    deviation = many_women.entry.bone.deviation[:, : len(VISITS), 0]
    sd = brex_design.bone.deviation_sd_pct.lumbar_spine
    constant = brex_design.bone.deviation_time_constant_years.value
    found = np.corrcoef(deviation, rowvar=False)
    gap = np.abs(np.subtract.outer(*[brex_design.visits.time_years.array()] * 2))
    assert found == pytest.approx(np.exp(-gap / constant), abs=4 / np.sqrt(len(deviation)))
    assert deviation.std(axis=0) == pytest.approx(sd, rel=4 / np.sqrt(2 * len(deviation)))


def test_scan_errors_are_independent_between_sites_and_visits(brex_design, many_women):
    error = many_women.scan - many_women.true_at_scan
    n = len(error)
    found = np.corrcoef(error.reshape(n, -1), rowvar=False)
    assert found == pytest.approx(np.eye(15), abs=5 / np.sqrt(n))
    sd = brex_design.bone.scan_error_sd.array()
    assert error.std(axis=(0, 1)) == pytest.approx(sd, rel=4 / np.sqrt(10 * n))
