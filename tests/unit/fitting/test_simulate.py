"""Simulated responses: reproducible, and with the mean and covariance of the fit."""

import numpy as np
import pandas as pd
import pytest
import textbook_covariances as tc
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError


@pytest.fixture(scope="module")
def trial():
    table = make_trial(29, 24, 3).sample(frac=1.0, random_state=5)
    table["w"] = np.random.default_rng(3).uniform(0.5, 2.0, len(table))
    return table


def test_a_number_gives_the_same_responses_and_another_gives_others(trial):
    found = fit("y ~ arm * visit", trial)
    first = aibmd.simulate_response(found, 7)
    pd.testing.assert_series_equal(first, aibmd.simulate_response(found, 7))
    generator = np.random.default_rng(7)
    pd.testing.assert_series_equal(first, aibmd.simulate_response(found, generator))
    assert not np.allclose(first, aibmd.simulate_response(found, generator))
    assert first.index.equals(trial.index)
    assert first.name == "y"
    many = aibmd.simulate_response(found, 7, n_sim=3)
    np.testing.assert_array_equal(many[0], first)
    assert many.shape == (len(trial), 3)


def test_their_mean_and_covariance_are_those_of_the_fit(trial):
    """5000 sets: each standardised mean and product has a Monte Carlo error near 0.014."""
    found = fit("y ~ arm * visit", trial, covariance="toeph", weights="w")
    visit = trial["visit"].str[1:].astype(int).to_numpy() - 1
    V = tc.residuals("toeph", trial["who"].to_numpy(), visit, 3)
    V = tc.weighted(V, trial["w"].to_numpy())(found.engine.theta)
    made = aibmd.simulate_response(found, 11, n_sim=5000).to_numpy()
    z = np.linalg.solve(np.linalg.cholesky(V), made - found.fittedvalues.to_numpy()[:, None])
    assert np.abs(z.mean(axis=1)).max() < 5 * 0.0142
    assert np.abs(z @ z.T / 5000 - np.eye(len(z))).max() < 6 * 0.02


def test_random_effects_are_drawn_anew(trial):
    """Means of women vary as the model says, not as their predicted effects stand."""
    table = trial.assign(y=trial["y"] + 5 * np.sin(trial["who"]))
    found = aibmd.fit_lmm("y ~ 1", table, subject="who", random="1")
    made = aibmd.simulate_response(found, 3, n_sim=2000)
    between = made.groupby(table["who"]).mean().to_numpy() - found.params["Intercept"]
    n = table.groupby("who").size().to_numpy()
    want = found.random_covariance.iloc[0, 0] + found.residual_variance / n
    np.testing.assert_allclose((between**2).mean(axis=1), want, rtol=0.2)


@pytest.mark.parametrize("n_sim", [0, -1, 2.5, True])
def test_a_count_must_be_a_positive_whole_number(trial, n_sim):
    with pytest.raises(AibmdError, match="not a positive whole number"):
        aibmd.simulate_response(fit("y ~ visit", trial), 1, n_sim)
