"""Terms made of terms: products, groups, and parameters that stay where they are."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.terms import CovarianceTerm, codes_of


@dataclass(frozen=True, slots=True)
class ProductTerm(CovarianceTerm):
    """V_ab = A[s_a, s_b] B[t_a, t_b], the first variance of B being one (C8)."""

    left: CovarianceTerm
    right: CovarianceTerm

    @property
    def names(self) -> tuple[str, ...]:
        """Those of A, then those of B without its first."""
        return (*self.left.names, *self.right.names[1:])

    @property
    def has_unit(self) -> BoolArray:
        """Units stay with A."""
        return np.concatenate([self.left.has_unit, np.zeros(len(self.right.names) - 1, bool)])

    @property
    def is_variance(self) -> BoolArray:
        """Those of A, then those of B without its first."""
        return np.concatenate([self.left.is_variance, self.right.is_variance[1:]])

    @property
    def may_vanish(self) -> BoolArray:
        """Those of B."""
        return np.concatenate([self.left.may_vanish, self.right.may_vanish[1:]])

    def _split(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        n = len(self.left.names)
        return theta[:n], np.concatenate([[1.0], theta[n:]])

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        a, b = self._split(theta)
        return self.left.value(a, rows) * self.right.value(b, rows)

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        a, b = self._split(theta)
        by_left = self.left.first(a, rows) * self.right.value(b, rows)
        by_right = self.left.value(a, rows) * self.right.first(b, rows)[1:]
        return np.concatenate([by_left, by_right])

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        a, b = self._split(theta)
        A1, B1 = self.left.first(a, rows), self.right.first(b, rows)[1:]
        n, r = len(A1), len(B1)
        out = np.zeros((n + r, n + r, *A1.shape[1:]))
        out[:n, n:] = A1[:, None] * B1[None]
        out[n:, :n] = A1[None] * B1[:, None]
        A2, B2 = self.left.second(a, rows), self.right.second(b, rows)
        if A2 is not None:
            out[:n, :n] = A2 * self.right.value(b, rows)
        if B2 is not None:
            out[n:, n:] = B2[1:, 1:] * self.left.value(a, rows)
        return out

    def is_inside(self, theta: FloatArray) -> bool:
        a, b = self._split(theta)
        return self.left.is_inside(a) and self.right.is_inside(b)


@dataclass(frozen=True, slots=True)
class GroupedTerm(CovarianceTerm):
    """Each level has parameters of its own; rows of different levels do not covary here."""

    base: CovarianceTerm
    labels: tuple[str, ...]
    axis: Literal["group", "residual_group"]

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the base for the first level, then for the second."""
        return tuple(f"{name} [{label}]" for label in self.labels for name in self.base.names)

    @property
    def has_unit(self) -> BoolArray:
        """As in the base."""
        return np.tile(self.base.has_unit, len(self.labels))

    @property
    def is_variance(self) -> BoolArray:
        """As in the base."""
        return np.tile(self.base.is_variance, len(self.labels))

    @property
    def may_vanish(self) -> BoolArray:
        """As in the base."""
        return np.tile(self.base.may_vanish, len(self.labels))

    def _parts(self, theta: FloatArray, rows: RowFeatures) -> list[tuple[FloatArray, FloatArray]]:
        code = codes_of(rows, self.axis)
        own = theta.reshape(len(self.labels), -1)
        both = [
            ((code == g)[..., :, None] & (code == g)[..., None, :]).astype(float)
            for g in range(len(own))
        ]
        return list(zip(own, both, strict=True))

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        parts = self._parts(theta, rows)
        return np.asarray(sum(self.base.value(own, rows) * both for own, both in parts))

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        parts = self._parts(theta, rows)
        return np.concatenate([self.base.first(own, rows) * both for own, both in parts])

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        blocks = []
        for own, both in self._parts(theta, rows):
            block = self.base.second(own, rows)
            if block is None:
                return None
            blocks.append(block * both)
        return _block_diagonal(blocks)

    def is_inside(self, theta: FloatArray) -> bool:
        return all(self.base.is_inside(own) for own in theta.reshape(len(self.labels), -1))


def _block_diagonal(blocks: list[FloatArray]) -> FloatArray:
    """(h_i, h_i, ...) arrays along the two leading axes, zero between them."""
    sizes = [len(block) for block in blocks]
    ends = np.cumsum(sizes)
    out = np.zeros((ends[-1], ends[-1], *blocks[0].shape[2:]))
    for block, end, size in zip(blocks, ends, sizes, strict=True):
        out[end - size : end, end - size : end] = block
    return out


@dataclass(frozen=True, slots=True)
class RestrictedTerm(CovarianceTerm):
    """A term some of whose parameters the data cannot speak of: they stay where they are."""

    base: CovarianceTerm
    free: BoolArray
    fixed: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the free parameters."""
        pairs = zip(self.base.names, self.free, strict=True)
        return tuple(name for name, is_free in pairs if is_free)

    @property
    def has_unit(self) -> BoolArray:
        """Of the free parameters."""
        return np.asarray(self.base.has_unit[self.free])

    @property
    def is_variance(self) -> BoolArray:
        """Of the free parameters."""
        return np.asarray(self.base.is_variance[self.free])

    @property
    def may_vanish(self) -> BoolArray:
        """Of the free parameters."""
        return np.asarray(self.base.may_vanish[self.free])

    def complete(self, theta: FloatArray) -> FloatArray:
        """All parameters, the free ones at theta."""
        full = self.fixed.copy()
        full[self.free] = theta
        return full

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        return self.base.value(self.complete(theta), rows)

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        return self.base.first(self.complete(theta), rows)[self.free]

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        second = self.base.second(self.complete(theta), rows)
        return None if second is None else second[self.free][:, self.free]

    def is_inside(self, theta: FloatArray) -> bool:
        return self.base.is_inside(self.complete(theta))
