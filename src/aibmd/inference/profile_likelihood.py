"""Profile likelihood of one covariance parameter: everything else is maximised again.

Labels (V4) to (V6) are those of docs/methods/covariance_intervals.md.
"""

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from aibmd.errors import ConvergenceError
from aibmd.inference.held_parameter import Chart
from aibmd.linalg.symmetric import FloatArray, IntArray, solve_spd
from aibmd.model.coordinates import Coordinates
from aibmd.model.criterion import Criterion, Derivatives, Evaluation
from aibmd.model.diagnostics import GAIN_TOLERANCE
from aibmd.model.engine import EngineFit
from aibmd.model.optimiser import maximise

# A diagonal element of L this small, in standard errors, could not grow again: zero is stationary.
_SMALLEST_DIAGONAL = 0.05
# Twice this the profile may not rise above the fit, or the fit was a local maximum.
_HIGHER = 1e-5


@dataclass(frozen=True, slots=True)
class Point:
    """The profile at one t.

    Attributes
    ----------
    t : float
    x : (n,) array
    loglik : float
        Maximised over the free coordinates.
    slope : float
        Its derivative by t.
    tangent : (f,) array
        Derivative of the free coordinates by t.
    curvature : float
        Minus the second derivative of the profile.
    """

    t: float
    x: FloatArray
    loglik: float
    slope: float
    tangent: FloatArray
    curvature: float


@dataclass(frozen=True, slots=True)
class _NoEffects:
    """What `maximise` asks of a covariance whose coordinates are free already."""

    effects: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldCriterion:
    """The criterion as a function of the free coordinates."""

    base: Criterion
    chart: Chart
    x: FloatArray
    covariance: _NoEffects = field(default_factory=_NoEffects)

    def fill(self, free: FloatArray) -> FloatArray:
        """All coordinates."""
        x = self.x.copy()
        x[self.chart.free] = free
        return x

    def evaluate(self, free: FloatArray) -> Evaluation | None:
        """The criterion, or None outside its domain."""
        x = self.fill(free)
        if not self.chart.placement.is_inside(x):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            theta = self.chart.to_theta(x)
        return self.base.evaluate(theta) if np.isfinite(theta).all() else None

    def differentiate_fully(
        self, free: FloatArray, at: Evaluation
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Score, expected and observed information by all of x, and P."""
        x = self.fill(free)
        found = self.base.differentiate(self.chart.to_theta(x), at)
        by_x = self.chart.transform(x, found.score, found.expected, found.observed)
        return *by_x, found.P

    def differentiate(self, free: FloatArray, at: Evaluation) -> Derivatives:
        """The same by the free coordinates."""
        score, expected, observed, P = self.differentiate_fully(free, at)
        square = np.ix_(self.chart.free, self.chart.free)
        return Derivatives(
            score[self.chart.free], expected[square], observed[square], expected[square], P
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of one held parameter.

    Attributes
    ----------
    engine : EngineFit
    chart : Chart
    top : float
        Log-likelihood of the fit.
    """

    engine: EngineFit
    chart: Chart

    @property
    def top(self) -> float:
        """Log-likelihood of the fit."""
        return self.engine.at.loglik

    def at(self, t: float, near: Point) -> Point | None:
        """Maximise at t, starting from a point nearby; None where that is impossible."""
        free = self.chart.free
        guesses = [near.x[free] + (t - near.t) * near.tangent, near.x[free]]
        for guess in guesses:
            point = self.climb(t, near.x, guess)
            if point is not None:
                return point
        return None

    def climb(self, t: float, x: FloatArray, guess: FloatArray) -> Point | None:
        """Maximise at t from `guess`."""
        x = x.copy()
        x[self.chart.held] = t
        criterion = HeldCriterion(self.engine.criterion, self.chart, x)
        if len(guess):
            optimum = maximise(cast(Criterion, criterion), self._lift(guess))
            if optimum is None or not optimum.decrement < GAIN_TOLERANCE:
                return None
            free, at = optimum.theta, optimum.at
        else:
            found = criterion.evaluate(guess)
            if found is None:
                return None
            free, at = guess, found
        return self._describe(criterion, t, free, at)

    def start(self, t: float | None = None) -> Point | None:
        """The fit itself as a point; `t` where the fit has none, being on a boundary."""
        x = self.chart.to_x(self.engine.theta_scaled)
        if t is not None:
            return self.climb(t, x, x[self.chart.free])
        criterion = HeldCriterion(self.engine.criterion, self.chart, x)
        free = x[self.chart.free]
        at = criterion.evaluate(free)
        return None if at is None else self._describe(criterion, x[self.chart.held], free, at)

    def _lift(self, guess: FloatArray) -> FloatArray:
        """Diagonal elements of L away from zero."""
        smallest = smallest_diagonals(self.engine, self.chart)[self.chart.free]
        return np.where(np.abs(guess) < smallest, smallest, guess)

    def _describe(
        self, criterion: HeldCriterion, t: float, free: FloatArray, at: Evaluation
    ) -> Point:
        if at.loglik > self.top + _HIGHER:
            raise ConvergenceError(
                f"the profile rises {at.loglik - self.top:.2g} above the fit, which is a local "
                "maximum; use a simpler covariance"
            )
        score, _, observed, _ = criterion.differentiate_fully(free, at)
        held, moving = self.chart.held, self.chart.free
        across = observed[moving, held]
        along = solve_spd(observed[np.ix_(moving, moving)], across) if len(moving) else across
        tangent = np.zeros(len(moving)) if along is None else -along
        return Point(
            t=float(t),
            x=criterion.fill(free),
            loglik=at.loglik,
            slope=float(score[held]),
            tangent=tangent,
            curvature=float(observed[held, held] + across @ tangent),
        )


def smallest_diagonals(engine: EngineFit, chart: Chart) -> FloatArray:
    """For each coordinate the size below which the search starts it; zero for most."""
    out = np.zeros(len(engine.theta))
    information = np.diagonal(engine.derivatives.known_mean)[chart.order]
    for block in engine.covariance.effects:
        theta_place = np.arange(block.begin, block.end)[np.equal(*np.triu_indices(block.q))]
        phi_place = np.arange(block.begin, block.end)[np.equal(*np.tril_indices(block.q))]
        out[phi_place] = _SMALLEST_DIAGONAL * information[theta_place] ** -0.25
    return out


def free_everything_but(n: int, *places: int) -> IntArray:
    """Places of the coordinates that stay free."""
    return np.setdiff1d(np.arange(n), places)


def plain_coordinates(engine: EngineFit) -> Coordinates:
    """Coordinates of the search of a fit."""
    return Coordinates(engine.covariance.effects)
