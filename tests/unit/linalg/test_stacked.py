"""Many small matrices at once against numpy, one at a time."""

import numpy as np
import pytest

from aibmd.linalg.stacked import invert_stacked, multiply_stacked


def spd_stack(q, n=40, seed=0):
    """(n, q, q), of very different scales."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, q, q))
    scale = 10.0 ** rng.integers(-6, 6, size=(n, q))
    return (A @ A.swapaxes(1, 2) + 0.5 * np.eye(q)) * scale[:, :, None] * scale[:, None], scale


@pytest.mark.parametrize(("a", "b", "c"), [(1, 1, 1), (2, 3, 4), (5, 2, 1), (3, 1, 3), (4, 4, 4)])
def test_products_are_those_of_each_pair(a, b, c):
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(a, b, 30)), rng.normal(size=(b, c, 30))
    want = np.einsum("abs,bcs->acs", left, right)
    np.testing.assert_allclose(multiply_stacked(left, right), want, rtol=1e-12, atol=1e-13)


def test_a_product_leaves_its_factors_as_they_were():
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(2, 2, 5)), rng.normal(size=(2, 2, 5))
    before = left.copy(), right.copy()
    multiply_stacked(left, right)
    np.testing.assert_array_equal(left, before[0])
    np.testing.assert_array_equal(right, before[1])


@pytest.mark.parametrize("q", [1, 2, 3, 6])
def test_inverses_and_log_determinants_are_those_of_each_matrix(q):
    stack, scale = spd_stack(q)
    inverse, logdet = invert_stacked(np.moveaxis(stack, 0, -1))
    want = np.linalg.inv(stack / scale[:, :, None] / scale[:, None])
    found = np.moveaxis(inverse, -1, 0) * scale[:, :, None] * scale[:, None]
    np.testing.assert_allclose(found, want, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(logdet, np.linalg.slogdet(stack)[1], rtol=1e-11, atol=1e-11)
    np.testing.assert_array_equal(inverse, inverse.swapaxes(0, 1))


@pytest.mark.parametrize(
    "bad", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], np.full((2, 2), np.nan)]
)
def test_one_matrix_that_is_not_positive_definite_is_refused(bad):
    stack, _ = spd_stack(2)
    stack[17] = bad
    with pytest.raises(np.linalg.LinAlgError):
        invert_stacked(np.moveaxis(stack, 0, -1))
