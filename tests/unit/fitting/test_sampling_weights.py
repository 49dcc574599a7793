"""Sampling weights: whole numbers are copies of women, and only a sandwich may judge them."""

import numpy as np
import pandas as pd
import pytest

import aibmd


@pytest.fixture(scope="module")
def cohort():
    rng = np.random.default_rng(3)
    n, m = 60, 3
    made = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), m),
            "visit": np.tile(list("abc"), n),
            "group": np.repeat(rng.choice(["x", "z"], n), m),
            "time": np.tile([0.0, 1.0, 2.5], n),
            "y": (rng.normal(size=(n, 1)) + rng.normal(size=(n, m))).ravel(),
        }
    )
    made["copies"] = np.repeat(rng.integers(1, 4, n), m)
    return made[rng.uniform(size=len(made)) > 0.15]


def options(covariance):
    chosen = {"subject": "who", "visit": "visit", "method": "ml", "covariance": covariance}
    return chosen | ({"time": "time"} if covariance == "sp_exp" else {})


def copied(cohort):
    copies = [
        cohort[cohort["copies"] > k].assign(who=lambda t, k=k: t["who"] + 1000 * k)
        for k in range(3)
    ]
    return pd.concat(copies)


@pytest.mark.parametrize("covariance", ["un", "toeph", "cs", "ar1", "sp_exp"])
@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_whole_weights_are_copies_of_women_and_their_unit_is_of_no_matter(cohort, covariance, unit):
    weighted = cohort.assign(w=unit * cohort["copies"])
    found = aibmd.fit_mmrm(
        "y ~ group * visit", weighted, sampling_weights="w", vcov="CR0", **options(covariance)
    )
    want = aibmd.fit_mmrm("y ~ group * visit", copied(cohort), **options(covariance))
    np.testing.assert_allclose(found.params, want.params, atol=1e-8)
    np.testing.assert_allclose(found.covariance_parameters, want.covariance_parameters, rtol=1e-6)


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_equal_weights_are_no_weights(cohort, kind):
    plain = aibmd.fit_mmrm("y ~ group * visit", cohort, vcov=kind, **options("un"))
    found = aibmd.fit_mmrm(
        "y ~ group * visit",
        cohort.assign(w=7.0),
        sampling_weights="w",
        vcov=kind,
        **options("un"),
    )
    for name in ("params", "bse", "df", "pvalues"):
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=1e-7)


def test_one_visit_is_weighted_least_squares_with_its_sandwich(cohort):
    """White (1980) for weights: (X'WX)^-1 X'W diag(r^2) W X (X'WX)^-1."""
    one = cohort[cohort["visit"] == "a"].assign(w=lambda t: 0.3 * t["copies"])
    found = aibmd.fit_mmrm("y ~ group", one, sampling_weights="w", vcov="CR0", **options("cs"))
    X = np.column_stack([np.ones(len(one)), one["group"] == "z"]).astype(float)
    W = one["w"].to_numpy()
    bread = np.linalg.inv(X.T * W @ X)
    beta = bread @ X.T @ (W * one["y"].to_numpy())
    U = X * (W * (one["y"].to_numpy() - X @ beta))[:, None]
    np.testing.assert_allclose(found.params, beta, rtol=1e-10)
    np.testing.assert_allclose(found.cov_params(), bread @ U.T @ U @ bread, rtol=1e-9)


def test_a_weighted_cr2_is_unbiased_where_the_working_covariance_is_true():
    """E of CR2 is the true covariance; V is known and shared, so the mean follows exactly."""
    rng = np.random.default_rng(11)
    n, m = 12, 2
    X = np.column_stack([np.ones(n * m), np.repeat(rng.normal(size=n), m)])
    weights = np.repeat(rng.uniform(0.2, 3.0, n), m)
    made = pd.DataFrame({"who": np.repeat(np.arange(n), m), "visit": list("ab") * n, "x": X[:, 1]})
    made["w"] = weights
    total, n_sim = np.zeros((2, 2)), 400
    estimates = []
    for _ in range(n_sim):
        made["y"] = rng.normal(size=n * m)  # independent rows: cs fits about zero covariance
        found = aibmd.fit_mmrm(
            "y ~ x", made, subject="who", visit="visit", covariance="cs",
            sampling_weights="w", vcov="CR2",
        )  # fmt: skip
        total += found.cov_params().to_numpy() / n_sim
        estimates.append(found.params.to_numpy())
    spread = np.cov(np.array(estimates).T)
    # Relative Monte Carlo error of a variance from 400 draws: sqrt(2 / 399) = 0.07.
    np.testing.assert_allclose(np.diagonal(total), np.diagonal(spread), rtol=3 * 0.0708)
