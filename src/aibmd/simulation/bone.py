"""Bone of each woman: level, lasting slope, mean-reverting deviation, scan error."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.record import Array, lock
from aibmd.simulation.stream import Streams

_REFERENCE_AGE: Final = 58.0


@dataclass(frozen=True, slots=True)
class Bone:
    """What makes one woman's bone differ from the mean of women treated alike.

    Attributes
    ----------
    level : array (n, 3)
        BMD at time zero without deviation, g/cm2.
    slope : array (n, 3)
        Percent of `level` per year.
    deviation : array (n, k, 3)
        Percent of `level`, at the times asked for.
    """

    level: Array
    slope: Array
    deviation: Array

    def __post_init__(self) -> None:
        lock(self)

    def compute_bmd(self, change: Array, time: Array) -> Array:
        """True BMD in g/cm2, equation (1), from mean change in percent.

        Parameters
        ----------
        change : array (n, k, 3)
        time : array (n, k)
        """
        own = self.slope[:, np.newaxis, :] * time[:, :, np.newaxis] + self.deviation
        return self.level[:, np.newaxis, :] * (1 + (change + own) / 100)


def draw_bone(design: StudyDesign, streams: Streams, age: Array, time: Array) -> Bone:
    """Draw levels and slopes, and deviations at `time`, correlated between skeletal sites.

    Parameters
    ----------
    age : array (n,)
    time : array (n, k), years, in any order
    """
    section, n = design.bone, age.size
    chol = np.linalg.cholesky(section.correlation.matrix())
    mean = section.mean_at_58.array()
    error_var = section.scan_error_sd.array() ** 2
    deviation_var = (section.deviation_sd_pct.array() / 100 * mean) ** 2
    level_sd = np.sqrt(section.sd.array() ** 2 - deviation_var - error_var)
    by_age = mean + section.age_slope_per_year.array() * (age - _REFERENCE_AGE)[:, np.newaxis]
    level = by_age + level_sd * correlate(streams.normal("level", (n, 3)), chol)
    slope = correlate(streams.normal("slope", (n, 3)), chol)
    noise = correlate(streams.normal("deviation", (n, time.shape[1], 3)), chol)
    deviation = _revert(noise, time, section.deviation_time_constant_years.value)
    return Bone(
        level=level,
        slope=section.slope_sd_pct_per_year.array() * slope,
        deviation=section.deviation_sd_pct.array() * deviation,
    )


def draw_scan_error(design: StudyDesign, streams: Streams, n: int, n_visits: int) -> Array:
    """Errors of scans in g/cm2, independent everywhere, shape (n, n_visits, 3)."""
    noise = streams.normal("scan error", (n, n_visits, 3))
    return design.bone.scan_error_sd.array() * noise


def compute_t_scores(design: StudyDesign, bmd: Array) -> Array:
    """T-scores by the reference the design names; the last axis is skeletal sites."""
    mean, sd = design.bone.reference_mean.array(), design.bone.reference_sd.array()
    return (bmd - mean) / sd


def correlate(noise: Array, chol: Array) -> Array:
    """Independent to correlated normals along the last axis, by an explicit product.

    Written out so that no linear algebra library decides the order of the sums.
    """
    columns = [
        sum((chol[i, j] * noise[..., j] for j in range(1, i + 1)), chol[i, 0] * noise[..., 0])
        for i in range(chol.shape[0])
    ]
    return np.stack(columns, axis=-1)


def _revert(noise: Array, time: Array, constant: float) -> Array:
    """Stationary Ornstein-Uhlenbeck process of unit variance at unordered times, (2).

    d(t) = exp(-h/c) d(t - h) + sqrt(1 - exp(-2h/c)) e, with c the time constant.
    """
    order = np.argsort(time, axis=1, kind="stable")
    step = np.diff(np.take_along_axis(time, order, axis=1), axis=1)
    keep = np.exp(-step / constant)[:, :, np.newaxis]
    fresh = np.sqrt(-np.expm1(-2 * step / constant))[:, :, np.newaxis]
    path = [noise[:, 0]]
    for k in range(step.shape[1]):
        path.append(keep[:, k] * path[-1] + fresh[:, k] * noise[:, k + 1])
    back = np.argsort(order, axis=1, kind="stable")
    return np.take_along_axis(np.stack(path, axis=1), back[:, :, np.newaxis], axis=1)
