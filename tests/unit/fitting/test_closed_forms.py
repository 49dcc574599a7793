"""Fits whose answer is an exact test: t tests, analysis of covariance, Welch's problem."""

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import stats
from statsmodels.api import OLS

import aibmd

DF_METHODS = ["kenward_roger", "satterthwaite"]
both = pytest.mark.parametrize("df_method", DF_METHODS)


@pytest.fixture(scope="module")
def complete():
    return make_trial(6, 26, 4, gaps=0.0)


@pytest.fixture(scope="module")
def wide(complete):
    return complete.pivot_table(index="who", columns="visit", values="y")


@both
def test_two_visits_are_the_paired_t_test(df_method, complete, wide):
    two = complete[complete["visit"].isin(["v1", "v2"])]
    found = fit("y ~ visit", two, df_method=df_method)
    want = stats.ttest_rel(wide["v2"], wide["v1"])
    term = "visit[T.v2]"
    assert found.tvalues[term] == pytest.approx(want.statistic, rel=1e-7)
    assert found.df[term] == pytest.approx(25, rel=1e-6)
    assert found.pvalues[term] == pytest.approx(want.pvalue, rel=1e-6)
    limits = want.confidence_interval(0.9)
    np.testing.assert_allclose(found.conf_int(alpha=0.1).loc[term], limits, rtol=1e-6)


@both
@pytest.mark.parametrize("visit", ["v1", "v2", "v3", "v4"])
def test_balanced_groups_at_one_visit_are_the_t_test(df_method, visit, complete, wide):
    """A saturated unstructured model of complete data says of a visit what its t test says."""
    found = fit("y ~ 0 + visit + arm:visit", complete, df_method=df_method)
    arm = complete.groupby("who")["arm"].first()
    want = stats.ttest_ind(wide.loc[arm == "b", visit], wide.loc[arm == "a", visit])
    L = pd.DataFrame({f"arm[T.b]:visit[{visit}]": [1.0]})
    if L.columns[0] not in found.params.index:
        L = pd.DataFrame({f"visit[{visit}]:arm[T.b]": [1.0]})
    test = aibmd.wald_test(found, L).iloc[0]
    assert test["df_denom"] == pytest.approx(24, rel=1e-6)
    assert test["statistic"] == pytest.approx(want.statistic**2, rel=1e-6)
    assert test["p_value"] == pytest.approx(want.pvalue, rel=1e-6)


@both
def test_a_change_from_first_visit_by_arm_is_the_t_test_of_changes(df_method, complete, wide):
    found = fit("y ~ arm * visit", complete, df_method=df_method)
    arm = complete.groupby("who")["arm"].first()
    change = wide["v4"] - wide["v1"]
    want = stats.ttest_ind(change[arm == "b"], change[arm == "a"])
    term = "arm[T.b]:visit[T.v4]"
    assert found.df[term] == pytest.approx(24, rel=1e-6)
    assert found.tvalues[term] == pytest.approx(want.statistic, rel=1e-7)


@pytest.mark.parametrize("covariance", ["un", "cs"])
@both
def test_one_visit_is_ordinary_least_squares(df_method, covariance, complete):
    one = complete[complete["visit"] == "v3"]
    found = fit("y ~ arm + base", one, covariance=covariance, df_method=df_method)
    X = np.column_stack([np.ones(26), one["arm"] == "b", one["base"]])
    want = OLS(one["y"].to_numpy(), X).fit()
    np.testing.assert_allclose(found.params, want.params, rtol=1e-9)
    np.testing.assert_allclose(found.bse, want.bse, rtol=1e-7)
    np.testing.assert_allclose(found.df, want.df_resid, rtol=1e-6)
    np.testing.assert_allclose(found.pvalues, want.pvalues, rtol=1e-6)


def test_one_visit_by_maximum_likelihood_has_the_ml_likelihood(complete):
    one = complete[complete["visit"] == "v3"]
    found = fit("y ~ arm + base", one, method="ml")
    X = np.column_stack([np.ones(26), one["arm"] == "b", one["base"]])
    assert found.llf == pytest.approx(OLS(one["y"].to_numpy(), X).fit().llf, abs=1e-9)
    assert found.aic == pytest.approx(-2 * found.llf + 2)
    assert found.bic == pytest.approx(-2 * found.llf + np.log(26))


@both
def test_visits_without_overlap_are_welch_test(df_method):
    """Nobody has both visits: two variances, two samples, Welch's df up to their estimation."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {"who": range(40), "visit": ["v1"] * 15 + ["v2"] * 25, "y": rng.normal(size=40)}
    )
    table.loc[table["visit"] == "v2", "y"] *= 3
    with pytest.warns(UserWarning, match="no subject has both visits of: v1 with v2"):
        found = fit("y ~ visit", table, df_method=df_method)
    first, second = table.loc[:14, "y"], table.loc[15:, "y"]
    want = stats.ttest_ind(second, first, equal_var=False)
    assert found.df["visit[T.v2]"] == pytest.approx(want.df, rel=1e-6)
    assert found.tvalues["visit[T.v2]"] == pytest.approx(want.statistic, rel=1e-6)


@both
def test_balanced_compound_symmetry_is_the_split_plot_analysis_of_variance(
    df_method, complete, wide
):
    found = aibmd.anova(fit("y ~ arm * visit", complete, covariance="cs", df_method=df_method))
    n, m, groups = 26, 4, 2
    arm = complete.groupby("who")["arm"].first()
    cells = wide.groupby(arm).transform("mean")
    subject = wide.sub(cells).mean(axis=1)
    within = (wide.sub(cells).sub(subject, axis=0) ** 2).to_numpy().sum()
    between = m * (subject**2).sum()
    error = {"arm": between / (n - groups), "visit": within / ((n - groups) * (m - 1))}
    means = wide.groupby(arm).mean()
    visit = means.mean()
    arm_effect = means.mean(axis=1)
    sums = {
        "arm": n * m / 2 * ((arm_effect - arm_effect.mean()) ** 2).sum(),
        "visit": n * ((visit - visit.mean()) ** 2).sum() / (m - 1),
        "arm:visit": n
        / 2
        * (means.sub(visit).sub(arm_effect, axis=0).add(visit.mean()) ** 2).to_numpy().sum()
        / (m - 1),
    }
    for row in found.itertuples():
        stratum = "arm" if row.term == "arm" else "visit"
        assert row.statistic == pytest.approx(sums[row.term] / error[stratum], rel=1e-6)
        want_df = n - groups if row.term == "arm" else (n - groups) * (m - 1)
        assert row.df_denom == pytest.approx(want_df, rel=1e-6)
