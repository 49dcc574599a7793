"""Derivatives and information of the oracle, found a second way for every covariance.

Five-point differences of the likelihood share nothing with complex steps; the information's
expectation is taken exactly, over residuals whose second moment is V.
"""

from dataclasses import replace

import dense
import numpy as np
import pytest
import textbook_covariances as tc
from small_designs import covariances, make_model

COVARIANCES = covariances()
METHODS = ("reml", "ml")
# Of the largest element: five-point differences with step 1e-3 leave about 1e-10.
DIFFERENCES = 1e-8
every = pytest.mark.parametrize("name", COVARIANCES)
methods = pytest.mark.parametrize("method", METHODS)


def evaluated(name, method="reml", information="observed"):
    """At a theta that is not the optimum."""
    rows, V, theta = COVARIANCES[name]
    model = make_model(rows, V, theta, method)
    return model, model.at(theta * (1 + 0.02 * np.arange(len(theta))), information)


def difference(f, theta, step=1e-3):
    """Five-point first derivatives along each parameter."""
    out = []
    for e in step * np.eye(len(theta)):
        near, far = f(theta + e) - f(theta - e), f(theta + 2 * e) - f(theta - 2 * e)
        out.append((8 * near - far) / (12 * step))
    return np.array(out)


def assert_close(found, want, tolerance):
    np.testing.assert_allclose(found, want, rtol=0, atol=tolerance * np.max(np.abs(want)))


@methods
@every
def test_the_score_is_the_slope_of_the_likelihood(name, method):
    model, at = evaluated(name, method)
    assert_close(model.score(at.theta), difference(model.loglik, at.theta), DIFFERENCES)


@methods
@every
def test_the_score_is_the_textbook_formula(name, method):
    """-tr(P V_k)/2 + y'P V_k P y/2, with V^-1 for P in the trace under ML."""
    model, at = evaluated(name, method)
    T, u = at.projection if method == "reml" else at.V_inverse, at.projection @ model.y
    want = [(u @ D @ u - np.trace(T @ D)) / 2 for D in at.dV]
    assert_close(model.score(at.theta), want, 1e-11)


@methods
@every
def test_observed_information_is_minus_the_slope_of_the_score(name, method):
    model, at = evaluated(name, method)
    assert_close(at.observed, -difference(model.score, at.theta), DIFFERENCES)
    assert_close(at.observed, at.observed.T, 1e-9)


@pytest.mark.parametrize("name", ["toeph", "ar1h by arm", "sp_exp", "slope + ar1"])
def test_expected_information_is_the_mean_of_the_observed(name):
    """Outcomes sqrt(n) c_j over the columns of a root of V have second moment V exactly."""
    model, at = evaluated(name)
    outcomes = np.linalg.cholesky(at.V).T * np.sqrt(len(model.y))
    observed = [replace(model, y=y).at(at.theta).observed for y in outcomes]
    assert_close(np.mean(observed, axis=0), at.expected, 1e-9)


@every
def test_with_beta_known_ml_and_reml_information_agree(name):
    rows, V, theta = COVARIANCES[name]
    known = [
        dense.DenseModel(np.zeros((len(rows.time), 0)), np.ones(len(rows.time)), V, method)
        for method in METHODS
    ]
    reml, ml = (model.at(theta) for model in known)
    assert_close(ml.expected, reml.expected, 1e-12)
    assert_close(ml.observed, reml.observed, 1e-12)
    assert ml.llf == pytest.approx(reml.llf, abs=1e-12)


@every
def test_p_is_the_derivative_of_the_fixed_effects_information(name):
    model, at = evaluated(name)
    want = difference(lambda t: model.X.T @ np.linalg.solve(model.V(t), model.X), at.theta)
    assert_close(at.P, want, DIFFERENCES)


@every
def test_q_and_r_are_its_second_derivative(name):
    """The derivative of P_k by theta_h is Q_kh + Q_hk - R_kh."""
    model, at = evaluated(name)
    want = difference(lambda t: model.at(t).P, at.theta).swapaxes(0, 1)
    assert_close(at.Q + at.Q.transpose(1, 0, 2, 3) - at.R, want, DIFFERENCES)


@pytest.mark.parametrize("name", ["un", "cs", "toep", "intercept", "slope"])
def test_second_order_is_first_order_where_the_covariance_is_linear(name):
    _, at = evaluated(name)
    first, second = dense.adjusted_vcov(at), dense.adjusted_vcov(at, second_order=True)
    assert_close(second, first, 1e-9)


@pytest.mark.parametrize("name", ["ar1", "ar1h", "csh", "adh", "sp_exp", "un@ar1"])
def test_first_order_does_not_depend_on_the_parameters_and_second_order_does(name):
    """With expected information, which transforms exactly at any theta."""
    model, at = evaluated(name, information="expected")
    shifted = dense.DenseModel(model.X, model.y, lambda s: model.V(s**3), model.method)
    other = shifted.at(np.cbrt(at.theta), "expected")
    L = np.eye(4)[1:3]
    for here, there in zip(dense.kenward_roger(at, L), dense.kenward_roger(other, L), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-9)
    here, there = (dense.adjusted_vcov(a, second_order=True) for a in (at, other))
    assert np.max(np.abs(here - there)) > 1e-5 * np.max(np.abs(here))


def test_second_derivatives_of_a_power_are_those_of_the_power():
    """v rho^d: v d (d - 1) rho^(d - 2), and d rho^(d - 1) across."""
    rows, V, theta = COVARIANCES["sp_exp"]
    model = make_model(rows, V, theta)
    same = np.equal.outer(rows.subject, rows.subject)
    d, (v, rho) = np.abs(np.subtract.outer(rows.time, rows.time)), theta
    assert_close(model.d2V(theta, 1, 1), same * v * d * (d - 1) * rho ** (d - 2), 1e-10)
    assert_close(model.d2V(theta, 0, 1), same * d * rho ** (d - 1), 1e-10)
    assert_close(model.d2V(theta, 1, 0), model.d2V(theta, 0, 1), 1e-10)
    assert_close(tc.residuals("sp_exp", rows.subject, rows.time)(theta), same * v * rho**d, 1e-14)
