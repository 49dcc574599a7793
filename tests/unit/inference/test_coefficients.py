"""Choice of df method, joint tests and tails."""

import numpy as np
import pytest
from made_trials import fit, make_trial
from scipy import stats

import aibmd
from aibmd.errors import AibmdError
from aibmd.inference import compute_t_p_value
from aibmd.inference.distributions import compute_f_p_value
from aibmd.inference.options import choose_df_method


@pytest.fixture(scope="module")
def trial():
    return make_trial(11, 40, 3, gaps=0.2)


def test_each_criterion_has_its_default():
    assert choose_df_method(None, "reml") == "kenward_roger"
    assert choose_df_method(None, "ml") == "satterthwaite"
    for vcov in ("CR0", "CR2", "CR3"):
        assert choose_df_method(None, "reml", vcov) == "satterthwaite"


def test_maximum_likelihood_refuses_kenward_roger_before_fitting(trial):
    with pytest.raises(AibmdError, match="no meaning after method='ml'; use method='reml'"):
        fit("y ~ visit", trial, method="ml", df_method="kenward_roger")


@pytest.mark.parametrize("name", ["kenward_roger", "kenward_roger_second_order"])
@pytest.mark.parametrize("vcov", ["CR0", "CR2", "CR3"])
def test_kenward_roger_and_a_sandwich_are_never_combined(name, vcov, trial):
    with pytest.raises(AibmdError, match=r"corrects the model-based covariance.*Bell-McCaffrey"):
        fit("y ~ visit", trial, df_method=name, vcov=vcov)


@pytest.mark.parametrize("name", ["between-within", "KR", ""])
def test_a_df_method_that_is_not_there_is_refused_with_the_list(name, trial):
    with pytest.raises(
        AibmdError, match=r"not available; available: kenward_roger, kenward_r.*, normal"
    ):
        fit("y ~ visit", trial, df_method=name)


def test_normal_is_the_limit_of_infinite_df(trial):
    found = fit("y ~ arm * visit", trial, df_method="normal")
    t = found.tvalues.to_numpy()
    assert np.isinf(found.df).all()
    np.testing.assert_allclose(found.pvalues, 2 * stats.norm.sf(abs(t)), rtol=1e-10)
    np.testing.assert_allclose(
        found.conf_int()["conf_high"] - found.params,
        stats.norm.ppf(0.975) * found.bse,
        rtol=1e-9,
    )
    test = aibmd.anova(found).iloc[1]
    assert np.isinf(test["df_denom"])
    chi_square = test["df_num"] * test["statistic"]
    assert test["p_value"] == pytest.approx(stats.chi2.sf(chi_square, test["df_num"]), rel=1e-10)


def test_residual_df_are_rows_minus_columns_kept(trial):
    trial = trial.assign(again=trial["base"])
    with pytest.warns(UserWarning, match="dropped: again"):
        found = fit("y ~ visit + base + again", trial, df_method="residual")
    assert (found.df == len(trial) - 4).all()
    assert aibmd.anova(found)["df_denom"].eq(len(trial) - 4).all()


def test_small_p_values_keep_their_digits():
    t = np.array([40.0, -40.0, 3.0])
    df = np.array([30.0, 30.0, np.inf])
    want = [2 * stats.t.sf(40, 30)] * 2 + [2 * stats.norm.sf(3)]
    np.testing.assert_allclose(compute_t_p_value(t, df), want, rtol=1e-10)
    assert 0 < want[0] < 1e-25
    assert compute_f_p_value(400.0, 3, 50.0) == pytest.approx(stats.f.sf(400, 3, 50), rel=1e-9)


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward_roger", "residual", "normal"])
def test_one_row_f_is_the_square_of_t(df_method, trial):
    found = fit("y ~ arm * visit", trial, df_method=df_method)
    for i in range(len(found.params)):
        test = aibmd.wald_test(found, np.eye(len(found.params))[i]).iloc[0]
        assert test["statistic"] == pytest.approx(found.tvalues.iloc[i] ** 2)
        assert test["df_denom"] == pytest.approx(found.df.iloc[i])
        assert test["p_value"] == pytest.approx(found.pvalues.iloc[i], rel=1e-8)


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward_roger", "residual", "normal"])
def test_repeated_rows_of_a_hypothesis_count_once(df_method, trial):
    found = fit("y ~ arm * visit", trial, df_method=df_method)
    L = np.eye(len(found.params))[[2, 3]]
    twice = np.vstack([L, L[0] - 2 * L[1]])
    first, second = aibmd.wald_test(found, L), aibmd.wald_test(found, twice)
    assert second["df_num"].item() == 2
    assert second["statistic"].item() == pytest.approx(first["statistic"].item())


def test_a_row_counts_whatever_its_scale(trial):
    found = fit("y ~ arm * visit", trial, df_method="residual")
    L = np.eye(len(found.params))[[1, 2]]
    first, second = aibmd.wald_test(found, L), aibmd.wald_test(found, L * [[1.0], [1e-10]])
    np.testing.assert_allclose(second.to_numpy(), first.to_numpy(), rtol=1e-8)


def test_the_moving_parts_of_a_linear_function_are_those_of_its_definition(trial):
    found = fit("y ~ arm * visit", trial)
    L = np.random.default_rng(1).normal(size=(2, len(found.params)))
    linear = found.inference.infer(L)
    np.testing.assert_allclose(linear.estimate, L @ found.params)
    np.testing.assert_allclose(linear.vcov, L @ found.cov_params().to_numpy() @ L.T)
