"""An orthonormal basis in declared order: which columns go, and what spans the null space."""

import numpy as np
import pytest

from aibmd.linalg import orthonormalise


def independent(n=30, p=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, p))


def check_basis(X, basis):
    Q = X[:, basis.kept] @ basis.transform
    np.testing.assert_allclose(Q.T @ Q, np.eye(len(basis.kept)), atol=1e-10)
    np.testing.assert_allclose(basis.transform, np.triu(basis.transform), atol=0)


def test_independent_columns_are_all_kept():
    X = independent()
    basis = orthonormalise(X)
    check_basis(X, basis)
    assert basis.kept.tolist() == [0, 1, 2, 3]
    assert basis.null_basis.shape == (4, 0)


def test_the_log_determinant_is_half_that_of_the_gram_matrix():
    X = independent()
    assert orthonormalise(X).log_det == pytest.approx(-0.5 * np.linalg.slogdet(X.T @ X)[1])


def test_the_later_of_two_equal_columns_is_dropped():
    X = independent()
    assert orthonormalise(X[:, [0, 1, 0, 2]]).kept.tolist() == [0, 1, 3]
    assert orthonormalise(X[:, [0, 0, 1, 1, 2]]).kept.tolist() == [0, 2, 4]


def test_of_a_dependent_set_the_last_declared_is_dropped():
    X = independent()
    X[:, 1] = X[:, 0] - 2 * X[:, 2]
    assert orthonormalise(X).kept.tolist() == [0, 1, 3]
    assert orthonormalise(X[:, [2, 1, 3, 0]]).kept.tolist() == [0, 1, 2]


def test_the_null_basis_spans_the_null_space():
    X = independent(p=6)
    X[:, 3] = X[:, 0] + X[:, 1]
    X[:, 5] = 3 * X[:, 2] - X[:, 4]
    basis = orthonormalise(X)
    check_basis(X, basis)
    assert basis.null_basis.shape == (6, 2)
    assert np.linalg.matrix_rank(basis.null_basis) == 6 - np.linalg.matrix_rank(X)
    np.testing.assert_allclose(X @ basis.null_basis, 0, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-12, 1e-3, 1e6, 1e12])
def test_no_column_is_dropped_for_its_unit(unit):
    X = independent() * np.array([1.0, unit, 1.0, 1 / unit])
    basis = orthonormalise(X)
    check_basis(X, basis)
    assert len(basis.kept) == 4


def test_a_column_of_zeros_is_dropped():
    X = independent()
    X[:, 1] = 0.0
    basis = orthonormalise(X)
    assert basis.kept.tolist() == [0, 2, 3]
    np.testing.assert_allclose(X @ basis.null_basis, 0, atol=0)


def test_with_fewer_rows_than_columns_the_first_columns_are_kept():
    X = independent(n=3, p=5)
    basis = orthonormalise(X)
    check_basis(X, basis)
    assert basis.kept.tolist() == [0, 1, 2]
    np.testing.assert_allclose(X @ basis.null_basis, 0, atol=1e-12)


def test_a_dependent_column_takes_no_place_from_those_after_it():
    X = independent(n=3, p=3)
    assert orthonormalise(X[:, [0, 0, 1, 2]]).kept.tolist() == [0, 2, 3]


def test_nearly_dependent_columns_are_kept_and_orthonormal():
    X = independent()
    X[:, 2] = X[:, 0] + 1e-5 * X[:, 2]  # the Gram matrix has lost these digits, QR has not
    basis = orthonormalise(X)
    check_basis(X, basis)
    assert len(basis.kept) == 4
