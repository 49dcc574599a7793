"""Scoring on Sigma itself: a full step where it can be had, a shorter one where it cannot.

Far from the optimum the expected information gives the direction; near it, where the
observed information is positive definite, Newton steps finish quadratically. Both are
invariant to units, and the stopping rule is: the Newton decrement g' J^-1 g is twice the
log-likelihood still to be gained.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import FloatArray, solve_spd
from aibmd.model.cross_products import CrossProducts
from aibmd.model.likelihood import Derivatives, Evaluation, differentiate, evaluate
from aibmd.vocabulary import Method

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


def maximise(
    cross: CrossProducts, E: FloatArray, start: FloatArray, method: Method
) -> Optimum | None:
    """Climb from `start`; None if the criterion does not exist there."""
    theta = start
    at = evaluate(cross, _sigma(theta, E), method)
    if at is None:
        return None
    previous = np.inf
    for n_steps in range(MAX_STEPS + 1):
        derivatives = differentiate(cross, at, E, method)
        direction, decrement = _direction(derivatives)
        has_settled = decrement < _SETTLED and decrement > 0.1 * previous
        if decrement <= DECREMENT_GOAL or has_settled or n_steps == MAX_STEPS:
            break
        previous = decrement
        moved = _climb(cross, E, theta, at, direction, method)
        if moved is None:
            break
        theta, at = moved
    return Optimum(theta, at, derivatives, decrement, n_steps)


def _sigma(theta: FloatArray, E: FloatArray) -> FloatArray:
    return np.asarray(theta @ E.reshape(len(E), -1)).reshape(E.shape[1:])


def _direction(derivatives: Derivatives) -> tuple[FloatArray, float]:
    """Newton near the top, scoring elsewhere; the gain each promises."""
    newton = solve_spd(derivatives.observed, derivatives.score)
    if newton is not None and derivatives.score @ newton < _NEWTON_ZONE:
        return newton, float(derivatives.score @ newton)
    scoring = solve_spd(derivatives.expected, derivatives.score)
    if scoring is None:
        return derivatives.score, np.inf
    return scoring, float(derivatives.score @ scoring)


def _climb(
    cross: CrossProducts,
    E: FloatArray,
    theta: FloatArray,
    at: Evaluation,
    direction: FloatArray,
    method: Method,
) -> tuple[FloatArray, Evaluation] | None:
    """The longest step of 1, 1/2, 1/4, ... that stays inside and does not descend."""
    floor = at.loglik - _ROUNDING * max(abs(at.loglik), 1.0)
    step = 1.0
    for _ in range(MAX_HALVINGS):
        proposal = theta + step * direction
        there = evaluate(cross, _sigma(proposal, E), method)
        if there is not None and there.loglik >= floor:
            return proposal, there
        step *= 0.5
    return None
