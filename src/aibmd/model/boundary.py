"""Random effects on the boundary: what may still move, and whether the end is a maximum.

Where G has rank r < q, a maximum needs the score along the null space U of G not to be
positive, U'S U <= 0 (B3). The parameters then move on the set of matrices of rank r: along
M with U'M U = 0, whose second-order part is U'M G^+ M U (B4). Labels as in
docs/methods/random_effects.md.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coordinates import score_matrix, unpack_effects
from aibmd.model.covariance.terms import EffectsBlock

# An effect whose variance is below this share of what its score could resolve counts as none.
RANK_TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True)
class Boundary:
    """Directions in which theta can move, and the bend of the boundary along them.

    Attributes
    ----------
    tangent : (n_theta, t) array
    bend : (t, t) array
        To be added to the information along `tangent`.
    n_lost : int
        Rank lost over all blocks.
    escape : (n_theta,) array or None
        A direction from the boundary inwards along which the likelihood rises.
    """

    tangent: FloatArray
    bend: FloatArray
    n_lost: int
    escape: FloatArray | None

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def restrict(self, information: FloatArray, with_bend: bool = True) -> FloatArray:
        """Information along the tangent directions."""
        along = self.tangent.T @ information @ self.tangent
        return np.asarray(along + self.bend if with_bend else along)


def examine_boundary(
    theta: FloatArray,
    score: FloatArray,
    known_mean: FloatArray,
    effects: tuple[EffectsBlock, ...],
) -> Boundary:
    """Find the rank of every G and the directions left.

    Parameters
    ----------
    theta, score : (n_theta,) arrays
    known_mean : (n_theta, n_theta) array
        Information; its diagonal gives each variance a scale.
    effects : tuple of EffectsBlock
    """
    n = len(theta)
    in_block = np.zeros(n, dtype=bool)
    tangents, bends, n_lost, escape = [], [], 0, None
    for block in effects:
        in_block[block.begin : block.end] = True
        T, bend, lost, out = _examine_block(theta, score, known_mean, block)
        wide = np.zeros((n, T.shape[1]))
        wide[block.begin : block.end] = T
        tangents.append(wide)
        bends.append(bend)
        n_lost += lost
        if out is not None and escape is None:
            escape = np.zeros(n)
            escape[block.begin : block.end] = out
    others = np.eye(n)[:, ~in_block]
    tangent = np.column_stack([*tangents, others])
    bend = np.zeros((tangent.shape[1], tangent.shape[1]))
    begin = 0
    for small in bends:
        bend[begin : begin + len(small), begin : begin + len(small)] = small
        begin += len(small)
    return Boundary(tangent, bend, n_lost, escape)


def _examine_block(
    theta: FloatArray, score: FloatArray, known_mean: FloatArray, block: EffectsBlock
) -> tuple[FloatArray, FloatArray, int, FloatArray | None]:
    q = block.q
    row, col = np.triu_indices(q)
    # One standard error of each variance were the others known: a scale without a unit.
    on_diagonal = np.arange(block.begin, block.end)[row == col]
    information = known_mean[on_diagonal, on_diagonal]
    scale = np.where(information > 0, information, 1.0) ** -0.25
    G = unpack_effects(theta, block) / scale[:, None] / scale
    S = score_matrix(score, block) * scale[:, None] * scale
    values, vectors = np.linalg.eigh(G)
    is_null = values <= RANK_TOLERANCE
    U0, U1 = vectors[:, is_null], vectors[:, ~is_null]
    within = U0.T @ S @ U0
    pairs = [(u, v) for u in range(q) for v in range(u, q) if not (is_null[u] and is_null[v])]
    matrices = []
    for u, v in pairs:
        M = np.outer(vectors[:, u], vectors[:, v])
        matrices.append(M if u == v else M + M.T)
    T = np.array([(M * scale[:, None] * scale)[row, col] for M in matrices]).reshape(-1, len(row)).T
    bend = np.zeros((len(pairs), len(pairs)))
    if U0.shape[1]:
        across = [U0.T @ M @ U1 for M in matrices]
        inner = [one / values[~is_null] for one in across]
        for i, left in enumerate(inner):
            for j, right in enumerate(across):
                bend[i, j] = -2.0 * float(np.sum(within * (left @ right.T)))
    escape = None
    if U0.shape[1]:
        gains, directions = np.linalg.eigh(within)
        # The score in standard errors: what a variance of one standard error would gain.
        if gains[-1] > 1e-4:
            out = U0 @ directions[:, -1]
            escape = (np.outer(out, out) * scale[:, None] * scale)[row, col]
    return T, 0.5 * (bend + bend.T), int(is_null.sum()), escape
