"""The covariance table: parameters, their derivatives, and where scoring starts."""

import numpy as np
import pytest

from aibmd.errors import AibmdError
from aibmd.model.covariance import STRUCTURES, get_structure, identified_parameters


def sigma(structure, theta, m):
    return np.tensordot(theta, STRUCTURES[structure].derivatives(m), axes=1)


def test_unstructured_has_a_parameter_for_each_element():
    found = sigma("un", np.arange(1.0, 7.0), 3)
    np.testing.assert_array_equal(found, [[1, 2, 3], [2, 4, 5], [3, 5, 6]])
    names = STRUCTURES["un"].parameter_names(("a", "b"))
    assert names == ("var(a)", "cov(a, b)", "var(b)")


def test_compound_symmetry_is_one_variance_and_one_covariance():
    np.testing.assert_array_equal(sigma("cs", [5.0, 2.0], 3), np.full((3, 3), 2) + 3 * np.eye(3))
    assert STRUCTURES["cs"].parameter_names(("a", "b", "c")) == ("variance", "covariance")


@pytest.mark.parametrize("name", list(STRUCTURES))
@pytest.mark.parametrize("m", [1, 2, 5])
def test_every_row_has_symmetric_derivatives_and_a_name_for_each(name, m):
    E = STRUCTURES[name].derivatives(m)
    np.testing.assert_array_equal(E, E.transpose(0, 2, 1))
    assert E.shape[1:] == (m, m)
    assert len(STRUCTURES[name].parameter_names(tuple("abcde"[:m]))) == len(E)


@pytest.mark.parametrize("name", list(STRUCTURES))
def test_scoring_starts_at_the_moments_where_these_are_a_covariance_of_the_structure(name):
    moments = sigma("cs", [2.0, 0.7], 4)
    theta = STRUCTURES[name].start(moments, np.full((4, 4), 30.0))
    np.testing.assert_allclose(sigma(name, theta, 4), moments)


@pytest.mark.parametrize("name", list(STRUCTURES))
@pytest.mark.parametrize("seed", range(5))
def test_scoring_starts_at_a_positive_definite_matrix_whatever_the_moments(name, seed):
    rng = np.random.default_rng(seed)
    moments = rng.normal(size=(4, 4))
    moments = moments + moments.T  # pairwise moments need not be positive definite
    np.fill_diagonal(moments, rng.uniform(0.1, 2, 4))
    counts = np.ones((4, 4))
    counts[0, 3] = counts[3, 0] = 0
    theta = STRUCTURES[name].start(moments, counts)
    assert np.linalg.eigvalsh(sigma(name, theta, 4)).min() > 0


def test_a_pair_that_nobody_has_is_not_a_parameter_of_un_but_is_of_no_matter_to_cs():
    together = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
    un = identified_parameters(STRUCTURES["un"].derivatives(3), together)
    assert un.tolist() == [True, True, False, True, True, True]
    assert identified_parameters(STRUCTURES["cs"].derivatives(3), together).all()


def test_one_visit_leaves_compound_symmetry_one_parameter():
    kept = identified_parameters(STRUCTURES["cs"].derivatives(1), np.array([[True]]))
    assert kept.tolist() == [True, False]


@pytest.mark.parametrize("name", ["ar1", "UN", "", None, ["un"], 3])
def test_an_unknown_structure_is_refused_with_a_list_of_what_there_is(name):
    with pytest.raises(AibmdError, match=r"(?s)is not available.*un: .*cs: "):
        get_structure(name)
