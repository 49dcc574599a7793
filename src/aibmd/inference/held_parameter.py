"""Coordinates in which one covariance parameter is held while the others stay free.

The search runs in x: t for what is held, and for the rest the coordinates phi of the fit
(`model.coordinates`), in an order that puts the held random effects first, so that G stays
positive semidefinite wherever they are held. Labels (V1) to (V4) are those of
docs/methods/covariance_intervals.md.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.coordinates import Coordinates
from aibmd.model.covariance.terms import EffectsBlock


class Placement(ABC):
    """How coordinates x, with t among them, make phi."""

    __slots__ = ()

    @abstractmethod
    def phi(self, x: FloatArray) -> FloatArray:
        """Coordinates of the search."""

    @abstractmethod
    def x(self, phi: FloatArray) -> FloatArray:
        """Undo `phi`."""

    @abstractmethod
    def jacobian(self, x: FloatArray) -> FloatArray:
        """D phi / d x."""

    def bend(self, x: FloatArray, score: FloatArray) -> FloatArray:
        """Minus the score by phi times second derivatives of phi, t being held."""
        return np.zeros((len(x), len(x)))

    def is_inside(self, x: FloatArray) -> bool:
        """Whether x means what it should."""
        return True


@dataclass(frozen=True, slots=True)
class Link:
    """A scale on which a parameter is held; t = to_t(value)."""

    name: str

    def to_t(self, value: float) -> float:
        """The held scale."""
        if self.name == "log SD":
            return 0.5 * float(np.log(value))
        if self.name == "Fisher z":
            return float(np.arctanh(value))
        if self.name == "logit":
            return float(np.log(value) - np.log1p(-value))
        return value

    def to_value(self, t: float) -> float:
        """The parameter."""
        if self.name == "log SD":
            return float(np.exp(2.0 * t))
        if self.name == "Fisher z":
            return float(np.tanh(t))
        if self.name == "logit":
            return float(1.0 / (1.0 + np.exp(-t)))
        return t

    def slope(self, t: float) -> float:
        """D value / d t."""
        value = self.to_value(t)
        if self.name == "log SD":
            return 2.0 * value
        if self.name == "Fisher z":
            return 1.0 - value**2
        if self.name == "logit":
            return value * (1.0 - value)
        return 1.0


@dataclass(frozen=True, slots=True)
class HeldAlone(Placement):
    """One coordinate held on a scale of its own (V1); an SD of random effects is one of L."""

    place: int
    link: Link

    def phi(self, x: FloatArray) -> FloatArray:
        """Coordinates of the search."""
        out = x.copy()
        out[self.place] = self.link.to_value(x[self.place])
        return out

    def x(self, phi: FloatArray) -> FloatArray:
        """Undo `phi`."""
        out = phi.copy()
        out[self.place] = self.link.to_t(phi[self.place])
        return out

    def jacobian(self, x: FloatArray) -> FloatArray:
        """D phi / d x."""
        J = np.eye(len(x))
        J[self.place, self.place] = self.link.slope(x[self.place])
        return J


@dataclass(frozen=True, slots=True)
class HeldCorrelation(Placement):
    """A covariance follows two variances, c = tanh(t) sqrt(v w); a pinned one is left out (V2)."""

    place: int
    variances: tuple[int, ...]

    def _root(self, x: FloatArray) -> float:
        """sqrt(v w); the same variance may stand twice."""
        return float(np.sqrt(np.prod(x[list(self.variances)])))

    def phi(self, x: FloatArray) -> FloatArray:
        """Coordinates of the search."""
        out = x.copy()
        out[self.place] = np.tanh(x[self.place]) * self._root(x)
        return out

    def x(self, phi: FloatArray) -> FloatArray:
        """Undo `phi`."""
        out = phi.copy()
        out[self.place] = np.arctanh(phi[self.place] / self._root(phi))
        return out

    def jacobian(self, x: FloatArray) -> FloatArray:
        """D phi / d x."""
        J, rho, root = np.eye(len(x)), np.tanh(x[self.place]), self._root(x)
        J[self.place, self.place] = (1.0 - rho**2) * root
        for v in self.variances:
            J[self.place, v] += 0.5 * rho * root / x[v]
        return J

    def bend(self, x: FloatArray, score: FloatArray) -> FloatArray:
        """Minus the score by phi times second derivatives of phi, t being held."""
        out = np.zeros((len(x), len(x)))
        value = np.tanh(x[self.place]) * self._root(x)
        for v in self.variances:
            out[v, v] += 0.5 * value / x[v] ** 2
            for w in self.variances:
                out[v, w] -= 0.25 * value / (x[v] * x[w])
        return np.asarray(score[self.place] * out)


@dataclass(frozen=True, slots=True)
class HeldEffectsCorrelation(Placement):
    """Second row of L: s (tanh t, 1 / cosh t), s the SD of the second effect (V3)."""

    place: int  # of the first element of that row, which becomes t; the next becomes s

    def phi(self, x: FloatArray) -> FloatArray:
        """Coordinates of the search."""
        out, t, sd = x.copy(), x[self.place], x[self.place + 1]
        out[self.place], out[self.place + 1] = sd * np.tanh(t), sd / np.cosh(t)
        return out

    def x(self, phi: FloatArray) -> FloatArray:
        """Undo `phi`."""
        out, along, rest = phi.copy(), phi[self.place], phi[self.place + 1]
        sd = np.hypot(along, rest)
        out[self.place] = np.arctanh(np.clip(along / sd, -_ALMOST_ONE, _ALMOST_ONE))
        out[self.place + 1] = sd
        return out

    def jacobian(self, x: FloatArray) -> FloatArray:
        """D phi / d x."""
        J, t, sd = np.eye(len(x)), x[self.place], x[self.place + 1]
        rho, rest = np.tanh(t), 1.0 / np.cosh(t)
        here = slice(self.place, self.place + 2)
        J[here, here] = [[sd * rest**2, rho], [-sd * rest * rho, rest]]
        return J

    def is_inside(self, x: FloatArray) -> bool:
        """Both SDs positive: with one negative the correlation would have the other sign."""
        return bool(x[self.place - 1] > 0 and x[self.place + 1] > 0)


# Correlations of random effects beyond this count as one in size.
LARGEST_Z = 9.0
_ALMOST_ONE = float(np.tanh(LARGEST_Z))


@dataclass(frozen=True, slots=True)
class Chart:
    """From x to covariance parameters and back.

    Attributes
    ----------
    coordinates : Coordinates
    order : (n,) int array
        theta[order] is theta with the held random effects first (or last).
    placement : Placement
    held : int
        Place of t in x.
    free : int array
        Places in x that the search moves; what is neither free nor held stays at zero.
    """

    coordinates: Coordinates
    order: IntArray
    placement: Placement
    held: int
    free: IntArray
    back: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "back", np.argsort(self.order))
        freeze_arrays(self)

    def to_theta(self, x: FloatArray) -> FloatArray:
        """Covariance parameters at x."""
        return np.asarray(self.coordinates.to_theta(self.placement.phi(x))[self.back])

    def to_x(self, theta: FloatArray) -> FloatArray:
        """Coordinates of covariance parameters."""
        return self.placement.x(self.coordinates.to_phi(theta[self.order]))

    def transform(
        self, x: FloatArray, score: FloatArray, expected: FloatArray, observed: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Score, expected and observed information by x from those by theta."""
        score, square = score[self.order], np.ix_(self.order, self.order)
        phi, by_x = self.placement.phi(x), self.placement.jacobian(x)
        by_phi = self.coordinates.jacobian(phi)
        J = by_phi @ by_x
        bend = by_x.T @ self.coordinates.bend(score) @ by_x
        bend = bend + self.placement.bend(x, by_phi.T @ score)
        return (
            J.T @ score,
            J.T @ expected[square] @ J + _positive_part(bend),
            J.T @ observed[square] @ J + bend,
        )


def _positive_part(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def order_effects(n_theta: int, block: EffectsBlock, effects: list[int]) -> IntArray:
    """Order of theta in which the effects of one G stand as listed."""
    place = np.empty((block.q, block.q), dtype=np.intp)
    rows, cols = np.triu_indices(block.q)
    place[rows, cols] = place[cols, rows] = np.arange(block.begin, block.end)
    order = np.arange(n_theta)
    order[block.begin : block.end] = place[np.ix_(effects, effects)][rows, cols]
    return order
