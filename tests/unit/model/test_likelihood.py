"""Criterion, score and information against numerical derivatives and the dense oracle."""

import dense
import numpy as np
import pytest
import textbook_covariances as tc
from made_trials import make_trial

from aibmd.model.covariance import STRUCTURES
from aibmd.model.design import build_design
from aibmd.model.formula import guard_formula
from aibmd.model.pattern_likelihood import (
    differentiate,
    evaluate,
    kenward_roger_sum,
    residual_moments,
)

CASES = [(structure, method) for structure in ("un", "cs") for method in ("reml", "ml")]
cases = pytest.mark.parametrize(("structure", "method"), CASES)


@pytest.fixture(scope="module")
def design():
    trial = make_trial(7, 25, 3, gaps=0.25)
    return build_design(trial, guard_formula("y ~ arm * visit + x", trial.columns), "who", "visit")


def start(structure):
    """Some positive definite covariance, not the optimum."""
    E = STRUCTURES[structure].derivatives(3)
    Sigma = np.array([[1.3, 0.4, 0.2], [0.4, 0.9, 0.3], [0.2, 0.3, 1.1]])
    if structure == "cs":
        Sigma = 0.3 + 0.8 * np.eye(3)
    theta = np.array([Sigma[0, 0], Sigma[0, 1]])
    if structure == "un":
        theta = Sigma[np.triu_indices(3)]
    return E, theta


def at(theta, E, design, method):
    return evaluate(design.cross, np.tensordot(theta, E, axes=1), method)


def oracle(design, structure, method):
    """The dense engine in the basis of the cross-products, parameters in our order."""
    cross, rows = design.cross, design.rows
    X = design.X @ cross.basis.transform
    y = (rows.y - design.X @ cross.beta0) / cross.scale
    V = tc.linear(STRUCTURES[structure].derivatives(3), rows.subject, rows.visit)
    return dense.DenseModel(X, y, V, method)


def central(f, theta, step=1e-5):
    steps = step * np.eye(len(theta))
    return np.array([(f(theta + e) - f(theta - e)) / (2 * step) for e in steps])


@cases
def test_the_criterion_is_the_dense_one(design, structure, method):
    E, theta = start(structure)
    want = oracle(design, structure, method).at(theta)
    found = at(theta, E, design, method)
    assert found.loglik == pytest.approx(want.llf, abs=1e-11)
    np.testing.assert_allclose(found.beta, want.beta, atol=1e-12)
    np.testing.assert_allclose(found.Phi, want.Phi, rtol=1e-11, atol=1e-13)


@cases
def test_the_score_is_the_derivative_of_the_criterion(design, structure, method):
    E, theta = start(structure)
    score = differentiate(design.cross, at(theta, E, design, method), E, method).score
    numeric = central(lambda t: at(t, E, design, method).loglik, theta)
    np.testing.assert_allclose(score, numeric, rtol=1e-7, atol=1e-7)


@cases
def test_the_score_is_the_complex_step_of_the_dense_criterion(design, structure, method):
    E, theta = start(structure)
    model = oracle(design, structure, method)
    score = differentiate(design.cross, at(theta, E, design, method), E, method).score
    np.testing.assert_allclose(score, model.score(theta), rtol=1e-10, atol=1e-11)


@cases
def test_observed_information_is_minus_the_derivative_of_the_score(design, structure, method):
    E, theta = start(structure)
    observed = differentiate(design.cross, at(theta, E, design, method), E, method).observed
    numeric = -central(
        lambda t: differentiate(design.cross, at(t, E, design, method), E, method).score, theta
    )
    np.testing.assert_allclose(observed, numeric, rtol=1e-6, atol=1e-6)


@cases
def test_expected_information_is_the_dense_one(design, structure, method):
    E, theta = start(structure)
    model = oracle(design, structure, method)
    expected = differentiate(design.cross, at(theta, E, design, method), E, method).expected
    np.testing.assert_allclose(expected, model.at(theta).expected, rtol=1e-10)


@cases
def test_derivatives_of_phi_are_phi_p_phi(design, structure, method):
    E, theta = start(structure)
    here = at(theta, E, design, method)
    P = differentiate(design.cross, here, E, method).P
    numeric = central(lambda t: at(t, E, design, method).Phi, theta)
    np.testing.assert_allclose(here.Phi @ P @ here.Phi, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("structure", ["un", "cs"])
def test_the_contracted_sum_is_the_sum_over_explicit_q(design, structure):
    E, theta = start(structure)
    dense_model = oracle(design, structure, "reml").at(theta, "expected")
    W, Q = dense_model.W, dense_model.Q
    found = kenward_roger_sum(design.cross, at(theta, E, design, "reml"), E, W)
    np.testing.assert_allclose(found, np.einsum("hk,hkab->ab", W, Q), rtol=1e-10, atol=1e-12)


def test_outside_the_cone_there_is_no_criterion(design):
    assert evaluate(design.cross, -np.eye(3), "reml") is None
    assert evaluate(design.cross, np.full((3, 3), 2.0) - np.eye(3), "reml") is None


def test_residual_moments_are_averages_over_the_subjects_of_a_pair(design):
    rows, cross = design.rows, design.cross
    residual = (rows.y - design.X @ cross.beta0) / cross.scale
    wide = np.full((len(rows.subjects), 3), np.nan)
    wide[rows.subject, rows.visit] = residual
    moments, counts = residual_moments(cross)
    for j in range(3):
        for k in range(3):
            both = np.isfinite(wide[:, j] * wide[:, k])
            assert counts[j, k] == both.sum()
            assert moments[j, k] == pytest.approx((wide[both, j] * wide[both, k]).mean(), abs=1e-12)
