"""Kenward-Roger where it is known to be exact, and where it must equal Satterthwaite."""

import numpy as np
import pytest
from made_trials import fit, make_trial
from scipy import stats

import aibmd
from aibmd.inference.kenward_roger import compute_f_scaling


@pytest.mark.parametrize("nu", [3.0, 7.5, 200.0])
def test_one_df_has_no_scaling_and_the_df_of_satterthwaite(nu):
    variance = 1.7
    found = compute_f_scaling(
        np.array([[1.0]]),
        np.array([[variance]]),
        np.array([[[1.0]]]),
        np.array([[2 * variance**2 / nu]]),
    )
    assert found.scaling == pytest.approx(1.0, rel=1e-10)
    assert found.df_denom == pytest.approx(nu, rel=1e-10)


@pytest.mark.parametrize("q", [2, 3, 5])
@pytest.mark.parametrize("nu", [11.0, 40.0])
def test_one_variance_for_all_is_the_exact_f_test(q, nu):
    """Sigma = s2 C with C known: F is exact on (q, nu), so lambda = 1."""
    s2 = 0.8
    C = np.eye(q) + 0.2
    found = compute_f_scaling(np.eye(q), s2 * C, C[None], np.array([[2 * s2**2 / nu]]))
    assert found.scaling == pytest.approx(1.0, rel=1e-9)
    assert found.df_denom == pytest.approx(nu, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(12, 3), (15, 4), (20, 2), (9, 5)])
def test_complete_data_give_hotelling_t_squared(n, m):
    """Kenward and Roger built the method to be exact here: F (q, n - q) and its scaling."""
    trial = make_trial(n, n, m, gaps=0.0)
    test = aibmd.anova(fit("y ~ visit", trial)).iloc[0]
    wide = trial.pivot(index="who", columns="visit", values="y").to_numpy()
    change = wide[:, 1:] - wide[:, :1]
    q = m - 1
    mean, spread = change.mean(axis=0), np.cov(change.T).reshape(q, q)
    t2 = n * mean @ np.linalg.solve(spread, mean)
    F = t2 * (n - q) / (q * (n - 1))
    assert test["df_num"] == q
    assert test["df_denom"] == pytest.approx(n - q, rel=1e-6)
    assert test["statistic"] == pytest.approx(F, rel=1e-6)
    assert test["p_value"] == pytest.approx(stats.f.sf(F, q, n - q), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(4, 3), (5, 4), (6, 5)])
def test_hotelling_on_two_df_is_met_although_the_formula_is_zero_over_zero(n, m):
    trial = make_trial(n, n, m, gaps=0.0)
    test = aibmd.anova(fit("y ~ visit", trial)).iloc[0]
    wide = trial.pivot(index="who", columns="visit", values="y").to_numpy()
    change = wide[:, 1:] - wide[:, :1]
    mean = change.mean(axis=0)
    t2 = n * mean @ np.linalg.solve(np.cov(change.T), mean)
    assert test["df_denom"] == pytest.approx(2.0, rel=1e-3)
    assert test["statistic"] == pytest.approx(t2 * 2 / ((m - 1) * (n - 1)), rel=1e-2)


def test_one_df_tests_differ_from_satterthwaite_in_the_standard_error_alone():
    trial = make_trial(3, 30, 3, gaps=0.25)
    adjusted = fit("y ~ arm * visit + x", trial)
    plain = fit("y ~ arm * visit + x", trial, df_method="satterthwaite")
    np.testing.assert_allclose(adjusted.df, plain.df, rtol=1e-12)
    np.testing.assert_allclose(adjusted.params, plain.params, rtol=1e-12)
    assert (adjusted.bse > plain.bse).all()
    one = np.zeros((1, len(plain.params)))
    one[0, 2:4] = 1, -1
    first, second = aibmd.wald_test(adjusted, one).iloc[0], aibmd.wald_test(plain, one).iloc[0]
    assert first["df_denom"] == pytest.approx(second["df_denom"])
    variances = [one[0] @ f.cov_params().to_numpy() @ one[0] for f in (adjusted, plain)]
    ratio = second["statistic"] / first["statistic"]
    assert ratio == pytest.approx(variances[0] / variances[1])


def test_the_joint_test_does_not_depend_on_the_basis_of_its_hypothesis():
    trial = make_trial(3, 30, 4, gaps=0.25)
    found = fit("y ~ arm * visit", trial)
    L = np.eye(8)[1:5]
    turn = np.random.default_rng(1).normal(size=(4, 4))
    first, second = aibmd.wald_test(found, L), aibmd.wald_test(found, turn @ L)
    np.testing.assert_allclose(second.to_numpy(), first.to_numpy(), rtol=1e-8)


def test_complete_data_need_no_adjustment_of_contrasts_between_visits():
    """Balanced and saturated: Phi is unbiased there, so the adjusted one is the same."""
    trial = make_trial(2, 18, 3, gaps=0.0)
    first = fit("y ~ arm * visit", trial)
    second = fit("y ~ arm * visit", trial, df_method="satterthwaite")
    np.testing.assert_allclose(first.bse, second.bse, rtol=1e-9)
