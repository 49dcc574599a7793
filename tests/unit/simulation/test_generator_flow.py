import numpy as np
import pandas as pd
import pytest

from aibmd.cohort import read_cohort
from aibmd.errors import AibmdError
from aibmd.simulation import simulate_cohort
from aibmd.simulation.population import simulate_population
from aibmd.simulation.study_parameter import COURSES
from aibmd.simulation.truth_table import WITHDRAWN, name_groups

# Young women: Hologic (spine) and NHANES III (hip); mean and SD in g/cm2.
REFERENCE = {
    "lumbar_spine": (1.047, 0.110),
    "femoral_neck": (0.858, 0.120),
    "total_hip": (0.942, 0.122),
}


@pytest.fixture(scope="module")
def studies(brex_design):
    """Twenty cohorts of the shipped design, each selected at entry."""
    return [simulate_population(brex_design, seed) for seed in range(100, 120)]


def test_numbers_scanned_average_the_published_flow(studies):
    scanned = np.mean([study.attended.sum(axis=0) for study in studies], axis=0)
    # 573 randomised; 498, 444 and 372 analysed at years 1, 5 and 10. Standard error of a
    # mean of 20 binomial counts: sqrt(573 p q / 20) is below 2.6.
    assert scanned[[0, 1, 3, 4]] == pytest.approx([573, 498, 444, 372], abs=8)


def test_about_155_withdrawn_and_215_comparators_are_scanned_at_year_10(studies):
    withdrawn = [(name_groups(s) == WITHDRAWN)[s.attended[:, 4]].sum() for s in studies]
    others = [(name_groups(s) != WITHDRAWN)[s.attended[:, 4]].sum() for s in studies]
    assert np.mean(withdrawn) == pytest.approx(155, abs=10)
    assert np.mean(others) == pytest.approx(215, abs=10)


def test_courses_have_the_declared_shares_by_menopausal_state(brex_design, many_women):
    women, course = many_women.entry.women, many_women.entry.planned.course
    states = {
        "postmenopausal": ~women.premenopausal,
        "ovarian_failure": women.ovarian_failure,
        "ovarian_function": women.premenopausal & ~women.ovarian_failure,
    }
    for state, who in states.items():
        shares = getattr(brex_design.courses, state)
        for index, name in enumerate(COURSES):
            share = getattr(shares, name)
            found = (course[who] == index).mean()
            assert abs(found - share) <= 4 * np.sqrt(share * (1 - share) / who.sum()), (state, name)


def test_menopausal_status_and_arms_have_the_published_shares(many_women, brex_design):
    assert many_women.entry.women.premenopausal.mean() == pytest.approx(229 / 498, abs=0.012)
    arms = simulate_cohort(brex_design, 12).subjects["arm"].value_counts()
    assert arms.to_dict() == {"exercise": 302, "control": 271}


def test_nobody_has_osteoporosis_at_entry(brex_design):
    scans = simulate_cohort(brex_design, 13).scans
    entry = scans[scans["visit"] == "baseline"]
    for site, (mean, sd) in REFERENCE.items():
        t_score = (entry.loc[entry["skeletal_site"] == site, "bmd"] - mean) / sd
        assert len(t_score) == 573
        assert t_score.min() > -2.5


def test_women_given_a_bisphosphonate_had_lower_bmd_at_entry(many_women):
    treated = np.isfinite(many_women.therapy.bisphosphonate_start)
    assert 0.05 < treated.mean() < 0.25
    low = many_women.scan[treated, 0].mean(axis=0)
    assert (low < many_women.scan[~treated, 0].mean(axis=0) - 0.02).all()


def test_a_cohort_passes_every_check_of_a_reader(brex_design):
    cohort = simulate_cohort(brex_design, 14)
    again = read_cohort(cohort.to_frame())
    assert again.n_scans == cohort.n_scans
    assert cohort.synthetic
    assert set(cohort.subjects["synthetic"]) == {"yes"}


