"""Scoring ends where the score vanishes, in as many steps as closed forms allow."""

import numpy as np
import pytest
from made_covariances import THETA
from made_criteria import by_pattern
from made_trials import make_trial

from aibmd.linalg import inverse_spd
from aibmd.model.optimiser import MAX_STEPS, maximise
from aibmd.model.start import list_starts

VISIT_STRUCTURES = [name for name in THETA if name != "sp_exp"]


def optimum(trial, formula, name, method="reml"):
    criterion, start = by_pattern(trial, formula, name, method)
    return criterion, maximise(criterion, list_starts(criterion.covariance, start)[0])


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("name", VISIT_STRUCTURES)
@pytest.mark.parametrize("seed", range(4))
def test_scoring_ends_where_nothing_is_left_to_gain(name, method, seed):
    _, found = optimum(make_trial(seed, 40, 4, gaps=0.25), "y ~ arm * visit + x", name, method)
    W = inverse_spd(found.derivatives.observed)
    assert found.derivatives.score @ W @ found.derivatives.score <= 1e-13
    assert found.n_steps <= 15


@pytest.mark.parametrize("name", VISIT_STRUCTURES)
def test_the_end_does_not_depend_on_the_start(name):
    criterion, near = optimum(make_trial(5, 60, 3), "y ~ arm * visit", name)
    far = np.where(criterion.covariance.is_variance, 9.0, 0.0)
    from_afar = maximise(criterion, far)
    np.testing.assert_allclose(from_afar.theta, near.theta, atol=1e-6)
    assert from_afar.at.loglik == pytest.approx(near.at.loglik, abs=1e-11)


def test_complete_saturated_data_need_no_search():
    """There REML Sigma is the pooled covariance, S / (n - groups), in closed form."""
    trial = make_trial(2, 30, 3, gaps=0.0)
    criterion, found = optimum(trial, "y ~ arm * visit", "un")
    wide = trial.pivot(index="who", columns="visit", values="y")
    arm = trial.groupby("who")["arm"].first()
    residual = (wide - wide.groupby(arm).transform("mean")).to_numpy()
    pooled = residual.T @ residual / (30 - 2) / criterion.least_squares.scale**2
    np.testing.assert_allclose(criterion.sigma(found.theta), pooled, atol=1e-6)
    assert found.n_steps <= 5


@pytest.mark.parametrize(
    ("name", "outside"), [("cs", [1.0, 2.0]), ("ar1", [1.0, 1.5]), ("ar1", [-1.0, 0.5])]
)
def test_a_start_outside_the_cone_has_no_optimum(name, outside):
    criterion, _ = by_pattern(make_trial(1), "y ~ visit", name)
    assert maximise(criterion, np.array(outside)) is None


def test_an_unbounded_likelihood_stops_within_the_step_limit():
    _, found = optimum(make_trial(1, 4, 4, gaps=0.0), "y ~ visit", "un", "ml")
    assert found.n_steps <= MAX_STEPS
    assert np.isfinite(found.at.loglik)
