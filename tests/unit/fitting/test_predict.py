"""Predictions of rows: means, their limits, and limits for one new observation."""

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import stats
from statsmodels.api import OLS

import aibmd
from aibmd.errors import AibmdError


@pytest.fixture(scope="module")
def trial():
    return make_trial(13, 40, 3)


@pytest.fixture(scope="module")
def found(trial):
    return fit("y ~ arm * visit + base", trial)


def test_without_new_rows_the_means_are_the_fitted_values(found, trial):
    table = aibmd.predict(found)
    np.testing.assert_allclose(table["estimate"], found.fittedvalues, rtol=1e-12)
    assert table.index.equals(trial.index)


def test_a_mean_is_a_linear_function_with_its_t_limits(found, trial):
    rows = trial.iloc[[3, 10]].set_axis(["first", "second"])
    table = aibmd.predict(found, rows, interval="confidence", conf_level=0.9)
    L = found.coding.code(rows)
    se = np.sqrt(np.diag(L @ found.cov_params().to_numpy() @ L.T))
    df = found.inference.compute_df(L)
    np.testing.assert_allclose(table["estimate"], L @ found.params)
    np.testing.assert_allclose(table["std_error"], se)
    np.testing.assert_allclose(table["conf_high"], L @ found.params + stats.t.ppf(0.95, df) * se)
    assert table.index.tolist() == ["first", "second"]


def test_at_one_visit_intervals_are_those_of_least_squares(trial):
    one = trial[trial["visit"] == "v1"]
    found = fit("y ~ arm + base", one, df_method="residual")
    X = np.column_stack([np.ones(len(one)), one["arm"] == "b", one["base"]])
    want = OLS(one["y"].to_numpy(), X).fit().get_prediction(X).summary_frame(alpha=0.05)
    mean = aibmd.predict(found, one, interval="confidence")
    new = aibmd.predict(found, one, interval="prediction")
    np.testing.assert_allclose(mean["conf_low"], want["mean_ci_lower"], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(new["conf_low"], want["obs_ci_lower"], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(new["conf_high"], want["obs_ci_upper"], rtol=1e-7, atol=1e-8)


def test_at_one_visit_satterthwaite_df_of_a_new_observation_are_exact(trial):
    """Var = s2 (1 + x'(X'X)^-1 x) is one variance: df n - p whatever the row."""
    one = trial[trial["visit"] == "v1"]
    new = aibmd.predict(fit("y ~ arm + base", one), one, interval="prediction")
    np.testing.assert_allclose(new["df"], len(one) - 3, rtol=1e-6)


def test_a_new_observation_adds_the_variance_of_its_visit(found, trial):
    rows = trial[["arm", "visit", "base"]].head(6)
    mean = aibmd.predict(found, rows, interval="confidence")
    new = aibmd.predict(found, rows, interval="prediction")
    own = np.diag(found.covariance)[[found.visits.index(v) for v in rows["visit"]]]
    np.testing.assert_allclose(new["std_error"] ** 2, mean["std_error"] ** 2 + own)
    np.testing.assert_allclose(new["estimate"], mean["estimate"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"arm": ["z"], "visit": ["v1"], "base": [0.0]}, "'z' was not seen"),
        ({"arm": ["a"], "visit": ["v9"], "base": [0.0]}, "'v9' was not seen"),
        ({"arm": ["a"], "visit": ["v1"]}, "no column 'base'"),
        ({"arm": ["a"], "visit": ["v1"], "base": [np.nan]}, "missing values"),
        ({"arm": ["a"], "visit": ["v1"], "base": ["low"]}, "base"),
        ({"arm": ["a"], "visit": ["v1"], "base": [np.inf]}, "base"),
    ],
)
def test_rows_that_cannot_be_predicted_are_refused(found, rows, message):
    with pytest.raises(AibmdError, match=message):
        aibmd.predict(found, pd.DataFrame(rows))


def test_what_is_not_a_table_is_refused(found):
    with pytest.raises(AibmdError, match="DataFrame"):
        aibmd.predict(found, {"arm": ["a"], "visit": ["v1"], "base": [0.0]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "blup"}, "available: 'marginal', 'random_effects', 'observed_visits'"),
        ({"kind": "random_effects"}, "no random effects; use fit_lmm"),
        ({"interval": "tolerance"}, "not None, 'confidence' or 'prediction'"),
    ],
)
def test_options_that_are_not_there_are_refused(found, options, message):
    with pytest.raises(AibmdError, match=message):
        aibmd.predict(found, **options)


