"""Converged and singular are separate answers, and both are free of units."""

import numpy as np
import pytest

from aibmd.model.boundary import Boundary
from aibmd.model.criterion import Derivatives
from aibmd.model.diagnostics import certify

NAMES = ("var(a)", "cov(a, b)", "var(b)")


def inside(n=3, escape=None, n_lost=0):
    """Nothing lost: every parameter may move."""
    return Boundary(np.eye(n), np.zeros((n, n)), n_lost, escape)


def judge(decrement=1e-15, information=None, smallest=0.4, boundary=None, known_mean=None):
    information = np.eye(3) if information is None else information
    derivatives = Derivatives(
        score=np.zeros(3),
        expected=information,
        observed=information,
        known_mean=np.eye(3) if known_mean is None else known_mean,
        P=np.zeros((3, 1, 1)),
    )
    return certify(decrement, derivatives, smallest, boundary or inside(), NAMES)


def test_a_maximum_is_certified_without_a_word():
    found = judge()
    assert found.converged
    assert found.is_definite
    assert found.is_bounded
    assert not found.singular
    assert found.messages == ()


def test_log_likelihood_left_to_gain_is_half_the_decrement_and_is_told():
    found = judge(decrement=0.02)
    assert not found.converged
    assert not found.singular
    assert found.gain_left == 0.01
    assert "0.01 of log-likelihood" in found.messages[0]


def test_information_that_is_not_definite_names_the_weakest_parameters():
    v = np.array([0.0, 1.0, 1.0]) / np.sqrt(2)
    found = judge(information=np.eye(3) - np.outer(v, v) * (1 - 1e-12))
    assert not found.converged
    assert "cov(a, b)" in found.messages[0]
    assert "var(b)" in found.messages[0]
    assert "var(a)" not in found.messages[0]


def test_small_errors_are_not_singular_where_the_maximum_is_certified_otherwise():
    """Errors a thousandth of what women differ by: an eigenvalue of 1e-6, and a clear maximum."""
    assert judge(smallest=1e-7).converged
    assert not judge(smallest=1e-7).singular
    still_moving = judge(smallest=1e-7, decrement=1e-3)
    assert still_moving.singular
    assert not still_moving.is_bounded


def test_a_singular_covariance_is_singular_however_small_the_gain():
    found = judge(smallest=1e-11)
    assert found.singular
    assert not found.is_bounded
    assert not found.converged
    assert "rises without bound" in found.messages[0]


def test_an_effect_that_is_lost_is_singular_and_still_a_maximum():
    tangent = np.eye(3)[:, 1:]
    boundary = Boundary(tangent, np.zeros((2, 2)), 1, None)
    found = judge(boundary=boundary)
    assert found.singular
    assert found.converged
    assert "lose 1 of their dimensions" in found.messages[0]


def test_what_cannot_move_is_not_asked_for_information():
    boundary = Boundary(np.eye(3)[:, 1:], np.zeros((2, 2)), 1, None)
    information = np.diag([-7.0, 1.0, 1.0])
    assert judge(information=information, boundary=boundary).converged
    assert not judge(information=information).converged


def test_the_bend_of_the_boundary_counts_as_information():
    bend = np.diag([1.5, 0.0, 0.0])
    boundary = Boundary(np.eye(3), bend, 1, None)
    information = np.diag([-1.0, 1.0, 1.0])
    assert judge(information=information, boundary=boundary).converged
    assert not judge(information=information).converged


def test_a_way_inwards_and_upwards_is_no_maximum():
    found = judge(boundary=inside(escape=np.array([1.0, 0.0, 0.0]), n_lost=1))
    assert found.singular
    assert not found.converged


@pytest.mark.parametrize("unit", [1e-12, 1e-4, 1e8])
def test_the_verdict_has_no_unit(unit):
    information = np.diag([1.0, unit**-2, unit**-4])
    found = judge(information=information, known_mean=2 * information)
    assert found.converged
    assert found.smallest_information == pytest.approx(0.5)


def test_a_parameter_that_the_data_do_not_speak_of_is_the_first_to_be_named():
    known = np.diag([1.0, 1.0, 0.0])
    found = judge(information=known, known_mean=known)
    assert not found.converged
    assert not found.is_definite
    assert "least of all var(b)" in found.messages[0]


def test_information_that_is_not_a_number_is_not_converged():
    assert not judge(information=np.diag([1.0, 1.0, np.nan])).converged


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gain_that_is_not_a_number_is_not_converged(bad):
    assert not judge(decrement=bad).converged


def test_correlations_that_are_not_a_number_are_singular():
    for bad in (np.nan, -np.inf):
        found = judge(smallest=bad)
        assert found.singular
        assert not found.converged
