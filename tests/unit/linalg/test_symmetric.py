"""Packed symmetric storage and padded inverses against their definitions."""

import numpy as np
import pytest

from aibmd.linalg import (
    inverse_spd,
    invert_padded,
    make_padding,
    pack_symmetric,
    packed_weights,
    unpack_symmetric,
)


def random_spd(size, seed=0):
    A = np.random.default_rng(seed).normal(size=(size, size))
    return A @ A.T + 0.5 * np.eye(size)


def test_packed_order_is_the_upper_triangle_by_rows():
    matrix = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    np.testing.assert_array_equal(pack_symmetric(matrix), [1, 2, 3, 4, 5, 6])


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_unpacking_undoes_packing_for_a_stack(size):
    stack = np.stack([random_spd(size, seed) for seed in range(3)])
    np.testing.assert_array_equal(unpack_symmetric(pack_symmetric(stack), size), stack)


def test_packed_weights_give_the_sum_of_all_products():
    first, second = random_spd(4, 1), random_spd(4, 2)
    assert pack_symmetric(first) @ packed_weights(second) == pytest.approx((first * second).sum())


def test_padded_inverse_is_the_inverse_of_each_block_and_zero_elsewhere():
    matrix = random_spd(5)
    observed = np.array(
        [[1, 1, 1, 1, 1], [1, 0, 1, 0, 1], [0, 0, 0, 1, 0], [0, 1, 1, 0, 0]], dtype=bool
    )
    found = invert_padded(matrix, make_padding(observed))
    for k, seen in enumerate(observed):
        block = np.ix_(seen, seen)
        want = np.zeros((5, 5))
        want[block] = np.linalg.inv(matrix[block])
        np.testing.assert_allclose(found.inverse[k], want, atol=1e-13)
        assert found.logdet[k] == pytest.approx(np.linalg.slogdet(matrix[block])[1], abs=1e-12)


def test_a_block_that_nobody_has_need_not_be_positive_definite():
    matrix = np.array([[1.0, 0.0, 5.0], [0.0, 1.0, 0.0], [5.0, 0.0, 1.0]])
    apart = np.array([[True, True, False], [False, True, True]])
    assert invert_padded(matrix, make_padding(apart)) is not None
    assert invert_padded(matrix, make_padding(np.array([[True, False, True]]))) is None


def test_inverse_spd_is_the_inverse_whatever_the_scales():
    matrix = random_spd(4)
    scale = np.array([1e-9, 1.0, 1e5, 1e12])
    want = np.linalg.inv(matrix) / scale[:, None] / scale
    np.testing.assert_allclose(inverse_spd(matrix * scale[:, None] * scale), want, rtol=1e-12)


@pytest.mark.parametrize("bad", [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]], [[-1.0]]])
def test_inverse_spd_refuses_a_matrix_that_is_not_positive_definite(bad):
    with pytest.raises(np.linalg.LinAlgError):
        inverse_spd(np.array(bad))
