"""Scoring ends where the score vanishes, in as many steps as closed forms allow."""

import numpy as np
import pytest
from made_trials import make_trial

from aibmd.linalg import inverse_spd
from aibmd.model.covariance import STRUCTURES
from aibmd.model.design import build_design
from aibmd.model.formula import guard_formula
from aibmd.model.pattern_likelihood import residual_moments
from aibmd.model.optimiser import MAX_STEPS, maximise


def collect(trial, formula):
    return build_design(trial, guard_formula(formula, trial.columns), "who", "visit").cross


def optimum(cross, name, method, start=None):
    structure = STRUCTURES[name]
    E = structure.derivatives(cross.n_visits)
    start = structure.start(*residual_moments(cross)) if start is None else start
    return maximise(cross, E, start, method)


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("name", ["un", "cs"])
@pytest.mark.parametrize("seed", range(4))
def test_scoring_ends_where_nothing_is_left_to_gain(name, method, seed):
    cross = collect(make_trial(seed, 40, 4, gaps=0.25), "y ~ arm * visit + x")
    found = optimum(cross, name, method)
    W = inverse_spd(found.derivatives.observed)
    assert found.derivatives.score @ W @ found.derivatives.score <= 1e-13
    assert found.n_steps <= 12


@pytest.mark.parametrize("name", ["un", "cs"])
def test_the_end_does_not_depend_on_the_start(name):
    cross = collect(make_trial(5, 60, 3), "y ~ arm * visit")
    E = STRUCTURES[name].derivatives(3)
    far = np.array([9.0, 0.0] if name == "cs" else (9.0 * np.eye(3))[np.triu_indices(3)])
    near = optimum(cross, name, "reml")
    from_afar = maximise(cross, E, far, "reml")
    np.testing.assert_allclose(from_afar.theta, near.theta, atol=1e-6)
    assert from_afar.at.loglik == pytest.approx(near.at.loglik, abs=1e-11)


def test_complete_saturated_data_need_no_search():
    """There REML Sigma is the pooled covariance, S / (n - groups), in closed form."""
    trial = make_trial(2, 30, 3, gaps=0.0)
    cross = collect(trial, "y ~ arm * visit")
    found = optimum(cross, "un", "reml")
    wide = trial.pivot(index="who", columns="visit", values="y")
    arm = trial.groupby("who")["arm"].first()
    residual = (wide - wide.groupby(arm).transform("mean")).to_numpy() / cross.scale
    pooled = residual.T @ residual / (30 - 2)
    Sigma = np.tensordot(found.theta, STRUCTURES["un"].derivatives(3), axes=1)
    np.testing.assert_allclose(Sigma, pooled, atol=1e-6)
    assert found.n_steps <= 5


def test_a_start_outside_the_cone_has_no_optimum():
    cross = collect(make_trial(1), "y ~ visit")
    E = STRUCTURES["cs"].derivatives(3)
    assert maximise(cross, E, np.array([1.0, 2.0]), "reml") is None


def test_an_unbounded_likelihood_stops_within_the_step_limit():
    trial = make_trial(1, 4, 4, gaps=0.0)
    found = optimum(collect(trial, "y ~ visit"), "un", "ml")
    assert found.n_steps <= MAX_STEPS
    assert np.isfinite(found.at.loglik)
