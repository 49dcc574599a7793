"""A fit is a value: it cannot change, and what it prints is what it holds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial

import aibmd


@pytest.fixture(scope="module")
def trial():
    table = make_trial(2)
    table.index = [f"row {i}" for i in range(len(table))]
    table.loc["row 3", "y"] = np.nan
    return table


@pytest.fixture(scope="module")
def found(trial):
    return fit("y ~ arm * visit + base", trial)


def arrays(value, path="fit"):
    """Every array that can be reached through dataclasses and tuples."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from arrays(getattr(value, part.name), f"{path}.{part.name}")
    elif isinstance(value, tuple):
        for i, part in enumerate(value):
            yield from arrays(part, f"{path}[{i}]")


def test_no_array_of_a_fit_can_be_written(found):
    assert [path for path, array in arrays(found) if array.flags.writeable] == []


@pytest.mark.parametrize("name", ["params", "spec", "llf", "note"])
def test_no_attribute_of_a_fit_can_be_set(found, name):
    with pytest.raises((AttributeError, TypeError)):
        setattr(found, name, 1)


def test_tables_that_a_fit_hands_out_are_copies(found):
    for name in ("covariance", "params", "bse", "fittedvalues"):
        before = getattr(found, name).copy()
        given = getattr(found, name)
        given.iloc[0] = 99.0
        assert getattr(found, name).equals(before)
    found.dropped_rows["made up"] = 1
    assert "made up" not in found.dropped_rows


def test_changing_the_table_afterwards_does_not_reach_the_fit(trial):
    table = trial.copy()
    made = fit("y ~ arm * visit + base", table)
    tests, predicted, resid = aibmd.anova(made), aibmd.predict(made), made.resid
    table.loc[:, "base"] = 99.0
    table.loc[:, "y"] = -5.0
    table.iloc[0, table.columns.get_loc("base")] = 1e6
    pd.testing.assert_frame_equal(aibmd.anova(made), tests)
    pd.testing.assert_frame_equal(aibmd.predict(made), predicted)
    pd.testing.assert_series_equal(made.resid, resid)


def test_the_table_passed_in_is_not_changed(trial):
    before = trial.copy(deep=True)
    made = fit("y ~ arm * visit + base", trial)
    aibmd.anova(made)
    aibmd.predict(made, interval="prediction")
    made.summary()
    pd.testing.assert_frame_equal(trial, before)


def test_fitting_twice_gives_the_same_bits(trial, found):
    again = fit("y ~ arm * visit + base", trial)
    assert again.llf == found.llf
    for name in ("params", "bse", "df", "pvalues"):
        assert getattr(again, name).equals(getattr(found, name))
    assert again.covariance.equals(found.covariance)
    assert again.summary() == found.summary()


def test_rows_keep_the_index_they_came_with(trial, found):
    want = [label for label in trial.index if label != "row 3"]
    assert found.fittedvalues.index.tolist() == want
    assert found.resid.index.tolist() == want
    assert found.augment().index.tolist() == want
    assert found.dropped_rows == {"missing response y": 1}
    np.testing.assert_allclose(
        found.resid + found.fittedvalues, trial.loc[want, "y"], rtol=1e-12, atol=1e-12
    )
    assert found.augment()["visit"].tolist() == trial.loc[want, "visit"].tolist()
    assert found.augment()["who"].tolist() == trial.loc[want, "who"].tolist()


def test_fitted_values_are_x_beta(trial, found):
    row = trial.loc["row 0"]
    b = found.params
    by_hand = b["Intercept"] + b["base"] * row["base"]
    for term in ("arm", "visit"):
        by_hand += b.get(f"{term}[T.{row[term]}]", 0.0)
    by_hand += b.get(f"arm[T.{row['arm']}]:visit[T.{row['visit']}]", 0.0)
    assert found.fittedvalues["row 0"] == pytest.approx(by_hand, rel=1e-12)


def test_the_columns_of_tidy_follow_from_each_other(found):
    from scipy import stats

    table = found.tidy(conf_level=0.9)
    assert table.columns.tolist() == [
        "term", "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high",
    ]  # fmt: skip
    np.testing.assert_allclose(table["statistic"], table["estimate"] / table["std_error"])
    np.testing.assert_allclose(
        table["p_value"], 2 * stats.t.sf(table["statistic"].abs(), table["df"]), rtol=1e-9
    )
    margin = stats.t.ppf(0.95, table["df"]) * table["std_error"]
    np.testing.assert_allclose(table["conf_high"], table["estimate"] + margin, rtol=1e-9)
    np.testing.assert_allclose(table["conf_low"], table["estimate"] - margin, rtol=1e-9)
    np.testing.assert_allclose(found.bse**2, np.diag(found.cov_params()))


def test_information_criteria_count_covariance_parameters_and_subjects(found):
    assert found.n_covariance_parameters == 6
    assert found.aic == pytest.approx(-2 * found.llf + 12)
    assert found.bic == pytest.approx(-2 * found.llf + 6 * np.log(found.n_subjects))


def test_the_summary_prints_what_was_used(trial, found):
    text = found.summary()
    for words in (
        "y ~ arm * visit + base",
        "un (unstructured) over visit within who",
        "Kenward-Roger (1997, first order), observed information",
        f"{found.n_obs} of {len(trial)} from {found.n_subjects} subjects",
        "left out      1 row: missing response y",
        "certified maximum",
        "6 covariance parameters counted",
    ):
        assert words in text


@pytest.mark.parametrize("level", [0, 1, 95, -0.5, np.nan])
def test_a_level_that_is_not_between_zero_and_one_is_refused(found, level):
    for call in (
        lambda: found.conf_int(alpha=level),
        lambda: found.tidy(conf_level=level),
        lambda: aibmd.predict(found, interval="confidence", conf_level=level),
    ):
        with pytest.raises(aibmd.AibmdError, match="between 0 and 1"):
            call()
