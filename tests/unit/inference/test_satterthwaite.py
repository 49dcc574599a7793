"""Satterthwaite's formula and the rule for several df, on numbers that can be done by hand."""

import numpy as np
import pytest

from aibmd.inference.satterthwaite import combine_f_df, compute_df


def independent_parts(nu):
    """Phi = I, each variance v estimated on its own with 2 v^2 / nu."""
    q = len(nu)
    gradient = np.zeros((q, q, q))
    gradient[np.arange(q), np.arange(q), np.arange(q)] = 1.0
    # eigh orders directions by variance: spread them so that each keeps its df.
    variance = 1.0 + np.arange(q)
    return np.eye(q), np.diag(variance), gradient, np.diag(2.0 * variance**2 / np.asarray(nu))


def joint_df(nu):
    """Of the joint test of all parts."""
    L, Phi, gradient, W = independent_parts(nu)
    return combine_f_df(L, Phi, lambda rows: compute_df(rows, Phi, gradient, W))


def test_a_variance_estimated_on_nu_df_has_nu_df():
    np.testing.assert_allclose(compute_df(*independent_parts([5.0, 17.0])), [5.0, 17.0])


def test_welch_is_satterthwaite():
    """Two groups with their own variances: the textbook formula of Welch (1947)."""
    n, s2 = np.array([8, 23]), np.array([2.0, 7.0])
    Phi = np.diag(s2 / n)
    gradient = np.zeros((2, 2, 2))
    gradient[[0, 1], [0, 1], [0, 1]] = 1 / n
    W = np.diag(2 * s2**2 / (n - 1))
    welch = (s2 / n).sum() ** 2 / ((s2 / n) ** 2 / (n - 1)).sum()
    assert compute_df(np.array([[1.0, -1.0]]), Phi, gradient, W)[0] == pytest.approx(welch)


def test_the_scale_of_a_row_does_not_change_its_df():
    _, Phi, gradient, W = independent_parts([5.0, 17.0])
    mixed = np.array([[1.0, -2.0]])
    np.testing.assert_allclose(
        compute_df(1e-8 * mixed, Phi, gradient, W), compute_df(mixed, Phi, gradient, W)
    )


@pytest.mark.parametrize("nu", [[7.0], [12.0, 12.0], [30.0, 30.0, 30.0]])
def test_equal_df_are_kept(nu):
    assert joint_df(nu) == pytest.approx(nu[0])


def test_different_df_are_matched_on_the_mean_of_f():
    """E[t_nu^2] = nu / (nu - 2): 5 -> 5/3, 10 -> 5/4; F with d df has mean d / (d - 2)."""
    d = joint_df([5.0, 10.0])
    assert d / (d - 2) == pytest.approx((5 / 3 + 5 / 4) / 2)


@pytest.mark.parametrize("nu", [[2.0, 10.0], [0.7, 50.0], [1.5, 1.9]])
def test_a_direction_without_a_mean_leaves_two_df(nu):
    assert joint_df(nu) == 2.0


def test_equal_df_below_two_are_kept():
    assert joint_df([1.5, 1.5]) == pytest.approx(1.5)
