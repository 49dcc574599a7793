"""The covariance table: parameters, bounds, and where scoring starts."""

import numpy as np
import pytest

from aibmd.errors import AibmdError
from aibmd.model.covariance import STRUCTURES, get_structure
from aibmd.model.covariance.build import check_choice, parse_covariance

EVERY = ("un", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh", "sp_exp")


def sigma(structure, theta, m):
    return STRUCTURES[structure].value(np.asarray(theta, dtype=float), np.arange(m, dtype=float))


def test_the_table_has_the_documented_rows():
    assert tuple(sorted(STRUCTURES)) == tuple(sorted(EVERY))
    assert all(row.name == name and row.when and row.title for name, row in STRUCTURES.items())


def test_unstructured_has_a_parameter_for_each_element():
    found = sigma("un", np.arange(1.0, 7.0), 3)
    np.testing.assert_array_equal(found, [[1, 2, 3], [2, 4, 5], [3, 5, 6]])
    names = STRUCTURES["un"].parameter_names(("a", "b"))
    assert names == ("var(a)", "cov(a, b)", "var(b)")


def test_compound_symmetry_is_one_variance_and_one_covariance():
    np.testing.assert_array_equal(sigma("cs", [5.0, 2.0], 3), np.full((3, 3), 2) + 3 * np.eye(3))
    assert STRUCTURES["cs"].parameter_names(("a", "b", "c")) == ("variance", "covariance")


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("m", [1, 2, 5])
def test_every_row_has_symmetric_derivatives_and_a_name_for_each(name, m):
    structure = STRUCTURES[name]
    n = len(structure.is_variance(m))
    theta = np.where(structure.is_variance(m), 1.0, 0.3)
    E = structure.first(theta, np.arange(m, dtype=float))
    np.testing.assert_array_equal(E, E.transpose(0, 2, 1))
    assert E.shape == (n, m, m)
    labels = tuple("abcde"[:m])
    assert len(structure.parameter_names(labels)) == n == structure.count(m)
    assert len(set(structure.parameter_names(labels))) == n


@pytest.mark.parametrize("name", [name for name in EVERY if STRUCTURES[name].is_scheduled])
def test_scoring_starts_at_the_moments_where_these_are_a_covariance_of_the_structure(name):
    identity = 2.0 * np.eye(4)
    cs = sigma("cs", [2.0, 0.7], 4)
    ar1 = sigma("ar1", [2.0, 0.6], 4)
    holds_cs = name in ("un", "cs", "csh", "toep", "toeph")
    holds_ar1 = name in ("un", "toep", "toeph", "ar1", "ar1h", "ad", "adh")
    for moments, holds in ((identity, True), (cs, holds_cs), (ar1, holds_ar1)):
        if holds:
            theta = STRUCTURES[name].start(moments, np.full((4, 4), 30.0))
            np.testing.assert_allclose(sigma(name, theta, 4), moments, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("seed", range(5))
def test_scoring_starts_inside_the_bounds_whatever_the_moments(name, seed):
    rng = np.random.default_rng(seed)
    moments = rng.normal(size=(4, 4))
    moments = moments + moments.T  # pairwise moments need not be positive definite
    np.fill_diagonal(moments, rng.uniform(0.1, 2, 4))
    counts = np.ones((4, 4))
    counts[0, 3] = counts[3, 0] = 0
    theta = STRUCTURES[name].start(moments, counts)
    assert STRUCTURES[name].is_inside(theta, 4)
    # Towards independence, where a start that is not positive definite is moved.
    lone = np.where(STRUCTURES[name].is_variance(4), theta, 1e-3 * theta)
    assert np.linalg.eigvalsh(sigma(name, lone, 4)).min() > 0


@pytest.mark.parametrize("seed", range(5))
def test_scoring_of_un_and_cs_starts_at_a_positive_definite_matrix(seed):
    rng = np.random.default_rng(seed)
    moments = rng.normal(size=(4, 4))
    moments = moments + moments.T
    np.fill_diagonal(moments, rng.uniform(0.1, 2, 4))
    for name in ("un", "cs"):
        theta = STRUCTURES[name].start(moments, np.ones((4, 4)))
        assert np.linalg.eigvalsh(sigma(name, theta, 4)).min() > 0


@pytest.mark.parametrize("name", ["ar2", "UN", "", None, ["un"], 3, "toeplitz"])
def test_an_unknown_structure_is_refused_with_a_list_of_what_there_is(name):
    with pytest.raises(AibmdError, match=r"(?s)is not available.*un: .*cs: "):
        get_structure(name)


@pytest.mark.parametrize("text", ["un@", "@ar1", "un@ar2", "un@ar1@cs", "UN@ar1"])
def test_a_product_of_unknown_structures_is_refused(text):
    with pytest.raises(AibmdError, match="is not available"):
        parse_covariance(text)


def test_times_stand_right_of_a_product():
    with pytest.raises(AibmdError, match="write un@sp_exp"):
        parse_covariance("sp_exp@un")
    assert not parse_covariance("un@sp_exp").is_scheduled


def test_a_structure_says_which_column_it_lacks():
    with pytest.raises(AibmdError, match="needs repeated="):
        check_choice(parse_covariance("un@ar1"), None, None)
    with pytest.raises(AibmdError, match=r"covariance='un@ar1', or covariance='un' over all"):
        check_choice(parse_covariance("ar1"), "site", None)
    with pytest.raises(AibmdError, match="needs time="):
        check_choice(parse_covariance("sp_exp"), None, None)
    check_choice(parse_covariance("un"), "site", None)


@pytest.mark.parametrize("name", EVERY)
def test_correlations_of_one_are_outside(name):
    structure = STRUCTURES[name]
    free = ~structure.has_unit(4)
    theta = np.where(structure.is_variance(4), 1.0, 0.3)
    assert structure.is_inside(theta, 4)
    for position in np.flatnonzero(free):
        for bound in (1.0, -1.0):
            outside = theta.copy()
            outside[position] = bound
            assert not structure.is_inside(outside, 4)
