"""Every covariance term: its derivatives, its names, and which parameters are variances."""

import made_covariances as made
import numpy as np
import pytest
import textbook_covariances as tc

from aibmd.model.covariance import STRUCTURES
from aibmd.model.covariance.compositions import GroupedTerm, RestrictedTerm
from aibmd.model.covariance.effects import SumTerm

TERMS = made.make_terms()
ROWS = made.make_rows()
# Without a product a visit may not repeat in a subject.
ONE_SITE = made.make_rows(2, n_rows=3, n_sites=1)
terms = pytest.mark.parametrize("name", list(TERMS))


def term_and_theta(name):
    term, theta = TERMS[name]
    return term, theta.copy()


@terms
def test_first_derivatives_are_those_of_the_value(name):
    term, theta = term_and_theta(name)
    numeric = made.differentiate_numerically(lambda t: term.value(t, ROWS), theta)
    np.testing.assert_allclose(term.first(theta, ROWS), numeric, rtol=1e-9, atol=1e-10)


@terms
def test_second_derivatives_are_those_of_the_first(name):
    term, theta = term_and_theta(name)
    numeric = made.differentiate_numerically(lambda t: term.first(t, ROWS), theta)
    second = term.second(theta, ROWS)
    found = np.zeros_like(numeric) if second is None else second
    np.testing.assert_allclose(found, numeric, rtol=1e-8, atol=1e-9)


@terms
def test_there_is_a_name_for_each_parameter_and_no_name_twice(name):
    term, theta = term_and_theta(name)
    assert len(term.names) == len(theta) == len(set(term.names))
    assert len(term.has_unit) == len(term.is_variance) == len(theta)


@terms
def test_parameters_with_a_unit_are_those_that_scale_the_covariance(name):
    term, theta = term_and_theta(name)
    scaled = np.where(term.has_unit, 9.0 * theta, theta)
    np.testing.assert_allclose(term.value(scaled, ROWS), 9.0 * term.value(theta, ROWS), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name, (term, _) in TERMS.items() if not term.effects])
def test_parameters_that_are_no_variance_leave_nothing_but_a_diagonal_at_zero(name):
    term, theta = term_and_theta(name)
    lone = np.where(term.is_variance, theta, 0.0)
    V = term.value(lone, ROWS if "@" in name else ONE_SITE)
    diagonal = np.zeros_like(V)
    at = np.arange(V.shape[-1])
    diagonal[..., at, at] = V[..., at, at]
    np.testing.assert_array_equal(V, diagonal)
    assert (V[..., at, at] > 0).all()


@terms
def test_made_up_parameters_are_inside_and_a_negative_variance_is_not(name):
    term, theta = term_and_theta(name)
    assert term.is_inside(theta)
    V = term.value(theta, ROWS if "@" in name else ONE_SITE)
    assert np.linalg.eigvalsh(V).min() > 0.01
    own = term.is_variance.copy()
    for block in term.effects:
        own[block.begin : block.end] = False  # G is kept positive semidefinite by its factor
    for position in np.flatnonzero(own):
        outside = theta.copy()
        outside[position] = -0.1
        assert not term.is_inside(outside)


@pytest.mark.parametrize("name", list(STRUCTURES))
def test_a_structure_is_its_textbook_entry(name):
    term, theta = term_and_theta(name)
    positions = ROWS.time if name == "sp_exp" else ROWS.visit
    for V, where in zip(term.value(theta, ROWS), positions, strict=True):
        want = [[tc.entry(name, theta, a, b, 4) for b in where] for a in where]
        np.testing.assert_allclose(V, want, rtol=1e-13)


@pytest.mark.parametrize("name", made.PRODUCTS)
def test_a_product_is_the_product_of_two_entries_the_right_one_with_first_variance_one(name):
    term, theta = term_and_theta(name)
    left, right = name.split("@")
    n = tc.N_PARAMETERS[left](2)
    b_theta = [1.0, *theta[n:]]
    positions = ROWS.time if right == "sp_exp" else ROWS.visit
    V = term.value(theta, ROWS)
    for i, (site, where) in enumerate(zip(ROWS.repeated, positions, strict=True)):
        A = [[tc.entry(left, theta[:n], a, b, 2) for b in site] for a in site]
        B = [[tc.entry(right, b_theta, a, b, 4) for b in where] for a in where]
        np.testing.assert_allclose(V[i], np.multiply(A, B), rtol=1e-13)


def test_levels_of_a_group_have_their_own_parameters_in_turn():
    term, theta = term_and_theta("ar1h by arm")
    assert isinstance(term, GroupedTerm)
    V = term.value(theta, ROWS)
    own = theta.reshape(2, -1)
    for i, group in enumerate(ROWS.group[:, 0]):
        np.testing.assert_array_equal(V[i], made.one_visit_term("ar1h").value(own[group], ROWS)[i])
    assert term.names[0] == "var(v1) [a]"
    assert term.names[5] == "var(v1) [b]"


def test_rows_of_different_residual_groups_share_random_effects_alone():
    term, theta = term_and_theta("slope + ar1 by site")
    assert isinstance(term, SumTerm)
    effects = term.parts[0].value(theta[:3], ROWS)
    apart = ROWS.repeated[:, :, None] != ROWS.repeated[:, None]
    np.testing.assert_array_equal(term.value(theta, ROWS)[apart], effects[apart])


def test_an_effect_of_an_inner_level_is_shared_within_it_alone():
    term, theta = term_and_theta("nested")
    V = term.value(theta, ROWS)
    without = term.value(np.where(np.arange(5) == 3, 0.0, theta), ROWS)
    same = ROWS.repeated[:, :, None] == ROWS.repeated[:, None]
    np.testing.assert_allclose(V - without, 0.5 * same, atol=1e-14)


def test_a_restricted_term_is_the_term_at_the_fixed_values():
    base, theta = term_and_theta("adh")
    free = np.array([True, False, True, True, False, True, True])
    term = RestrictedTerm(base, free, theta)
    np.testing.assert_array_equal(term.value(theta[free], ROWS), base.value(theta, ROWS))
    np.testing.assert_array_equal(term.first(theta[free], ROWS), base.first(theta, ROWS)[free])
    np.testing.assert_array_equal(
        term.second(theta[free], ROWS), base.second(theta, ROWS)[np.ix_(free, free)]
    )
    assert term.names == tuple(n for n, kept in zip(base.names, free, strict=True) if kept)
    assert len(term.has_unit) == len(term.is_variance) == 5


@pytest.mark.parametrize("name", ["ar1", "ar1h"])
def test_derivatives_of_a_power_exist_where_the_correlation_is_nil(name):
    term, theta = term_and_theta(name)
    theta[-1] = 0.0
    for part in (term.value(theta, ROWS), term.first(theta, ROWS), term.second(theta, ROWS)):
        assert np.isfinite(part).all()
    at_lag_one = term.second(theta, ROWS)[-1, -1]
    lag = abs(ROWS.visit[:, :, None] - ROWS.visit[:, None])
    # Second derivative of rho^2 at nil is two.
    assert (at_lag_one[lag == 2] > 0).all()
    assert (at_lag_one[lag != 2] == 0).all()
