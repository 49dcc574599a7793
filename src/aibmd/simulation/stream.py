"""One stream of random numbers per ingredient, so that one change does not reshuffle the rest."""

import zlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from aibmd.errors import AibmdError
from aibmd.simulation.parameter import Normal, Range


class Streams:
    """Independent child streams, each found by its name.

    A child is keyed by the CRC-32 of its name, so adding an ingredient moves no other.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        A seed, or a generator from which a seed is drawn.

    Examples
    --------
    >>> draw = Streams(1).uniform("age", 2)
    >>> bool((draw == Streams(1).uniform("age", 2)).all())
    True
    """

    __slots__ = ("_entropy",)

    def __init__(self, rng: int | np.random.Generator) -> None:
        if isinstance(rng, np.random.Generator):
            self._entropy = [int(word) for word in rng.integers(0, 2**32, size=4)]
        elif isinstance(rng, int | np.integer) and not isinstance(rng, bool) and rng >= 0:
            self._entropy = [int(rng)]
        else:
            raise AibmdError(
                f"rng is {rng!r}; expected a whole number, 0 or more, or a numpy Generator."
            )

    def _generator(self, name: str) -> np.random.Generator:
        key = zlib.crc32(name.encode("ascii"))
        seed = np.random.SeedSequence(self._entropy, spawn_key=(key,))
        return np.random.Generator(np.random.PCG64(seed))

    def uniform(self, name: str, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        """Uniform draws in [0, 1)."""
        return self._generator(name).random(shape)

    def normal(self, name: str, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        """Standard normal draws."""
        return self._generator(name).standard_normal(shape)

    def between(self, name: str, limits: Range, n: int) -> NDArray[np.float64]:
        """Uniform draws between two limits, shape (n,)."""
        return limits.lowest + self.uniform(name, n) * (limits.highest - limits.lowest)

    def truncated(self, name: str, normal: Normal, limits: Range, n: int) -> NDArray[np.float64]:
        """Normal draws cut off at two limits, shape (n,); one uniform number each."""
        u = self.uniform(name, n)
        return cut_normal(u, normal.mean, normal.sd, limits.lowest, limits.highest)


def cut_normal(
    u: NDArray[np.float64],
    mean: float,
    sd: float,
    low: float | NDArray[np.float64],
    high: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    """Quantiles `u` of a normal distribution cut off at `low` and `high`."""
    below, above = (0.0, 1.0) if sd == 0 else (ndtr((low - mean) / sd), ndtr((high - mean) / sd))
    score = np.zeros(u.shape) if sd == 0 else ndtri(below + u * (above - below))
    value: NDArray[np.float64] = np.clip(mean + sd * score, low, high)
    return value
