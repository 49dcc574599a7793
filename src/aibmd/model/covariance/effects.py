"""Random effects Z G Z' and their sum with a residual covariance."""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.terms import CovarianceTerm, EffectsBlock


@dataclass(frozen=True, slots=True)
class RandomEffectsTerm(CovarianceTerm):
    """V_ab = z_a' G z_b where rows a and b have the same level of a grouping (C9).

    Attributes
    ----------
    part : int
        Which of the rows' random parts.
    grouping : str
        ``subject`` or ``subject:site``, for names.
    columns : tuple of str
        Columns of Z.
    is_diagonal : bool
        Whether effects of different columns are uncorrelated.
    """

    part: int
    grouping: str
    columns: tuple[str, ...]
    is_diagonal: bool

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Row and column of G of each parameter."""
        q = range(len(self.columns))
        if self.is_diagonal:
            return [(u, u) for u in q]
        return list(combinations_with_replacement(q, 2))

    @property
    def names(self) -> tuple[str, ...]:
        """Variances and covariances of the effects."""
        where = f"| {self.grouping}"
        label = self.columns
        return tuple(
            f"var({label[u]} {where})" if u == v else f"cov({label[u]}, {label[v]} {where})"
            for u, v in self.pairs
        )

    @property
    def has_unit(self) -> BoolArray:
        """All are in squared units of the response."""
        return np.ones(len(self.pairs), dtype=bool)

    @property
    def is_variance(self) -> BoolArray:
        """The diagonal of G."""
        return np.array([u == v for u, v in self.pairs])

    @property
    def effects(self) -> tuple[EffectsBlock, ...]:
        """One block, or one for each effect where they are uncorrelated."""
        q = len(self.columns)
        if self.is_diagonal:
            return tuple(EffectsBlock(u, 1) for u in range(q))
        return (EffectsBlock(0, q),)

    def matrix(self, theta: FloatArray) -> FloatArray:
        """(q, q) covariance of the effects."""
        q = len(self.columns)
        G = np.zeros((q, q))
        for value, (u, v) in zip(theta, self.pairs, strict=True):
            G[u, v] = G[v, u] = value
        return G

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        part = rows.random[self.part]
        same = part.level[..., :, None] == part.level[..., None, :]
        return np.asarray(part.Z @ self.matrix(theta) @ np.swapaxes(part.Z, -1, -2) * same)

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        part = rows.random[self.part]
        same = part.level[..., :, None] == part.level[..., None, :]
        products = []
        for u, v in self.pairs:
            product = part.Z[..., :, None, u] * part.Z[..., None, :, v]
            products.append(product if u == v else product + np.swapaxes(product, -1, -2))
        return np.asarray(np.stack(products) * same)

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        return None

    def is_inside(self, theta: FloatArray) -> bool:
        return True  # kept positive semidefinite by the coordinates of the search


@dataclass(frozen=True, slots=True)
class SumTerm(CovarianceTerm):
    """V = sum of terms with parameters of their own."""

    parts: tuple[CovarianceTerm, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of each term in turn."""
        return tuple(name for part in self.parts for name in part.names)

    @property
    def has_unit(self) -> BoolArray:
        """Of each term in turn."""
        return np.concatenate([part.has_unit for part in self.parts])

    @property
    def is_variance(self) -> BoolArray:
        """Of each term in turn."""
        return np.concatenate([part.is_variance for part in self.parts])

    @property
    def effects(self) -> tuple[EffectsBlock, ...]:
        """Those of the terms, shifted to their places."""
        found, begin = [], 0
        for part in self.parts:
            found += [EffectsBlock(begin + block.begin, block.q) for block in part.effects]
            begin += len(part.names)
        return tuple(found)

    @property
    def may_vanish(self) -> BoolArray:
        """Of each term in turn."""
        return np.concatenate([part.may_vanish for part in self.parts])

    def split(self, theta: FloatArray) -> list[FloatArray]:
        """The parameters of each term."""
        ends = np.cumsum([len(part.names) for part in self.parts])[:-1]
        return np.split(theta, ends)

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        pairs = zip(self.parts, self.split(theta), strict=True)
        return np.asarray(sum(part.value(own, rows) for part, own in pairs))

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        pairs = zip(self.parts, self.split(theta), strict=True)
        return np.concatenate([part.first(own, rows) for part, own in pairs])

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        found = [
            (part.second(own, rows), len(own))
            for part, own in zip(self.parts, self.split(theta), strict=True)
        ]
        shapes = [block.shape[2:] for block, _ in found if block is not None]
        if not shapes:
            return None
        out = np.zeros((len(theta), len(theta), *shapes[0]))
        end = 0
        for block, size in found:
            if block is not None:
                out[end : end + size, end : end + size] = block
            end += size
        return out

    def is_inside(self, theta: FloatArray) -> bool:
        return all(
            part.is_inside(own) for part, own in zip(self.parts, self.split(theta), strict=True)
        )
