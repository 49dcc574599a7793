"""Where a profile has fallen far enough: the limits of an interval.

Label (V5) is that of docs/methods/covariance_intervals.md.
"""

import numpy as np

from aibmd.errors import ConvergenceError
from aibmd.inference.profile_likelihood import Point, Profile

# Where the root of twice the drop is met this closely, one Newton step is the last: it leaves
# an error of about the square, in standard errors.
_NEAR = 1e-5
_MAX_POINTS = 60


def find_limit(profile: Profile, start: Point, direction: int, goal: float, step: float) -> float:
    """The t where the signed root of twice the drop reaches `goal` (V5); infinite if nowhere.

    Parameters
    ----------
    profile : Profile
    start : Point
        The top, or the end of the range nearest to it.
    direction : {-1, 1}
    goal : float
        Normal quantile.
    step : float
        First step, positive: where the limit would be if the profile were quadratic.
    """
    inside, outside = start, np.inf * direction
    t = start.t + direction * step
    for _ in range(_MAX_POINTS):
        point = profile.at(t, inside)
        if point is None:
            outside = t
            t = 0.5 * (inside.t + t)
            if abs(outside - inside.t) < 1e-12 * max(1.0, abs(t)):
                return t
            continue
        root = float(np.sqrt(max(2.0 * (profile.top - point.loglik), 0.0)))
        is_near = abs(root - goal) < _NEAR
        if root < goal:
            inside = point
        else:
            outside = t
        t = _next(point, root, goal, direction, inside.t, outside, step)
        if is_near:
            return t
    if np.isinf(outside):
        return outside
    raise ConvergenceError("the profile was not resolved; use method='wald' for this parameter")


def _next(
    point: Point,
    root: float,
    goal: float,
    direction: int,
    inside: float,
    outside: float,
    step: float,
) -> float:
    """Newton on the root, kept between what is known to be too near and too far."""
    farthest = outside if np.isfinite(outside) else inside + direction * 3.0 * step
    slope = -direction * point.slope / root if root > 0 else 0.0
    if slope > 0:
        t = point.t + direction * (goal - root) / slope
        if min(inside, farthest) < t < max(inside, farthest):
            return t
    return 0.5 * (inside + farthest) if np.isfinite(outside) else farthest