def test_nothing_is_known_after_the_last_contact_and_no_scan_follows_a_recurrence(brex_design):
    cohort = simulate_cohort(brex_design, 15)
    table, women = cohort.to_frame(), cohort.subjects
    assert (table["time"] <= table["last_contact_time"]).all()
    recurred = table["recurrence_time"].notna()
    assert recurred.any()
    assert (table["time"] <= table["recurrence_time"])[recurred].all()
    for name in women.columns[women.columns.str.contains("_start|_stop|recurrence|death")]:
        known = women[name].notna()
        assert (women[name] <= women["last_contact_time"])[known].all(), name
    assert (women["ai_stop"].notna() <= women["ai_start"].notna()).all()


def test_the_same_seed_gives_the_same_cohort_and_another_seed_another(brex_design):
    first, again = (simulate_cohort(brex_design, 16) for _ in range(2))
    assert first.data_hash == again.data_hash
    assert first.truth.equals(again.truth)
    assert simulate_cohort(brex_design, 17).data_hash != first.data_hash


def test_a_generator_is_accepted_and_moves_on(brex_design):
    rng = np.random.default_rng(3)
    first, second = simulate_cohort(brex_design, rng), simulate_cohort(brex_design, rng)
    assert first.data_hash != second.data_hash
    assert simulate_cohort(brex_design, np.random.default_rng(3)).data_hash == first.data_hash


@pytest.mark.parametrize("rng", [-1, 1.5, "6", None, True])
def test_what_is_no_seed_is_refused(brex_design, rng):
    with pytest.raises(AibmdError, match="expected a whole number"):
        simulate_cohort(brex_design, rng)


def test_changing_one_effect_reshuffles_nothing_else(brex_design):
    other = brex_design.replace_values({"ai.year_1_pct.lumbar_spine": -6.0})
    before, after = (simulate_population(d, 18, n_unselected=800) for d in (brex_design, other))
    for name in ("age", "bmi", "premenopausal", "final_period"):
        assert np.array_equal(getattr(before.entry.women, name), getattr(after.entry.women, name))
    assert np.array_equal(before.exercise, after.exercise)
    assert np.array_equal(before.attended, after.attended)
    assert np.array_equal(before.therapy.ai_start, after.therapy.ai_start)
    assert np.array_equal(before.entry.scan_error, after.entry.scan_error)
    never = before.entry.planned.course == 0
    assert np.array_equal(before.scan[never], after.scan[never])
    assert not np.array_equal(before.scan[~never], after.scan[~never])


def test_an_entry_rule_nobody_meets_is_an_error(brex_design):
    strict = brex_design.replace_values({"bone.lowest_t_score_at_entry.value": 3.0})
    with pytest.raises(AibmdError, match="lowest_t_score_at_entry leaves"):
        simulate_cohort(strict, 1)


def test_arrays_of_a_population_cannot_be_changed(many_women):
    with pytest.raises(ValueError, match="read-only"):
        many_women.scan[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        many_women.entry.bone.level[0] = 1.0


def test_zero_hazards_keep_everyone_to_year_10(brex_design):
    paths = {
        "follow_up.leaving_hazard": ("year_1", "years_1_to_5", "after_year_5"),
        "follow_up.event_hazard": ("recurrence", "death_after_recurrence",
                                   "death_without_recurrence"),
        "visits.missed_scan_probability": ("year_1", "year_3", "year_5"),
    }  # fmt: skip
    stays = {f"{path}.{name}": 0 for path, names in paths.items() for name in names}
    cohort = simulate_cohort(brex_design.replace_values(stays), 19)
    assert cohort.n_scans == 573 * 15
    assert cohort.subjects["death_time"].isna().all()


def test_visits_stay_in_the_order_of_the_study(brex_design):
    cohort = simulate_cohort(brex_design, 20)
    assert cohort.visits == ("baseline", "year_1", "year_3", "year_5", "year_10")
    assert isinstance(cohort.truth["visit"].dtype, pd.CategoricalDtype)
