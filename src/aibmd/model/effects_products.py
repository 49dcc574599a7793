"""Sums of q x q size per subject for random effects with independent errors."""

import numpy as np

from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RandomPart
from aibmd.model.effects_likelihood import EffectsProducts


def collect_effects_products(
    Z: FloatArray,
    parts: tuple[RandomPart, ...],
    order: IntArray,
    starts: IntArray,
    count: FloatArray | None,
) -> EffectsProducts:
    """Sum Z'Z and Z'[Q, r] subject by subject.

    Parameters
    ----------
    Z : (n, p + 1) array
        Scaled rows [Q, r].
    parts : tuple of RandomPart
        Long form.
    order : (n,) int array
        Rows sorted by subject.
    starts : (S,) int array
        Where each subject begins in `order`.
    count : (n,) array or None
        Sampling weight of each row's subject.
    """
    is_sorted = bool((np.diff(order) == 1).all())
    rows = Z if is_sorted else Z[order]
    U = np.column_stack([_widen(part, order, starts) for part in parts])
    q, width = U.shape[1], rows.shape[1]
    n_subjects = len(starts)
    ZZ = np.empty((q, q, n_subjects))
    for u in range(q):
        for v in range(u, q):
            ZZ[u, v] = ZZ[v, u] = np.add.reduceat(U[:, u] * U[:, v], starts)
    ZD = np.empty((q, width, n_subjects))
    for u in range(q):
        ZD[u] = np.add.reduceat(U[:, u, None] * rows, starts, axis=0).T
    weight = np.ones(n_subjects) if count is None else count[order][starts]
    counted = rows if count is None else rows * count[order][:, None]
    n_rows = float(len(rows)) if count is None else float(count.sum())
    return EffectsProducts(ZZ, ZD, counted.T @ rows, n_rows, weight)


def effect_directions(
    term: SumTerm, parts: tuple[RandomPart, ...], order: IntArray, starts: IntArray
) -> FloatArray:
    """(g, q, q): derivatives of the widened G by its parameters."""
    blocks = []
    sizes = []
    for effect in term.parts:
        if not isinstance(effect, RandomEffectsTerm):
            continue
        copies = _copies(parts[effect.part], order, starts)
        columns = len(effect.columns)
        E = np.array([effect.matrix(unit) for unit in np.eye(len(effect.names))])
        blocks.append(np.array([np.kron(np.eye(copies), one) for one in E]))
        sizes.append(copies * columns)
    total, ends = sum(sizes), np.cumsum(sizes)
    out = []
    for block, end, size in zip(blocks, ends, sizes, strict=True):
        wide = np.zeros((len(block), total, total))
        wide[:, end - size : end, end - size : end] = block
        out.append(wide)
    return np.concatenate(out)


def _ranks(part: RandomPart, order: IntArray, starts: IntArray) -> IntArray:
    """Rank of each sorted row's level among the levels of its subject, from zero."""
    level = part.level[order]
    subject = np.zeros(len(order), dtype=np.intp)
    subject[starts[1:]] = 1
    subject = np.cumsum(subject)
    key = subject * (int(level.max()) + 1) + level
    _, inverse = np.unique(key, return_inverse=True)
    first = np.full(int(subject[-1]) + 1, len(key), dtype=np.intp)
    np.minimum.at(first, subject, inverse)
    return np.asarray(inverse - first[subject], dtype=np.intp)


def _copies(part: RandomPart, order: IntArray, starts: IntArray) -> int:
    """Most levels that one subject has."""
    return int(_ranks(part, order, starts).max()) + 1 if part.level.any() else 1


def _widen(part: RandomPart, order: IntArray, starts: IntArray) -> FloatArray:
    """Z with a set of columns for each level of a subject."""
    Z = part.Z[order]
    if not part.level.any():
        return Z
    rank = _ranks(part, order, starts)
    wide = np.zeros((len(Z), int(rank.max()) + 1, Z.shape[1]))
    wide[np.arange(len(Z)), rank] = Z
    return np.asarray(wide.reshape(len(Z), -1))
