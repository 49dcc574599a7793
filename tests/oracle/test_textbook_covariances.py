"""The oracle's covariances against other ways of writing the same matrix."""

import numpy as np
import pytest
import textbook_covariances as tc
from small_designs import THETA, covariances, make_rows

COVARIANCES = covariances()
ONE = np.zeros(3, dtype=int)
VISITS = np.arange(3)


def sigma(structure, theta=None):
    """Covariance of one subject's three visits."""
    return tc.residuals(structure, ONE, VISITS)(THETA[structure] if theta is None else theta)


def from_correlations(variances, r01, r02, r12):
    C = np.array([[1, r01, r02], [r01, 1, r12], [r02, r12, 1]])
    return C * np.sqrt(np.outer(variances, variances))


@pytest.mark.parametrize(
    ("structure", "variances", "correlations"),
    [
        ("un", (1.3, 0.9, 1.1), (0.4 / 1.17**0.5, 0.2 / 1.43**0.5, 0.3 / 0.99**0.5)),
        ("cs", (1.3, 1.3, 1.3), (0.4 / 1.3,) * 3),
        ("csh", (1.3, 0.9, 2.1), (0.35, 0.35, 0.35)),
        ("toep", (1.3, 1.3, 1.3), (0.5 / 1.3, 0.2 / 1.3, 0.5 / 1.3)),
        ("toeph", (1.3, 0.9, 2.1), (0.45, 0.15, 0.45)),
        ("ar1", (1.3, 1.3, 1.3), (0.6, 0.36, 0.6)),
        ("ar1h", (1.3, 0.9, 2.1), (-0.4, 0.16, -0.4)),
        ("ad", (1.3, 1.3, 1.3), (0.6, 0.12, 0.2)),
        ("adh", (1.3, 0.9, 2.1), (0.6, -0.18, -0.3)),
        ("sp_exp", (1.3, 1.3, 1.3), (0.45, 0.45**2, 0.45)),
    ],
)
def test_a_structure_is_its_written_out_matrix(structure, variances, correlations):
    want = from_correlations(variances, *correlations)
    np.testing.assert_allclose(sigma(structure), want, rtol=1e-14)


@pytest.mark.parametrize("structure", THETA)
def test_theta_is_read_back_from_the_matrix(structure):
    read = tc.theta_of(structure, sigma(structure))
    np.testing.assert_allclose(read, THETA[structure], rtol=1e-14)
    assert len(read) == tc.N_PARAMETERS[structure](3)


@pytest.mark.parametrize("right", ["un", "cs", "ar1", "toeph"])
def test_a_product_is_the_kronecker_product_of_complete_rows(right):
    rows = make_rows(5, 4, 2, 3, gaps=0.0)
    theta = np.array([1.4, 0.5, 0.9, *covariances_right(right)])
    V = tc.separable(f"un@{right}", rows.subject, rows.site, rows.visit)(theta)
    A = np.array([[1.4, 0.5], [0.5, 0.9]])
    B = sigma(right, np.array([1.0, *theta[3:]]))
    np.testing.assert_allclose(V, np.kron(np.eye(4), np.kron(A, B)), rtol=1e-14)


def covariances_right(right):
    return COVARIANCES[f"un@{right}"][2][3:]


def test_a_random_intercept_is_compound_symmetry():
    rows, V, _ = COVARIANCES["intercept"]
    same = tc.residuals("cs", rows.subject, rows.visit)
    np.testing.assert_allclose(V([0.9, 1.2]), same([2.1, 0.9]), rtol=1e-14)


@pytest.mark.parametrize("name", ["slope", "diagonal slope", "slope + ar1", "intercept"])
def test_random_effects_are_z_g_z_of_the_stacked_matrices(name):
    rows, V, theta = COVARIANCES[name]
    Z = np.column_stack([np.ones(len(rows.time)), rows.time])
    shape = "diagonal" if "diagonal" in name else "full"
    terms = [(rows.subject, Z[:, :1] if name == "intercept" else Z, shape)]
    stacked, G = tc.stack_terms(terms, theta)
    _, rest = tc.split_terms(terms, theta)
    R = tc.residuals("ar1", rows.subject, rows.visit)([*rest, 0.0][:2])  # rho 0: independent
    np.testing.assert_allclose(V(theta), stacked @ G @ stacked.T + R, rtol=1e-13, atol=1e-15)


def test_nested_intercepts_add_a_variance_per_level():
    rows, V, _ = COVARIANCES["nested, variance by site"]
    woman = np.equal.outer(rows.subject, rows.subject)
    site = woman & np.equal.outer(rows.site, rows.site)
    want = 0.9 * woman + 0.5 * site + np.diag(np.where(rows.site == 0, 1.2, 0.7))
    np.testing.assert_allclose(V([0.9, 0.5, 1.2, 0.7]), want, rtol=1e-14)


def test_a_group_has_its_own_parameters_and_nobody_elses():
    rows, V, theta = COVARIANCES["ar1h by arm"]
    alone = COVARIANCES["ar1h"][1]
    for arm, mine in enumerate(np.split(theta, 2)):
        rows_of_arm = np.ix_(rows.arm == arm, rows.arm == arm)
        np.testing.assert_array_equal(V(theta)[rows_of_arm], alone(mine)[rows_of_arm])
    assert not V(theta)[np.ix_(rows.arm == 0, rows.arm == 1)].any()


def test_a_weight_divides_the_variance_and_leaves_the_correlation():
    rows, V, theta = COVARIANCES["ar1h weighted"]
    plain = COVARIANCES["ar1h"][1](theta)
    D = np.diag(rows.weight**-0.5)
    np.testing.assert_allclose(V(theta), D @ plain @ D, rtol=1e-14)


@pytest.mark.parametrize("name", COVARIANCES)
def test_every_covariance_is_symmetric_positive_definite_and_zero_between_subjects(name):
    rows, V, theta = COVARIANCES[name]
    np.testing.assert_allclose(V(theta), V(theta).T, rtol=1e-14)
    assert np.linalg.eigvalsh(V(theta)).min() > 0
    assert not V(theta)[~np.equal.outer(rows.subject, rows.subject)].any()


@pytest.mark.parametrize("name", COVARIANCES)
def test_a_complex_theta_passes_through(name):
    """Cauchy-Riemann: along the imaginary axis the derivative is the same."""
    _, V, theta = COVARIANCES[name]
    for e in np.eye(len(theta)):
        forward = (V(theta + 1e-6 * e) - V(theta - 1e-6 * e)) / 2e-6
        upward = np.imag(V(theta + 1e-30j * e)) / 1e-30
        np.testing.assert_allclose(upward, forward, atol=1e-8)
