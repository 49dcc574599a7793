"""Scoring with exact derivatives: a full step where it can be had, a shorter one where not.

Far from the optimum the expected information gives the direction; near it, where the
observed information is positive definite, Newton steps finish quadratically. Both are
invariant to units, and the stopping rule is: the Newton decrement g' J^-1 g is twice the
log-likelihood still to be gained.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import FloatArray, solve_spd
from aibmd.model.coordinates import Coordinates
from aibmd.model.criterion import Criterion, Derivatives, Evaluation

MAX_STEPS = 100
MAX_HALVINGS = 40
# Covariance parameters are then within 1e-9 of a standard error of their limit.
DECREMENT_GOAL = 1e-18
# Below this gain a step that no longer helps is the end: rounding has been reached.
_SETTLED = 1e-8
# Newton steps take over below this gain; above it scoring is safer.
_NEWTON_ZONE = 0.5
# Rounding of the log-likelihood, relative to its size.
_ROUNDING = 1e-13


@dataclass(frozen=True, slots=True)
class Optimum:
    """Where scoring ended.

    Attributes
    ----------
    theta : (n_theta,) array
    at : Evaluation
    derivatives : Derivatives
    decrement : float
        Twice the log-likelihood a further step would gain; infinite if unknown.
    n_steps : int
    """

    theta: FloatArray
    at: Evaluation
    derivatives: Derivatives
    decrement: float
    n_steps: int


def maximise(criterion: Criterion, start: FloatArray) -> Optimum | None:
    """Climb from theta = `start`; None if the criterion does not exist there."""
    coordinates = Coordinates(criterion.covariance.effects)
    phi = coordinates.to_phi(start)
    theta = coordinates.to_theta(phi)
    at = criterion.evaluate(theta)
    if at is None:
        return None
    previous = np.inf
    for n_steps in range(MAX_STEPS + 1):
        derivatives = criterion.differentiate(theta, at)
        direction, decrement = _direction(derivatives, coordinates, phi)
        has_settled = decrement < _SETTLED and decrement > 0.1 * previous
        if decrement <= DECREMENT_GOAL or has_settled or n_steps == MAX_STEPS:
            break
        previous = decrement
        moved = _climb(criterion, coordinates, phi, at, direction)
        if moved is None:
            break
        phi, at = moved
        theta = coordinates.to_theta(phi)
    return Optimum(theta, at, derivatives, decrement, n_steps)


def _direction(
    derivatives: Derivatives, coordinates: Coordinates, phi: FloatArray
) -> tuple[FloatArray, float]:
    """Newton near the top, scoring elsewhere; the gain each promises."""
    score, expected, observed = derivatives.score, derivatives.expected, derivatives.observed
    if coordinates.effects:
        J, bend = coordinates.jacobian(phi), coordinates.bend(score)
        score = J.T @ score
        expected = J.T @ expected @ J + _positive_part(bend)
        observed = J.T @ observed @ J + bend
    newton = solve_spd(observed, score)
    if newton is not None and score @ newton < _NEWTON_ZONE:
        return newton, float(score @ newton)
    scoring = solve_spd(expected, score)
    if scoring is None:
        return score, np.inf
    return scoring, float(score @ scoring)


def _positive_part(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _climb(
    criterion: Criterion,
    coordinates: Coordinates,
    phi: FloatArray,
    at: Evaluation,
    direction: FloatArray,
) -> tuple[FloatArray, Evaluation] | None:
    """The longest step of 1, 1/2, 1/4, ... that stays inside and does not descend."""
    floor = at.loglik - _ROUNDING * max(abs(at.loglik), 1.0)
    step = 1.0
    for _ in range(MAX_HALVINGS):
        proposal = phi + step * direction
        there = criterion.evaluate(coordinates.to_theta(proposal))
        if there is not None and there.loglik >= floor:
            return proposal, there
        step *= 0.5
    return None
