"""Converged and singular are separate answers, and both are free of units."""

import numpy as np
import pytest

from aibmd.model.diagnostics import certify
from aibmd.model.pattern_likelihood import Derivatives

NAMES = ("var(a)", "cov(a, b)", "var(b)")
ALL = np.array([[True, True]])
GOOD = np.array([[1.0, 0.3], [0.3, 2.0]])


def judge(decrement=1e-15, information=None, Sigma=GOOD, observed=ALL, known_mean=None):
    information = np.eye(3) if information is None else information
    derivatives = Derivatives(
        score=np.zeros(3),
        expected=information,
        observed=information,
        known_mean=np.eye(3) if known_mean is None else known_mean,
        P=np.zeros((3, 1, 1)),
    )
    return certify(decrement, derivatives, Sigma, observed, NAMES)


def test_a_maximum_is_certified_without_a_word():
    found = judge()
    assert found.converged
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


def test_a_singular_covariance_is_singular_however_small_the_gain():
    found = judge(Sigma=np.array([[1.0, 1.0 - 1e-9], [1.0 - 1e-9, 1.0]]))
    assert found.singular
    assert not found.converged
    assert found.smallest_correlation == pytest.approx(1e-9, rel=1e-3)


def test_a_pair_that_nobody_has_cannot_make_the_covariance_singular():
    Sigma = np.array([[1.0, 7.0], [7.0, 1.0]])
    assert not judge(Sigma=Sigma, observed=np.eye(2, dtype=bool)).singular
    assert judge(Sigma=Sigma).singular


@pytest.mark.parametrize("unit", [1e-12, 1e-4, 1e8])
def test_the_verdict_has_no_unit(unit):
    scale = np.array([1.0, unit])
    information = np.diag([1.0, unit**-2, unit**-4])
    Sigma = GOOD * scale[:, None] * scale
    found = judge(information=information, Sigma=Sigma, known_mean=2 * information)
    assert found.converged
    assert found.smallest_correlation == pytest.approx(judge().smallest_correlation)


def test_information_that_is_not_a_number_is_not_converged():
    assert not judge(information=np.diag([1.0, 1.0, np.nan])).converged


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_is_not_converged(bad):
    assert not judge(decrement=bad).converged
    assert judge(Sigma=np.array([[1.0, 0.0], [0.0, bad]])).singular
