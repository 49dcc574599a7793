"""Both models against arithmetic by hand, and the tables made of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aibmd import Cohort
from aibmd.bmd_change import WithdrawalQuestion, fit_withdrawal
from aibmd.errors import AibmdError

SPINE = WithdrawalQuestion(primary_sites=("lumbar_spine",), secondary_sites=())
WITHDRAWN, COMPARATOR = SPINE.groups


@pytest.fixture(scope="module")
def complete(hand_made, random_women):
    return fit_withdrawal(hand_made(random_women), SPINE)


@pytest.fixture(scope="module")
def ratios(random_women):
    """Year 10 over year 5 of each woman, by group."""
    ratio = {name: woman["bmd"]["year_10"] / woman["bmd"]["year_5"]
             for name, woman in random_women.items()}  # fmt: skip
    names = {WITHDRAWN: list(ratio)[:14], COMPARATOR: list(ratio)[14:]}
    return {group: np.array([ratio[name] for name in names[group]]) for group in names}


def _row(table, **values):
    rows = table.loc[(table[list(values)] == pd.Series(values)).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("group", [WITHDRAWN, COMPARATOR])
def test_log_model_of_complete_data_is_the_mean_log_ratio(complete, ratios, group):
    row = _row(complete.changes, model="log", group=group)
    logs = {name: np.log(ratio) for name, ratio in ratios.items()}
    pooled = sum(((x - x.mean()) ** 2).sum() for x in logs.values()) / 22
    std_error = np.sqrt(pooled / logs[group].size)
    mean = logs[group].mean()
    q = stats.t.ppf(0.975, 22)
    assert row["estimate"] == pytest.approx(100 * np.expm1(mean), rel=1e-8)
    assert row["std_error"] == pytest.approx(100 * np.exp(mean) * std_error, rel=1e-6)
    assert row["df"] == pytest.approx(22, rel=1e-6)
    assert row["conf_low"] == pytest.approx(100 * np.expm1(mean - q * std_error), rel=1e-6)
    assert row["conf_high"] == pytest.approx(100 * np.expm1(mean + q * std_error), rel=1e-6)


def test_log_difference_of_complete_data_is_the_two_sample_t_test_of_log_ratios(complete, ratios):
    row = _row(complete.differences, model="log")
    test = stats.ttest_ind(np.log(ratios[WITHDRAWN]), np.log(ratios[COMPARATOR]))
    mean = {group: np.log(ratio).mean() for group, ratio in ratios.items()}
    difference = mean[WITHDRAWN] - mean[COMPARATOR]
    points = 100 * (np.exp(mean[WITHDRAWN]) - np.exp(mean[COMPARATOR]))
    assert row["statistic"] == pytest.approx(test.statistic, rel=1e-6)
    assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-6)
    assert row["ratio_of_ratios_pct"] == pytest.approx(100 * np.expm1(difference), rel=1e-6)
    assert row["percentage_points"] == pytest.approx(points, rel=1e-6)


def test_percentage_points_have_delta_method_limits(complete, ratios):
    row = _row(complete.differences, model="log")
    logs = {group: np.log(ratio) for group, ratio in ratios.items()}
    pooled = sum(((x - x.mean()) ** 2).sum() for x in logs.values()) / 22
    variance = sum(np.exp(2 * x.mean()) * pooled / x.size for x in logs.values())
    std_error = 100 * np.sqrt(variance)
    assert row["points_std_error"] == pytest.approx(std_error, rel=1e-6)
    margin = stats.t.ppf(0.975, row["df"]) * std_error
    assert row["points_conf_high"] - row["percentage_points"] == pytest.approx(margin, rel=1e-6)


def test_percent_model_is_the_two_sample_t_test_of_percent_changes(complete, ratios):
    row = _row(complete.differences, model="percent_change")
    test = stats.ttest_ind(100 * (ratios[WITHDRAWN] - 1), 100 * (ratios[COMPARATOR] - 1))
    limits = test.confidence_interval()
    assert row["statistic"] == pytest.approx(test.statistic, rel=1e-6)
    assert row["p_value"] == pytest.approx(test.pvalue, rel=1e-6)
    assert row["df"] == pytest.approx(22, rel=1e-6)
    assert (row["points_conf_low"], row["points_conf_high"]) == pytest.approx(limits, rel=1e-6)
    assert np.isnan(row["ratio_of_ratios_pct"])


def test_percent_model_drops_women_without_year_10_and_the_log_model_keeps_them(
    hand_made, random_women
):
    women = random_women | {"W00": random_women["W00"] | {"seen": ("baseline", "year_3", "year_5")}}
    fits = fit_withdrawal(hand_made(women), SPINE).fits.set_index("model")
    assert fits.loc["log", "n_subjects"] == 24
    assert fits.loc["percent_change", "n_subjects"] == 23


def test_baseline_handling_is_least_squares_with_these_covariates(complete, random_women):
    X = np.array([[1.0, number < 14, w["bmd"]["baseline"], w["bmd"]["year_5"]]
                  for number, w in enumerate(random_women.values())])  # fmt: skip
    y = np.array([100 * (w["bmd"]["year_10"] / w["bmd"]["year_5"] - 1)
                  for w in random_women.values()])  # fmt: skip
    for handling, columns in zip(complete.baseline_handling.itertuples(),
                                 ([0, 1], [0, 1, 3], [0, 1, 2, 3]), strict=True):  # fmt: skip
        beta, rest, *_ = np.linalg.lstsq(X[:, columns], y, rcond=None)
        variance = rest[0] / (24 - len(columns)) * np.linalg.inv(X[:, columns].T @ X[:, columns])
        assert handling.percentage_points == pytest.approx(beta[1], rel=1e-6)
        assert handling.points_std_error == pytest.approx(np.sqrt(variance[1, 1]), rel=1e-6)
        assert handling.df == pytest.approx(24 - len(columns), rel=1e-6)


def test_holm_doubles_the_smaller_primary_p_and_leaves_the_secondary_site_alone(brex_result):
    for _, table in brex_result.differences.groupby("model"):
        p = table.set_index("skeletal_site")["p_value"]
        small, large = sorted((p["lumbar_spine"], p["femoral_neck"]))
        expected = {small: min(1.0, 2 * small), large: min(1.0, max(2 * small, large))}
        adjusted = table.set_index("skeletal_site")["p_holm"]
        for site in ("lumbar_spine", "femoral_neck"):
            assert adjusted[site] == pytest.approx(expected[p[site]], rel=1e-12)
        assert np.isnan(adjusted["total_hip"])
        assert "2 primary" in table["family"].iloc[0]


def test_trajectories_pass_through_zero_at_year_5_and_the_change_at_year_10(brex_result):
    years = brex_result.trajectories
    assert (years.loc[years["visit"] == "year_5", "change_from_year_5_pct"] == 0).all()
    keys = ["skeletal_site", "group"]
    last = years[years["visit"] == "year_10"].set_index(keys)["change_from_year_5_pct"]
    changes = brex_result.changes.query("model == 'log'").set_index(keys)["estimate"]
    pd.testing.assert_series_equal(last, changes, check_names=False, rtol=1e-12)


def test_only_visits_before_year_5_look_back(brex_result):
    years = brex_result.trajectories
    assert set(years.loc[years["retrospective"], "time"]) == {0.0, 1.0, 3.0}
    assert set(years.loc[~years["retrospective"], "time"]) == {5.0, 10.0}


def test_geometric_means_of_complete_data_are_those_of_the_women(complete, random_women):
    row = _row(complete.trajectories, group=WITHDRAWN, visit="year_3")
    logs = [np.log(woman["bmd"]["year_3"]) for woman in list(random_women.values())[:14]]
    assert row["bmd_geometric_mean"] == pytest.approx(np.exp(np.mean(logs)), rel=1e-8)


def test_scans_after_a_recurrence_are_not_used(hand_made, random_women):
    ill = random_women["W20"] | {"recurrence_time": 8.0}
    scanned = fit_withdrawal(hand_made(random_women | {"W20": ill}), SPINE).scanned
    assert _row(scanned, group=COMPARATOR, visit="year_5")["n"] == 10
    assert _row(scanned, group=COMPARATOR, visit="year_10")["n"] == 9


def test_design_truth_is_the_geometric_or_the_arithmetic_mean_of_the_women_analysed(
    hand_made, random_women
):
    draw = np.random.default_rng(1)
    true = {name: (draw.normal(1, 0.1), draw.normal(1, 0.1)) for name in random_women}
    truth = pd.DataFrame(
        [
            {"subject_id": name, "visit": visit, "skeletal_site": "lumbar_spine", "true_bmd": bmd}
            for name, values in true.items()
            for visit, bmd in zip(("year_5", "year_10"), values, strict=True)
        ]
    )
    unseen = random_women["W00"] | {"seen": ("baseline", "year_1", "year_3")}
    changes = fit_withdrawal(hand_made(random_women | {"W00": unseen}, truth), SPINE).changes
    ratio = np.array([b / a for name, (a, b) in true.items() if "W01" <= name <= "W13"])
    log = _row(changes, model="log", group=WITHDRAWN)["design_truth"]
    percent = _row(changes, model="percent_change", group=WITHDRAWN)["design_truth"]
    assert log == pytest.approx(100 * (stats.gmean(ratio) - 1), rel=1e-10)
    assert percent == pytest.approx(100 * (ratio.mean() - 1), rel=1e-10)


def test_read_data_have_no_design_truth_and_nothing_published(complete):
    assert complete.changes[["published", "design_truth"]].isna().all(axis=None)


def test_published_values_stand_beside_the_estimates_and_move_none(hand_made, random_women):
    cohort = hand_made(random_women)
    published = pd.DataFrame(
        {"skeletal_site": ["lumbar_spine"], "group": [WITHDRAWN], "published": [99.0]}
    )
    without = fit_withdrawal(cohort, SPINE).changes
    beside = fit_withdrawal(cohort, SPINE, published=published).changes
    assert beside["published"].tolist()[::2] == [99.0, 99.0]
    assert beside["published"].isna().tolist()[1::2] == [True, True]
    pd.testing.assert_frame_equal(
        without.drop(columns="published"), beside.drop(columns="published")
    )


def test_order_of_rows_moves_nothing(hand_made, random_women):
    cohort = hand_made(random_women)
    shuffled = Cohort.from_long(cohort.to_frame().sample(frac=1.0, random_state=3))
    pd.testing.assert_frame_equal(
        fit_withdrawal(cohort, SPINE).differences, fit_withdrawal(shuffled, SPINE).differences
    )


def test_a_group_without_women_is_an_error_that_says_where_to_look(hand_made):
    cohort = hand_made({f"c{number}": {} for number in range(5)})
    with pytest.raises(AibmdError, match=r"0 women of the group 'AI withdrawn'.*tabulate_flow"):
        fit_withdrawal(cohort, SPINE)
