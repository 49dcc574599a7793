"""Where rows at different times do not covary, sp_exp ends at its limit and says so."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import SingularFitWarning


def irregular(seed, n=30, k=4):
    rng = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), k),
            "time": np.sort(rng.uniform(0, 4, (n, k)), axis=1).ravel(),
            "group": np.repeat(rng.choice(["x", "z"], n), k),
        }
    )
    made["alternating"] = np.tile([1.0, -1.0], n * k // 2)
    return made, rng


def test_neighbours_that_differ_leave_ordinary_least_squares():
    """Residuals of opposite sign at neighbouring times: no positive correlation can help."""
    table, rng = irregular(1)
    table["y"] = table["alternating"] + 0.3 * rng.normal(size=len(table))
    with pytest.warns(SingularFitWarning, match="correlation over time is zero at the maximum"):
        fit = aibmd.fit_mmrm("y ~ group", table, subject="who", covariance="sp_exp", time="time")
    assert fit.converged
    assert fit.singular
    X = np.column_stack([np.ones(len(table)), table["group"] == "z"]).astype(float)
    beta, (rss,), *_ = np.linalg.lstsq(X, table["y"].to_numpy(), rcond=None)
    variance = rss / (len(table) - 2)
    np.testing.assert_allclose(fit.params, beta, rtol=1e-10)
    np.testing.assert_allclose(fit.cov_params(), variance * np.linalg.inv(X.T @ X), rtol=1e-8)
    np.testing.assert_allclose(fit.df, len(table) - 2, rtol=1e-8)
    assert list(fit.covariance_parameters.index) == ["variance"]


@pytest.mark.filterwarnings("ignore::aibmd.errors.SingularFitWarning")
@pytest.mark.parametrize("seed", range(12))
def test_independent_rows_always_end_in_a_certified_maximum(seed):
    table, rng = irregular(seed)
    table["y"] = rng.normal(size=len(table))
    fit = aibmd.fit_mmrm("y ~ group", table, subject="who", covariance="sp_exp", time="time")
    assert fit.converged


def test_a_random_intercept_keeps_its_own_variance_at_the_limit():
    table, rng = irregular(3)
    level = np.repeat(3.0 * rng.normal(size=30), 4)
    table["y"] = level + table["alternating"] + 0.3 * rng.normal(size=len(table))
    with pytest.warns(SingularFitWarning, match="correlation over time is zero"):
        limit = aibmd.fit_lmm(
            "y ~ group", table, subject="who", random="1", residual="sp_exp", time="time"
        )
    plain = aibmd.fit_lmm("y ~ group", table, subject="who", random="1")
    assert limit.llf == pytest.approx(plain.llf, abs=1e-8)
    np.testing.assert_allclose(limit.covariance_parameters, plain.covariance_parameters, rtol=1e-6)
    np.testing.assert_allclose(limit.df, plain.df, rtol=1e-6)


def test_a_real_correlation_is_kept():
    table, rng = irregular(4)
    walk = np.cumsum(rng.normal(size=(30, 4)), axis=1)
    table["y"] = walk.ravel() + 0.1 * rng.normal(size=len(table))
    fit = aibmd.fit_mmrm("y ~ group", table, subject="who", covariance="sp_exp", time="time")
    assert "correlation at distance 1" in fit.covariance_parameters


def test_the_ratio_to_a_model_without_memory_is_nothing_and_is_still_tested():
    """The parameter at its limit counts: one df, statistic zero, under the bootstrap."""
    table, rng = irregular(3)
    table["y"] = np.repeat(3.0 * rng.normal(size=30), 4) + table["alternating"]
    table["y"] += 0.3 * rng.normal(size=len(table))
    smaller = aibmd.fit_lmm("y ~ group", table, subject="who", random="1")
    with pytest.warns(SingularFitWarning, match="correlation over time is zero"):
        larger = aibmd.fit_lmm(
            "y ~ group", table, subject="who", random="1", residual="sp_exp", time="time"
        )
    assert larger.n_covariance_parameters == smaller.n_covariance_parameters + 1
    found = aibmd.likelihood_ratio_test(
        smaller, larger, reference="bootstrap", n_replicates=9, rng=1, n_jobs=1
    )
    assert found.statistic == pytest.approx(0.0, abs=1e-8)
