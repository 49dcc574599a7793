import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aibmd.errors import AibmdError
from aibmd.means import back_transform, contrast, emmeans, percentage_point_difference


@pytest.fixture(scope="module")
def bmd():
    rng = np.random.default_rng(20)
    group = np.repeat(["stopped", "continued"], 30)
    change = np.where(group == "stopped", 0.026, -0.013) + rng.normal(0, 0.04, 60)
    year5 = np.exp(rng.normal(0, 0.1, 60))
    return pd.DataFrame(
        {"group": group, "bmd": year5 * np.exp(change), "bmd_log_change": change, "g": year5}
    )


@pytest.fixture(scope="module")
def changes(ols, bmd):
    return emmeans(ols("bmd_log_change ~ group", bmd), "group")


def test_percent_is_of_the_geometric_mean_and_limits_are_transformed_t_limits(changes, bmd):
    found = back_transform(changes).to_frame().set_index("group")
    pooled = bmd.groupby("group")["bmd_log_change"].var().mean()
    for group, values in bmd.groupby("group")["bmd_log_change"]:
        mean, se = values.mean(), np.sqrt(pooled / 30)
        margin = stats.t.ppf(0.975, 58) * se
        row = found.loc[group]
        assert row["estimate"] == pytest.approx(100 * (stats.gmean(np.exp(values)) - 1), rel=1e-9)
        assert row["std_error"] == pytest.approx(100 * np.exp(mean) * se, rel=1e-9)
        assert row["conf_low"] == pytest.approx(100 * (np.exp(mean - margin) - 1), rel=1e-9)
        assert row["conf_high"] == pytest.approx(100 * (np.exp(mean + margin) - 1), rel=1e-9)


def test_df_statistic_and_p_value_stay_those_of_the_log_scale(changes):
    kept = ["df", "statistic", "p_value"]
    percent = back_transform(changes).to_frame()[kept]
    pd.testing.assert_frame_equal(percent, changes.to_frame()[kept])
    assert changes.scale == "identity"


def test_a_difference_in_percentage_points_is_by_the_delta_method(changes, bmd):
    found = percentage_point_difference(changes, "revpairwise").iloc[0]
    groups = bmd.groupby("group")["bmd_log_change"]
    a, b = groups.mean()["stopped"], groups.mean()["continued"]
    variance = groups.var().mean() / 30
    se = 100 * np.sqrt(variance * (np.exp(2 * a) + np.exp(2 * b)))
    assert found["contrast"] == "stopped - continued"
    assert found["unit"] == "percentage points"
    assert found["estimate"] == pytest.approx(100 * (np.exp(a) - np.exp(b)), rel=1e-9)
    assert found["std_error"] == pytest.approx(se, rel=1e-9)
    assert found["df"] == 58
    margin = stats.t.ppf(0.975, 58) * se
    assert found["conf_high"] - found["estimate"] == pytest.approx(margin, rel=1e-9)
    assert found["p_value"] == pytest.approx(2 * stats.t.sf(found["estimate"] / se, 58), rel=1e-6)


def test_percentage_points_are_the_difference_of_the_percents(changes):
    percents = back_transform(changes).to_frame().set_index("group")["estimate"]
    found = percentage_point_difference(changes, "pairwise")["estimate"][0]
    assert found == pytest.approx(percents["continued"] - percents["stopped"], rel=1e-9)


def test_a_difference_of_changes_is_labelled_a_ratio_of_ratios(changes):
    text = back_transform(contrast(changes)).summary()
    assert "ratio of ratios, not a difference in percentage points" in text


def test_changes_between_visits_of_log_bmd_may_be_compared_in_percentage_points(ols, bmd):
    long = pd.concat(
        [bmd.assign(visit="y5", value=bmd["g"]), bmd.assign(visit="y9", value=bmd["bmd"])]
    )
    means = emmeans(ols("log(value) ~ group * visit", long.reset_index()), "visit", "group")
    change = contrast(means, "consecutive")
    percents = back_transform(change).to_frame().set_index("group")["estimate"]
    found = percentage_point_difference(change, "revpairwise", by="contrast")
    assert list(found.columns[:3]) == ["contrast1", "contrast", "unit"]
    assert found["estimate"][0] == pytest.approx(
        percents["stopped"] - percents["continued"], rel=1e-9
    )
    with pytest.raises(AibmdError, match="not changes"):
        percentage_point_difference(means)


def test_what_is_percent_already_is_refused(changes):
    percent = back_transform(changes)
    with pytest.raises(AibmdError, match="percent already"):
        back_transform(percent)
    with pytest.raises(AibmdError, match="first, then back_transform"):
        contrast(percent)
    with pytest.raises(AibmdError, match="log-scale"):
        percentage_point_difference(percent)
    with pytest.raises(AibmdError, match="available: 'percent'"):
        back_transform(changes, "ratio")


@pytest.mark.parametrize("response", ["g", "log2(bmd)", "log10(bmd)", "sqrt(bmd)"])
def test_a_response_that_is_no_natural_log_has_no_percent(ols, bmd, response):
    means = emmeans(ols(f"{response} ~ group", bmd), "group")
    with pytest.raises(AibmdError, match="natural log"):
        back_transform(means)
    with pytest.raises(AibmdError, match="natural log"):
        percentage_point_difference(means)
    assert back_transform(means, assume_log=True).scale == "percent"


@pytest.mark.parametrize("name", ["log_bmd", "ln_bmd", "logbmd", "BMD.log", "bmd_log_change"])
def test_a_column_named_as_a_log_is_taken_as_one(ols, bmd, name):
    data = bmd.assign(**{name: bmd["bmd_log_change"]})
    means = emmeans(ols(f"`{name}` ~ group", data), "group")
    assert back_transform(means).scale == "percent"


def test_means_of_a_logged_level_are_said_to_be_no_changes(ols, bmd):
    means = emmeans(ols("log(bmd) ~ group", bmd), "group")
    assert "not changes" in back_transform(means).summary()
    assert "not changes" not in back_transform(contrast(means)).summary()


def test_what_is_not_estimable_has_no_percentage_points(ols, empty_cell):
    data = empty_cell.assign(log_change=np.log(empty_cell["y"] / 20))
    means = emmeans(ols("log_change ~ region * dose + visit", data), "dose", "region")
    found = percentage_point_difference(means)
    expected = contrast(means).to_frame()["estimate"].isna()
    assert list(found["estimate"].isna()) == list(expected)
    assert expected.sum() == 2
