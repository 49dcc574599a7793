"""Covariance over rows as terms that compose: structures, products, groups, effects, sums.

A term maps parameters theta and row features to V, (..., k, k), with exact derivatives.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np

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
    def may_vanish(self) -> BoolArray:
        """Correlations over time, whose limit of zero is independence and can be the maximum."""
        return np.zeros(len(self.names), dtype=bool)

    @property
    def effects(self) -> tuple[EffectsBlock, ...]:
        """Blocks of theta that must stay positive semidefinite."""
        return ()

    @abstractmethod
    def value(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        """V, (..., k, k)."""

    @abstractmethod
    def first(self, theta: FloatArray, rows: RowFeatures) -> FloatArray:
        """DV by each parameter, (h, ..., k, k)."""

    @abstractmethod
    def second(self, theta: FloatArray, rows: RowFeatures) -> FloatArray | None:
        """Second derivatives, (h, h, ..., k, k), or None."""

    @abstractmethod
    def is_inside(self, theta: FloatArray) -> bool:
        """Whether each parameter is within its own bounds."""


def codes_of(rows: RowFeatures, axis: str) -> IntArray:
    """The codes of one axis; rows without them are a mistake of ours."""
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

    @property
    def may_vanish(self) -> BoolArray:
        """The correlation of a structure over times."""
        return np.asarray(~self.has_unit & (not self.structure.is_scheduled))

    def _spread(self, small: FloatArray, rows: RowFeatures) -> FloatArray:
        code = codes_of(rows, self.axis)
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
        return np.asarray(theta[0] * self.first(theta, rows)[0])

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
