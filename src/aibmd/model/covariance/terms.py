"""Covariance over rows as terms that compose: structures, products, groups, effects, sums.

A term maps parameters theta and row features to V, (..., k, k), with exact derivatives.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.structure import CovarianceStructure

Axis = Literal["visit", "repeated", "time"]


@dataclass(frozen=True, slots=True)
class EffectsBlock:
    """Where one matrix G of random effects lies in theta: packed upper triangle, q x q."""

    begin: int
    q: int

    @property
    def end(self) -> int:
        """One past the last parameter."""
        return self.begin + self.q * (self.q + 1) // 2


class CovarianceTerm(ABC):
    """V as a function of theta.

    `second` returns None where V is linear in theta.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """A name for each parameter."""

    @property
    @abstractmethod
    def has_unit(self) -> BoolArray:
        """Whether each parameter is in squared units of the response."""

    @property
    @abstractmethod
    def is_variance(self) -> BoolArray:
        """Whether each parameter is a variance; the others vanish where rows are independent."""

    @property
    def effects(self) -> tuple[EffectsBlock, ...]:
        """Blocks of theta that must stay positive semidefinite."""
        return ()

    @abstractmethod
    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        """V, (..., k, k)."""

    @abstractmethod
    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        """dV by each parameter, (h, ..., k, k)."""

    @abstractmethod
    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        """Second derivatives, (h, h, ..., k, k), or None."""

    @abstractmethod
    def is_inside(self, theta: FloatArray) -> bool:
        """Whether each parameter is within its own bounds."""


def _codes(rows: RowFeatures, axis: str) -> IntArray:
    codes = getattr(rows, axis)
    if codes is None:
        raise ValueError(f"rows carry no {axis}")
    return np.asarray(codes)


@dataclass(frozen=True, slots=True)
class StructureTerm(CovarianceTerm):
    """A structure over visits, over levels of the second repeated factor, or over times."""

    structure: CovarianceStructure
    labels: tuple[str, ...]
    axis: Axis

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each parameter."""
        return self.structure.parameter_names(self.labels)

    @property
    def has_unit(self) -> BoolArray:
        """Whether each parameter is in squared units."""
        return self.structure.has_unit(len(self.labels))

    @property
    def is_variance(self) -> BoolArray:
        """Whether each parameter is a variance."""
        return self.structure.is_variance(len(self.labels))

    def _spread(self, small: FloatArray, rows: RowFeatures) -> FloatArray:
        code = _codes(rows, self.axis)
        return np.asarray(small[..., code[..., :, None], code[..., None, :]])

    def _positions(self, rows: RowFeatures) -> FloatArray:
        if not self.structure.is_scheduled:
            return np.asarray(rows.time, dtype=float)
        return np.arange(len(self.labels), dtype=float)

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        small = self.structure.value(theta, self._positions(rows))
        return self._spread(small, rows) if self.structure.is_scheduled else small

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        small = self.structure.first(theta, self._positions(rows))
        return self._spread(small, rows) if self.structure.is_scheduled else small

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        if self.structure.second is None:
            return None
        small = self.structure.second(theta, self._positions(rows))
        return self._spread(small, rows) if self.structure.is_scheduled else small

    def is_inside(self, theta: FloatArray) -> bool:
        return self.structure.is_inside(theta, len(self.labels))


@dataclass(frozen=True, slots=True)
class IndependentTerm(CovarianceTerm):
    """v on the diagonal: errors that repeat nothing."""

    @property
    def names(self) -> tuple[str, ...]:
        """The residual variance."""
        return ("residual variance",)

    @property
    def has_unit(self) -> BoolArray:
        """It is in squared units."""
        return np.array([True])

    @property
    def is_variance(self) -> BoolArray:
        """It is a variance."""
        return np.array([True])

    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        return theta[0] * self.first(theta, rows)[0]

    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        shape = _row_shape(rows)
        return np.broadcast_to(np.eye(shape[-1]), (1, *shape, shape[-1]))

    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        return None

    def is_inside(self, theta: FloatArray) -> bool:
        return bool(theta[0] > 0)


def _row_shape(rows: RowFeatures) -> tuple[int, ...]:
    for codes in (rows.visit, rows.time, rows.residual_group, rows.repeated, rows.group):
        if codes is not None:
            return codes.shape
    return rows.random[0].level.shape


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

    def _parts(self, theta: FloatArray, rows: RowFeatures) -> list[tuple[FloatArray, FloatArray]]:
        code = _codes(rows, self.axis)
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
