"""The engine against closed forms: balanced data, one visit, the unit of the response."""

import numpy as np
import pytest
from made_criteria import run_engine as run
from made_trials import make_trial

from aibmd.errors import ConvergenceError, RankDeficientError


@pytest.fixture(scope="module")
def complete():
    return make_trial(6, 24, 3, gaps=0.0)


@pytest.mark.parametrize(("method", "denominator"), [("reml", 22), ("ml", 24)])
def test_complete_saturated_sigma_is_the_pooled_covariance(complete, method, denominator):
    _, engine = run(complete, "y ~ arm * visit", method=method)
    wide = complete.pivot(index="who", columns="visit", values="y")
    residual = wide - wide.groupby(complete.groupby("who")["arm"].first()).transform("mean")
    want = residual.T @ residual / denominator
    np.testing.assert_allclose(engine.Sigma, want, rtol=1e-7)


@pytest.mark.parametrize(("method", "denominator"), [("reml", 22), ("ml", 24)])
def test_complete_saturated_cs_is_the_split_plot_analysis(complete, method, denominator):
    _, engine = run(complete, "y ~ arm * visit", "cs", method)
    wide = complete.pivot(index="who", columns="visit", values="y")
    residual = (
        wide - wide.groupby(complete.groupby("who")["arm"].first()).transform("mean")
    ).to_numpy()
    mean = residual.mean(axis=1, keepdims=True)
    between = 3 * (mean**2).sum() / denominator
    within = ((residual - mean) ** 2).sum() / (2 * denominator)
    # Eigenvalues of compound symmetry: variance + 2 covariance, variance - covariance.
    variance, covariance = (between + 2 * within) / 3, (between - within) / 3
    np.testing.assert_allclose(engine.theta, [variance, covariance], rtol=1e-7)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("covariance", ["un", "cs"])
def test_one_visit_is_least_squares(complete, method, covariance):
    table = complete[complete["visit"] == "v2"]
    made, engine = run(table, "y ~ arm + base", covariance, method)
    beta, (rss,), *_ = np.linalg.lstsq(made.X, made.rows.y, rcond=None)
    n, p = made.X.shape
    sigma2 = rss / (n - p if method == "reml" else n)
    loglik = -0.5 * n * np.log(2 * np.pi * sigma2) - 0.5 * rss / sigma2
    if method == "reml":
        half_log_det = 0.5 * np.linalg.slogdet(made.X.T @ made.X / sigma2)[1]
        loglik += 0.5 * p * np.log(2 * np.pi) - half_log_det
    np.testing.assert_allclose(engine.beta, beta, rtol=1e-11)
    np.testing.assert_allclose(engine.Sigma, [[sigma2]], rtol=1e-7)
    assert engine.loglik == pytest.approx(loglik, abs=1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3, 1e7])
def test_the_unit_of_the_response_goes_into_the_constant_alone(complete, unit):
    made, engine = run(complete, "y ~ arm * visit")
    _, scaled = run(complete.assign(y=unit * complete["y"]), "y ~ arm * visit")
    n_free = len(made.rows.y) - len(engine.beta)
    assert scaled.loglik == pytest.approx(engine.loglik - n_free * np.log(unit), abs=1e-8)
    np.testing.assert_allclose(scaled.beta, unit * engine.beta, rtol=1e-9)
    np.testing.assert_allclose(scaled.Sigma, unit**2 * engine.Sigma, rtol=1e-9)


def test_the_unit_of_a_covariate_moves_the_restricted_likelihood_by_its_log(complete):
    _, engine = run(complete, "y ~ visit + base")
    _, scaled = run(complete.assign(base=1e3 * complete["base"]), "y ~ visit + base")
    assert scaled.loglik == pytest.approx(engine.loglik - np.log(1e3), abs=1e-9)


def test_a_pair_that_nobody_has_is_nan_and_of_no_consequence():
    table = make_trial(9, 60, 3, gaps=0.0)
    early = table["who"] % 2 == 0
    table = table[np.where(early, table["visit"] != "v3", table["visit"] != "v1")]
    _, engine = run(table, "y ~ visit")
    np.testing.assert_array_equal(
        np.isnan(engine.Sigma), [[False, False, True], [False] * 3, [True, False, False]]
    )
    assert len(engine.theta) == 5
    assert engine.certificate.converged


def test_more_coefficients_than_rows_are_refused(complete):
    with pytest.raises(RankDeficientError, match="6 rows cannot estimate"):
        run(complete.head(6), "y ~ visit * (base + x)")


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_a_response_without_variation_is_refused_in_any_unit(complete, unit):
    with pytest.raises(ConvergenceError, match="reproduce the response exactly"):
        run(complete.assign(y=3.0 * unit), "y ~ visit")
    with pytest.raises(ConvergenceError, match="reproduce the response exactly"):
        run(complete.assign(y=unit * (1 + 2 * complete["x"])), "y ~ visit + x")
