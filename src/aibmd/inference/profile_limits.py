"""Profile limits of variances, covariances and correlations, on the engine's scale."""

from dataclasses import dataclass

import numpy as np

from aibmd.inference.correlations import PINNED, DerivedCorrelation, ParameterKind
from aibmd.inference.held_parameter import (
    LARGEST_Z,
    Chart,
    HeldAlone,
    HeldCorrelation,
    HeldEffectsCorrelation,
    Link,
    order_effects,
)
from aibmd.inference.profile_likelihood import (
    Point,
    Profile,
    free_everything_but,
    plain_coordinates,
    smallest_diagonals,
)
from aibmd.inference.profile_search import find_limit
from aibmd.model.covariance.terms import EffectsBlock
from aibmd.model.engine import EngineFit

LINKS: dict[ParameterKind, str] = {
    "variance": "log SD",
    "covariance": "identity",
    "correlation": "Fisher z",
    "positive correlation": "logit",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Lower and upper limit, and what the reader must know of them."""

    low: float
    high: float
    note: str = ""


def profile_parameter(engine: EngineFit, place: int, kind: ParameterKind, goal: float) -> Limits:
    """Limits of one covariance parameter.

    Parameters
    ----------
    engine : EngineFit
    place : int
        Of the parameter in theta.
    kind : str
    goal : float
        Normal quantile.
    """
    block = _find_block(engine, place)
    if block is None:
        link = Link(LINKS[kind])
        chart = Chart(
            plain_coordinates(engine),
            np.arange(len(engine.theta)),
            HeldAlone(place, link),
            place,
            free_everything_but(len(engine.theta), place),
        )
        low, high = _both_limits(Profile(engine, chart), goal)
        return Limits(link.to_value(low), link.to_value(high))
    effects = _effects_of(block, place)
    if effects[0] != effects[1]:
        note = "a covariance of random effects is profiled as its correlation"
        return Limits(np.nan, np.nan, note)
    return _profile_effect(engine, block, effects[0], goal)


def profile_correlation(engine: EngineFit, one: DerivedCorrelation, goal: float) -> Limits:
    """Limits of a correlation that covariance parameters imply."""
    block, n = _find_block(engine, one.covariance), len(engine.theta)
    if block is None:
        variances = tuple(v for v in (one.first, one.second) if v != PINNED)
        placement = HeldCorrelation(one.covariance, variances)
        chart = Chart(
            plain_coordinates(engine),
            np.arange(n),
            placement,
            one.covariance,
            free_everything_but(n, one.covariance),
        )
        low, high = _both_limits(Profile(engine, chart), goal)
        return Limits(float(np.tanh(low)), float(np.tanh(high)))
    return _profile_effects_correlation(engine, block, one, goal)


def _profile_effect(engine: EngineFit, block: EffectsBlock, effect: int, goal: float) -> Limits:
    """Variance of a random effect, held as its SD; zero is tried first (V6)."""
    others = [u for u in range(block.q) if u != effect]
    chart = _effects_chart(engine, block, [effect, *others], "SD", block.begin)
    profile = Profile(engine, chart)
    zero = _at_zero(engine, block, effect)
    is_zero_inside = _is_within(engine, zero, goal)
    start = profile.start()
    if start is None:
        return Limits(np.nan, np.nan, "the likelihood cannot be evaluated with this variance held")
    resolution = smallest_diagonals(engine, chart)[block.begin] * 20.0
    step = _first_step(start, goal) if start.t > 0.1 * resolution else goal * resolution
    high = find_limit(profile, start, 1, goal, step)
    if is_zero_inside:
        return Limits(0.0, high**2, "zero is inside the limits")
    return Limits(find_limit(profile, start, -1, goal, min(step, 0.7 * start.t)) ** 2, high**2)


def _is_within(engine: EngineFit, point: Point | None, goal: float) -> bool:
    return point is not None and 2.0 * (engine.at.loglik - point.loglik) < goal**2


def _at_zero(engine: EngineFit, block: EffectsBlock, effect: int) -> Point | None:
    """The fit without this effect: its row of L, put last, is zero."""
    others = [u for u in range(block.q) if u != effect]
    last_row = range(block.end - block.q, block.end)
    chart = _effects_chart(engine, block, [*others, effect], "SD", *reversed(last_row))
    profile = Profile(engine, chart)
    x = chart.to_x(engine.theta_scaled)
    x[list(last_row)] = 0.0
    return profile.climb(0.0, x, x[chart.free])


def _profile_effects_correlation(
    engine: EngineFit, block: EffectsBlock, one: DerivedCorrelation, goal: float
) -> Limits:
    u, v = _effects_of(block, one.covariance)
    zeros = [_at_zero(engine, block, effect) for effect in (u, v)]
    if any(_is_within(engine, zero, goal) for zero in zeros):
        note = "a variance of zero is inside its limits, where the correlation may be anything"
        return Limits(-1.0, 1.0, note)
    rest = [w for w in range(block.q) if w not in (u, v)]
    place = block.begin + 1
    chart = Chart(
        plain_coordinates(engine),
        order_effects(len(engine.theta), block, [u, v, *rest]),
        HeldEffectsCorrelation(place),
        place,
        free_everything_but(len(engine.theta), place),
    )
    profile = Profile(engine, chart)
    start = profile.start()
    if start is None:
        return Limits(np.nan, np.nan, "the likelihood cannot be evaluated with it held")
    ends = [_correlation_end(profile, start, side, goal) for side in (-1, 1)]
    reached = [f"{end:+.0f}" for end in ends if abs(end) == 1.0]
    note = f"{' and '.join(reached)} inside the limits" if reached else ""
    return Limits(ends[0], ends[1], note)


def _correlation_end(profile: Profile, start: Point, side: int, goal: float) -> float:
    """A limit of a correlation, which is one in size where the data allow that."""
    end = profile.at(side * LARGEST_Z, start)
    if _is_within(profile.engine, end, goal):
        return float(side)
    return float(np.tanh(find_limit(profile, start, side, goal, _first_step(start, goal))))


def _both_limits(profile: Profile, goal: float) -> tuple[float, float]:
    start = profile.start()
    if start is None:
        return np.nan, np.nan
    step = _first_step(start, goal)
    return (
        find_limit(profile, start, -1, goal, step),
        find_limit(profile, start, 1, goal, step),
    )


def _first_step(start: Point, goal: float) -> float:
    """The distance of a Wald limit."""
    if start.curvature > 0:
        return min(goal / float(np.sqrt(start.curvature)), 3.0 * max(1.0, abs(start.t)))
    return 0.5 * max(1.0, abs(start.t))


def _effects_chart(
    engine: EngineFit, block: EffectsBlock, order: list[int], link: str, *held: int
) -> Chart:
    n = len(engine.theta)
    return Chart(
        plain_coordinates(engine),
        order_effects(n, block, order),
        HeldAlone(held[0], Link(link)),
        held[0],
        free_everything_but(n, *held),
    )


def _find_block(engine: EngineFit, place: int) -> EffectsBlock | None:
    for block in engine.covariance.effects:
        if block.begin <= place < block.end:
            return block
    return None


def _effects_of(block: EffectsBlock, place: int) -> tuple[int, int]:
    """Row and column of G of a parameter."""
    rows, cols = np.triu_indices(block.q)
    return int(rows[place - block.begin]), int(cols[place - block.begin])
