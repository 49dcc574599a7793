"""Random effects beside correlated residuals: the best of the tops, against nlme."""

import numpy as np
import pandas as pd
import pytest

import aibmd


@pytest.mark.parametrize(("seed", "nlme"), [(40, -143.1613), (41, -139.6428), (9, -140.8885)])
def test_random_intercept_and_heterogeneous_ar1_reach_the_top_nlme_finds(seed, nlme):
    """nlme 3.1-162: lme(y ~ t, random = ~ 1 | id, corAR1(form = ~ t | id), varIdent(~ 1 | v))."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(30, 4))
    for k in range(1, 4):
        e[:, k] = 0.8 * e[:, k - 1] + 0.6 * e[:, k]
    y = 2 * rng.normal(size=(30, 1)) + e
    table = pd.DataFrame(
        {
            "id": np.repeat(np.arange(30), 4),
            "v": np.tile(["V0", "V1", "V2", "V3"], 30),
            "t": np.tile(range(4), 30),
            "y": y.ravel(),
        }
    )
    fit = aibmd.fit_lmm(
        "y ~ t", table, subject="id", random="1", residual="ar1h", visit="v", df_method="residual"
    )
    assert fit.converged
    assert fit.llf == pytest.approx(nlme, abs=1e-4)


@pytest.mark.parametrize("ratio", [1e-2, 1e-3, 1e-4])
def test_errors_that_are_small_beside_women_are_no_boundary(ratio):
    """lmer's REML log-likelihood at a thousandth: 571.0664; it moves by (N - J) log(ratio)."""
    level = np.random.default_rng(1).normal(size=40).repeat(4)
    table = pd.DataFrame({"id": np.arange(40).repeat(4), "t": np.tile(range(4), 40)})
    table["y"] = level + ratio * np.random.default_rng(2).normal(size=160)
    fit = aibmd.fit_lmm("y ~ t", table, subject="id", random="1")
    assert fit.converged
    assert not fit.singular
    if ratio == 1e-3:
        assert fit.llf == pytest.approx(571.0664, abs=1e-3)
    np.testing.assert_allclose(fit.df["t"], 119, rtol=1e-6)