def test_a_new_observation_needs_a_visit_of_the_fit(trial):
    found = fit("y ~ base", trial)
    rows = pd.DataFrame({"base": [0.0]})
    with pytest.raises(AibmdError, match="needs the visit column 'visit'"):
        aibmd.predict(found, rows, interval="prediction")
    with pytest.raises(AibmdError, match="'v7' was not seen by the fit: v1, v2, v3"):
        aibmd.predict(found, rows.assign(visit="v7"), interval="prediction")


def test_numeric_visits_are_found_as_numbers(trial):
    numbered = trial.assign(visit=trial["visit"].str[1:].astype(int))
    found = fit("y ~ C(visit)", numbered)
    whole = aibmd.predict(found, pd.DataFrame({"visit": [1, 3]}), interval="prediction")
    floating = aibmd.predict(found, pd.DataFrame({"visit": [1.0, 3.0]}), interval="prediction")
    pd.testing.assert_frame_equal(whole, floating)


@pytest.fixture(scope="module")
def slopes(trial):
    """Times that have no short decimal form."""
    table = trial.assign(time=trial["visit"].str[1:].astype(float) / 3)
    level, slope = np.random.default_rng(5).normal(size=(2, 40))
    table["y"] += 2 * level[table["who"]] + 12 * slope[table["who"]] * table["time"]
    return aibmd.fit_lmm("y ~ arm * time + base", table, subject="who", random="1 + time")


def rows_of_one(slopes, **changes):
    table = slopes.augment()
    complete = table["who"].value_counts(sort=False).eq(3).idxmax()
    return table[table["who"] == complete].set_axis(list("ABC")).assign(**changes)


def test_a_row_that_contradicts_its_woman_is_told_by_row_and_column(slopes):
    own = rows_of_one(slopes)
    other = "b" if own["arm"].iloc[0] == "a" else "a"
    new = own.assign(arm=[own["arm"].iloc[0], other, other])
    message = rf"row 'B' of newdata has arm = {other}, but who {own['who'].iloc[0]} has .*2 rows"
    with pytest.warns(aibmd.DataWarning, match=message) as caught:
        got = aibmd.predict(slopes, new, kind="random_effects")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    # What is warned of is still answered: her b-hat beside the mean of the other arm.
    marginal = aibmd.predict(slopes, new)["estimate"]
    kept = aibmd.predict(slopes, own, kind="random_effects")["estimate"]
    np.testing.assert_allclose(
        got["estimate"] - marginal, kept - aibmd.predict(slopes, own)["estimate"], atol=1e-9
    )


def test_a_contradicting_number_is_told_without_rounding(slopes):
    own = rows_of_one(slopes)
    base = np.nextafter(own["base"].iloc[0], np.inf)
    with pytest.warns(aibmd.DataWarning, match=f"row 'A' of newdata has base = {base}, but"):
        aibmd.predict(slopes, own.assign(base=base), kind="random_effects")


def test_time_beyond_the_fit_is_told_once(slopes):
    own = rows_of_one(slopes, time=[1.0, np.nextafter(1.0, 2.0), 7.0])
    limits = r"beyond the time of the fit, 0\.333.* to 1\.0, in 2 rows"
    message = limits + r" \(first: row 'B', time = 1\.0000000000000002\)"
    with pytest.warns(aibmd.DataWarning, match=message) as caught:
        aibmd.predict(slopes, own, kind="random_effects", interval="prediction")
    assert len(caught) == 1


def test_rows_that_agree_rows_of_strangers_and_means_are_not_warned_of(slopes):
    """Any warning fails a test here."""
    own = rows_of_one(slopes)
    aibmd.predict(slopes, own.assign(arm=own["arm"].astype(str)), kind="random_effects")
    aibmd.predict(slopes, own.assign(who=999, base=0.1234), kind="random_effects")
    aibmd.predict(slopes, own.assign(base=0.1234, time=9.0))
