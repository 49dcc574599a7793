import numpy as np
import pytest

from aibmd.simulation import simulate_cohort
from aibmd.simulation.population import simulate_population
from aibmd.simulation.truth_table import COMPARATORS, WITHDRAWN, name_groups

N = 12_000
DIALS = ("ai", "withdrawal", "tamoxifen", "menopause", "chemotherapy", "bisphosphonate", "exercise")


def change_5_to_10(population):
    """True change in percent of year 5 at the three skeletal sites, shape (n, 3)."""
    true = population.true_at_visit
    return 100 * (true[:, 4] / true[:, 3] - 1)


def standard_error(values):
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


@pytest.fixture(scope="module")
def brex_cohort(brex_design):
    return simulate_cohort(brex_design, 7)


def test_truth_as_treated_is_the_course_each_woman_took(brex_cohort):
    truth = brex_cohort.truth
    after = truth[truth["true_bmd_stop"].notna()]
    stopped = after["withdrawal_group"] == WITHDRAWN
    assert 0 < stopped.sum() < len(after)
    assert (after["true_bmd"][stopped] == after["true_bmd_stop"][stopped]).all()
    assert (after["true_bmd"][~stopped] == after["true_bmd_continue"][~stopped]).all()
    last = after["visit"] == "year_10"
    assert (after["true_bmd_stop"][last] != after["true_bmd_continue"][last]).all()


def test_counterfactuals_stand_only_where_they_mean_something(brex_cohort):
    truth = brex_cohort.truth
    shown = (truth["on_ai_at_year_5"] == "yes") & (truth["nominal_time"] >= 5)
    assert (truth["true_bmd_stop"].notna() == shown).all()
    assert (truth["true_bmd_continue"].notna() == shown).all()
    on_ai = truth["withdrawal_group"].isin([WITHDRAWN, "ai_continued"])
    assert ((truth["on_ai_at_year_5"] == "yes") == on_ai).all()
    assert set(truth["withdrawal_group"]) == {WITHDRAWN, *COMPARATORS}


def test_truth_has_every_woman_visit_and_site_once(brex_cohort):
    truth = brex_cohort.truth
    assert len(truth) == 573 * 5 * 3
    assert not truth.duplicated(["subject_id", "visit", "skeletal_site"]).any()
    scanned = truth.loc[truth["scanned"] == "yes", ["subject_id", "visit", "skeletal_site"]]
    scans = brex_cohort.scans[["subject_id", "visit", "skeletal_site"]]
    assert set(map(tuple, scanned.astype(str).to_numpy())) == set(
        map(tuple, scans.astype(str).to_numpy())
    )


def test_a_scan_differs_from_truth_by_scan_error_alone(brex_cohort, brex_design):
    keys = ["subject_id", "visit", "skeletal_site"]
    scans, truth = brex_cohort.scans, brex_cohort.truth
    for frame in (scans, truth):
        frame[keys] = frame[keys].astype("str")
    both = scans.merge(truth, on=keys, validate="one_to_one")
    assert (both["time"] == both["scan_time"]).all()
    error = both["bmd"] - both["true_bmd_at_scan"]
    for site, group in error.groupby(both["skeletal_site"]):
        sd = getattr(brex_design.bone.scan_error_sd, site)
        assert abs(group.mean()) < 4 * sd / np.sqrt(len(group))
        assert group.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * len(group)))


def test_design_truth_of_the_groups_lies_near_the_published_values_that_set_it(many_women):
    change, stops = change_5_to_10(many_women), many_women.choice.stops
    assert change[stops].mean(axis=0)[:2] == pytest.approx([2.6, -1.4], abs=0.5)
    assert change[~stops].mean(axis=0)[:2] == pytest.approx([-1.3, -3.8], abs=0.6)


def test_under_a_null_design_stopping_is_continuing_and_groups_agree(brex_design):
    null = brex_design.replace_values({f"effect_multipliers.{dial}": 0 for dial in DIALS})
    population = simulate_population(null, 8, n_unselected=N)
    assert np.array_equal(population.true_stop, population.true_continue)
    change, stops = change_5_to_10(population), population.choice.stops
    difference = change[stops].mean(axis=0) - change[~stops].mean(axis=0)
    noise = np.hypot(standard_error(change[stops]), standard_error(change[~stops]))
    # Low BMD at year 5 makes stopping a little likelier, and low deviations recover.
    assert (np.abs(difference) < 4 * noise + 0.1).all()


def test_a_reversed_withdrawal_effect_turns_the_difference_round(brex_design):
    reverse = brex_design.replace_values({"effect_multipliers.withdrawal": -1})
    spine = {}
    for name, design in (("as given", brex_design), ("reversed", reverse)):
        population = simulate_population(design, 9, n_unselected=N)
        change, group = change_5_to_10(population)[:, 0], name_groups(population)
        spine[name] = change[group == WITHDRAWN].mean() - change[group == "never_endocrine"].mean()
    assert spine["as given"] > 2
    assert spine["reversed"] < -2


def test_stopping_changes_no_bone_before_the_stop(brex_design, many_women):
    assert np.array_equal(many_women.true_stop[:, :3], many_women.true_continue[:, :3])
    seldom = brex_design.replace_values(
        {"stopping.probability.upfront_ai": 0.1, "stopping.probability.switch_ai": 0.1}
    )
    often, rarely = (simulate_population(d, 10, n_unselected=500) for d in (brex_design, seldom))
    assert np.array_equal(often.scan[:, :4], rarely.scan[:, :4])
    assert not np.array_equal(often.scan[:, 4], rarely.scan[:, 4])


def test_an_inhibitor_is_stopped_at_or_after_the_year_5_scan(many_women):
    stops = many_women.choice.stops
    lag = many_women.therapy.ai_stop[stops] - many_women.entry.scan_time[stops, 3]
    assert lag.min() >= 0
    assert lag.max() <= 0.4


def test_stopping_depends_on_year_5_bmd_as_far_as_the_design_says(brex_design):
    def gap(log_odds):
        design = brex_design.replace_values(
            {"stopping.log_odds_per_t_score.value": log_odds,
             "stopping.probability.upfront_ai": 0.5, "stopping.probability.switch_ai": 0.5}
        )  # fmt: skip
        population = simulate_population(design, 11, n_unselected=N)
        on_ai, stops = population.entry.planned.on_ai_at_year_5, population.choice.stops
        spine = population.scan[:, 3, 0]
        a, b = spine[stops], spine[on_ai & ~stops]
        return (a.mean() - b.mean()) / np.hypot(standard_error(a), standard_error(b))

    assert abs(gap(0.0)) < 4
    assert gap(-1.0) < -10
    assert gap(1.0) > 10
