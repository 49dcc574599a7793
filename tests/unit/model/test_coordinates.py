"""G = L L' as coordinates: there and back, and its derivatives."""

import numpy as np
import pytest
from made_covariances import differentiate_numerically

from aibmd.model.coordinates import Coordinates, score_matrix, unpack_effects
from aibmd.model.covariance.terms import EffectsBlock

BLOCKS = {
    "none": (),
    "one": (EffectsBlock(0, 1),),
    "two": (EffectsBlock(0, 2),),
    "three": (EffectsBlock(0, 3),),
    "nested": (EffectsBlock(0, 2), EffectsBlock(3, 1), EffectsBlock(4, 3)),
    "later": (EffectsBlock(2, 2),),
}
blocks = pytest.mark.parametrize("name", list(BLOCKS))


def make_theta(effects, seed=0):
    """Positive definite G in every block, anything elsewhere."""
    rng = np.random.default_rng(seed)
    n = max((block.end for block in effects), default=0) + 2
    theta = rng.normal(size=n)
    for block in effects:
        A = rng.normal(size=(block.q, block.q))
        G = A @ A.T + 0.2 * np.eye(block.q)
        theta[block.begin : block.end] = G[np.triu_indices(block.q)]
    return theta


@blocks
def test_there_and_back_is_the_same_theta(name):
    coordinates, theta = Coordinates(BLOCKS[name]), make_theta(BLOCKS[name])
    before = theta.copy()
    np.testing.assert_allclose(coordinates.to_theta(coordinates.to_phi(theta)), theta, atol=1e-13)
    np.testing.assert_array_equal(theta, before)


@blocks
def test_parameters_outside_the_blocks_are_their_own_coordinates(name):
    effects = BLOCKS[name]
    theta = make_theta(effects)
    outside = np.ones(len(theta), dtype=bool)
    for block in effects:
        outside[block.begin : block.end] = False
    np.testing.assert_array_equal(Coordinates(effects).to_phi(theta)[outside], theta[outside])


@blocks
def test_the_jacobian_is_the_derivative_of_theta(name):
    coordinates = Coordinates(BLOCKS[name])
    phi = coordinates.to_phi(make_theta(BLOCKS[name]))
    numeric = differentiate_numerically(coordinates.to_theta, phi).T
    np.testing.assert_allclose(coordinates.jacobian(phi), numeric, atol=1e-10)


@blocks
def test_the_bend_is_minus_the_score_times_the_second_derivatives(name):
    coordinates = Coordinates(BLOCKS[name])
    phi = coordinates.to_phi(make_theta(BLOCKS[name]))
    score = np.random.default_rng(4).normal(size=len(phi))
    numeric = -differentiate_numerically(lambda p: coordinates.jacobian(p).T @ score, phi)
    np.testing.assert_allclose(coordinates.bend(score), numeric, atol=1e-9)


@pytest.mark.parametrize(
    "G",
    [
        np.zeros((2, 2)),
        [[4.0, 2.0], [2.0, 1.0]],
        [[0.0, 0.0], [0.0, 3.0]],
        [[3.0, 0.0], [0.0, 0.0]],
    ],
    ids=["nothing", "correlation one", "no intercept", "no slope"],
)
def test_a_singular_g_has_coordinates_and_a_flat_jacobian(G):
    G = np.asarray(G)
    coordinates = Coordinates((EffectsBlock(0, 2),))
    theta = np.append(G[np.triu_indices(2)], 0.7)
    phi = coordinates.to_phi(theta)
    np.testing.assert_allclose(coordinates.to_theta(phi), theta, atol=1e-12)
    # Matrices of rank r have 2 r - r (r - 1) / 2 dimensions; one more is the other parameter.
    rank = int(np.linalg.matrix_rank(G))
    wanted = 2 * rank - rank * (rank - 1) // 2 + 1
    assert np.linalg.matrix_rank(coordinates.jacobian(phi), tol=1e-9) == wanted


def test_the_score_matrix_gives_the_change_of_the_likelihood_for_any_change_of_g():
    block = EffectsBlock(1, 3)
    rng = np.random.default_rng(2)
    score = rng.normal(size=8)
    S = score_matrix(score, block)
    change = rng.normal(size=8)
    dG = unpack_effects(change, block)
    assert np.sum(S * dG) == pytest.approx(score[1:7] @ change[1:7])
