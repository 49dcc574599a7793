"""Criterion, score and information of scheduled visits against the dense oracle."""

import dense
import made_criteria as made
import numpy as np
import pytest
import textbook_covariances as tc
from made_trials import make_trial

from aibmd.model.pattern_likelihood import residual_moments

FORMULA = "y ~ arm * visit + x"
THETA = {
    "un": [1.3, 0.4, 0.2, 0.9, 0.3, 1.1],
    "toep": [1.3, 0.5, 0.2],
    "toeph": [1.3, 0.9, 2.1, 0.45, 0.15],
    "ar1": [1.3, 0.6],
    "ar1h": [1.3, 0.9, 2.1, -0.4],
    "cs": [1.1, 0.3],
    "csh": [1.3, 0.9, 2.1, 0.35],
    "ad": [1.3, 0.6, 0.2],
    "adh": [1.3, 0.9, 2.1, 0.6, -0.3],
}
CASES = [(structure, method) for structure in THETA for method in ("reml", "ml")]
cases = pytest.mark.parametrize(("structure", "method"), CASES)


@pytest.fixture(scope="module")
def trial():
    return make_trial(7, 25, 3, gaps=0.25)


def start(trial, structure, method):
    """The criterion at some positive definite covariance, not the optimum."""
    criterion, _ = made.by_pattern(trial, FORMULA, structure, method)
    theta = np.array(THETA[structure])
    return criterion, theta, criterion.evaluate(theta)


def oracle(trial, structure, method):
    """The dense engine in the basis of the cross-products, parameters in our order."""
    design = made.make_design(trial, FORMULA)
    scale, rows = design.least_squares, design.rows
    X = design.X @ scale.basis.transform
    y = (rows.y - design.X @ scale.beta0) / scale.scale
    V = tc.residuals(structure, rows.subject, rows.visit)
    return dense.DenseModel(X, y, V, method)


def central(f, theta, step=1e-5):
    steps = step * np.eye(len(theta))
    return np.array([(f(theta + e) - f(theta - e)) / (2 * step) for e in steps])


@cases
def test_the_criterion_is_the_dense_one(trial, structure, method):
    _, theta, found = start(trial, structure, method)
    want = oracle(trial, structure, method).at(theta)
    assert found.loglik == pytest.approx(want.llf, abs=1e-11)
    np.testing.assert_allclose(found.beta, want.beta, atol=1e-12)
    np.testing.assert_allclose(found.Phi, want.Phi, rtol=1e-11, atol=1e-13)


@cases
def test_the_score_is_the_derivative_of_the_criterion(trial, structure, method):
    criterion, theta, at = start(trial, structure, method)
    score = criterion.differentiate(theta, at).score
    numeric = central(lambda t: criterion.evaluate(t).loglik, theta)
    np.testing.assert_allclose(score, numeric, rtol=1e-7, atol=1e-7)


@cases
def test_the_score_is_the_complex_step_of_the_dense_criterion(trial, structure, method):
    criterion, theta, at = start(trial, structure, method)
    want = oracle(trial, structure, method).score(theta)
    score = criterion.differentiate(theta, at).score
    np.testing.assert_allclose(score, want, rtol=1e-10, atol=1e-11)


@cases
def test_observed_information_is_minus_the_derivative_of_the_score(trial, structure, method):
    criterion, theta, at = start(trial, structure, method)

    def score(t):
        return criterion.differentiate(t, criterion.evaluate(t)).score

    observed = criterion.differentiate(theta, at).observed
    np.testing.assert_allclose(observed, -central(score, theta), rtol=1e-6, atol=1e-6)


@cases
def test_information_is_the_dense_one(trial, structure, method):
    criterion, theta, at = start(trial, structure, method)
    want = oracle(trial, structure, method).at(theta)
    found = criterion.differentiate(theta, at)
    np.testing.assert_allclose(found.expected, want.expected, rtol=1e-10, atol=1e-11)
    # The oracle's second derivatives of V are differences, good to 1e-10 of the largest.
    size = abs(want.observed).max()
    np.testing.assert_allclose(found.observed / size, want.observed / size, atol=1e-9)


@cases
def test_known_means_leave_the_information_of_maximum_likelihood(trial, structure, method):
    criterion, theta, at = start(trial, structure, method)
    want = oracle(trial, structure, "ml").at(theta).expected
    found = criterion.differentiate(theta, at).known_mean
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-11)


@cases
def test_derivatives_of_phi_are_phi_p_phi(trial, structure, method):
    criterion, theta, at = start(trial, structure, method)
    P = criterion.differentiate(theta, at).P
    numeric = central(lambda t: criterion.evaluate(t).Phi, theta)
    np.testing.assert_allclose(at.Phi @ P @ at.Phi, numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("structure", list(THETA))
@pytest.mark.parametrize("second_order", [False, True])
def test_the_contracted_sum_is_the_sum_over_explicit_q_and_r(trial, structure, second_order):
    criterion, theta, at = start(trial, structure, "reml")
    want = oracle(trial, structure, "reml").at(theta, "expected")
    inner = want.Q - want.R / 4 if second_order else want.Q
    found = criterion.kenward_roger_sums(theta, at, want.W, second_order)
    expected = np.einsum("hk,hkab->ab", want.W, inner)
    # Differences in the oracle's R; Q alone is exact.
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)


def test_outside_the_cone_there_is_no_criterion(trial):
    criterion, *_ = start(trial, "cs", "reml")
    assert criterion.evaluate(np.array([-1.0, 0.0])) is None
    assert criterion.evaluate(np.array([1.0, 2.0])) is None


def test_residual_moments_are_averages_over_the_subjects_of_a_pair(trial):
    design = made.make_design(trial, FORMULA)
    rows, scale = design.rows, design.least_squares
    residual = (rows.y - design.X @ scale.beta0) / scale.scale
    wide = np.full((len(rows.subjects), 3), np.nan)
    wide[rows.subject, rows.visit] = residual
    moments, counts = residual_moments(design.cross)
    for j in range(3):
        for k in range(3):
            both = np.isfinite(wide[:, j] * wide[:, k])
            assert counts[j, k] == both.sum()
            assert moments[j, k] == pytest.approx((wide[both, j] * wide[both, k]).mean(), abs=1e-12)


def test_the_smallest_correlation_is_over_pairs_that_some_subject_has(trial):
    theta = np.array([1.0, 0.1, 7.0, 1.0, 0.1, 1.0])  # visits one and three: no correlation
    criterion, _ = made.by_pattern(trial, FORMULA, "un")
    assert criterion.smallest_correlation(theta) < 0
    early = trial["who"] % 2 == 0
    apart = trial[np.where(early, trial["visit"] != "v3", trial["visit"] != "v1")]
    criterion, _ = made.by_pattern(apart, FORMULA, "un")
    assert criterion.smallest_correlation(theta) == pytest.approx(0.9)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_smallest_correlation_has_no_unit(trial, scale):
    criterion, _ = made.by_pattern(trial, FORMULA, "ar1h")
    theta = np.array([1.0, scale, 1.0, 0.5])
    # Of three visits with correlations 1/2, 1/2, 1/4.
    R = np.array([[1, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 1]])
    want = np.linalg.eigvalsh(R)[0]
    assert criterion.smallest_correlation(theta) == pytest.approx(want, rel=1e-9)
    assert criterion.smallest_correlation(np.array([1.0, np.nan, 1.0, 0.5])) == -np.inf
