"""Coordinates of the search: G = L L' keeps random effects positive semidefinite.

Other parameters are their own coordinates. A zero of L is stationary for any data, so where
the search ends with one the score for G itself decides (`boundary`). Labels (B1), (B2) are
those of docs/methods/random_effects.md.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance.terms import EffectsBlock


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Maps between covariance parameters theta and coordinates phi of the same length."""

    effects: tuple[EffectsBlock, ...]

    def to_phi(self, theta: FloatArray) -> FloatArray:
        """Replace each G by its lower factor; G must be positive semidefinite."""
        phi = theta.copy()
        for block in self.effects:
            phi[block.begin : block.end] = _pack_lower(_factor(_unpack(theta, block)))
        return phi

    def to_theta(self, phi: FloatArray) -> FloatArray:
        """Replace each L by L L'."""
        theta = phi.copy()
        for block in self.effects:
            L = _lower(phi, block)
            theta[block.begin : block.end] = (L @ L.T)[np.triu_indices(block.q)]
        return theta

    def jacobian(self, phi: FloatArray) -> FloatArray:
        """Jacobian of theta by phi (B1)."""
        J = np.eye(len(phi))
        for block in self.effects:
            J[block.begin : block.end, block.begin : block.end] = _factor_jacobian(
                _lower(phi, block)
            )
        return J

    def bend(self, score: FloatArray) -> FloatArray:
        """Minus the score times the second derivatives of theta by phi (B2)."""
        B = np.zeros((len(score), len(score)))
        for block in self.effects:
            S = score_matrix(score, block)
            row, col = np.tril_indices(block.q)
            same = col[:, None] == col[None]
            B[block.begin : block.end, block.begin : block.end] = -2.0 * same * S[np.ix_(row, row)]
        return B


def score_matrix(score: FloatArray, block: EffectsBlock) -> FloatArray:
    """S with dl = sum S * dG: an off-diagonal parameter moves two elements, hence the half."""
    S = _unpack(score, block)
    return np.asarray(np.where(np.eye(block.q, dtype=bool), S, 0.5 * S))


def _unpack(values: FloatArray, block: EffectsBlock) -> FloatArray:
    G = np.zeros((block.q, block.q))
    row, col = np.triu_indices(block.q)
    G[row, col] = G[col, row] = values[block.begin : block.end]
    return G


def unpack_effects(theta: FloatArray, block: EffectsBlock) -> FloatArray:
    """G of one block."""
    return _unpack(theta, block)


def _lower(phi: FloatArray, block: EffectsBlock) -> FloatArray:
    L = np.zeros((block.q, block.q))
    L[np.tril_indices(block.q)] = phi[block.begin : block.end]
    return L


def _pack_lower(L: FloatArray) -> FloatArray:
    return np.asarray(L[np.tril_indices(len(L))])


def _factor(G: FloatArray) -> FloatArray:
    """Lower L with L L' = G, also for a singular G."""
    values, vectors = np.linalg.eigh(G)
    # Largest first: a zero of L then leaves every direction of a G of this rank within reach.
    root = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    R: FloatArray = np.asarray(np.linalg.qr(root.T, mode="r"))
    return np.asarray((R * np.where(np.diagonal(R) < 0, -1.0, 1.0)[:, None]).T)


def _factor_jacobian(L: FloatArray) -> FloatArray:
    """Jacobian of packed upper(L L') by packed lower(L)."""
    q = len(L)
    upper = np.triu_indices(q)
    columns = []
    for a, b in zip(*np.tril_indices(q), strict=True):
        D = np.zeros((q, q))
        D[a] += L[:, b]
        D[:, a] += L[:, b]
        columns.append(D[upper])
    return np.column_stack(columns)
