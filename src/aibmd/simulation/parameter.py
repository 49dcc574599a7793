"""Kinds of design parameters: numbers that carry where they come from and cannot be wrong.

Every table of a design file is one parameter: its values, a `flag` that says whether they
are published, recalled from the literature, or chosen as an assumption, and the `source`.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from aibmd.errors import AibmdError

FLAGS: Final = ("published", "recalled", "chosen")
SITES: Final = ("lumbar_spine", "femoral_neck", "total_hip")
_SHARE_SLACK: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What every parameter carries beside its values.

    Attributes
    ----------
    flag : {"published", "recalled", "chosen"}
        Published: the page was seen. Recalled: known, page not seen. Chosen: an assumption.
    source : str
        Paper and place, or why the value was chosen.
    """

    flag: str
    source: str

    def __post_init__(self) -> None:
        if self.flag not in FLAGS:
            raise AibmdError(f"flag is {self.flag!r}; expected one of {', '.join(FLAGS)}.")
        if not self.source.strip():
            raise AibmdError("source is empty; say where the numbers come from.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Parameter):
    """One number of any sign."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration(Parameter):
    """Years, above zero."""

    value: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        if self.value <= 0:
            raise AibmdError(f"value is {self.value:g} years; expected more than 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probability(Parameter):
    """One probability."""

    value: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        check_probability("value", self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Normal(Parameter):
    """Mean and standard deviation of a normal distribution, cut off by a `Range`."""

    mean: float
    sd: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        check_not_negative("sd", self.sd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range(Parameter):
    """Lowest and highest value."""

    lowest: float
    highest: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        if self.lowest > self.highest:
            raise AibmdError(f"lowest is {self.lowest:g}, above highest, {self.highest:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BySite(Parameter):
    """One number of any sign for each skeletal site."""

    lumbar_spine: float
    femoral_neck: float
    total_hip: float

    def array(self) -> NDArray[np.float64]:
        """Values in the order of `SITES`, shape (3,)."""
        return np.array([getattr(self, site) for site in SITES])


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadBySite(BySite):
    """One standard deviation for each skeletal site."""

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for site in SITES:
            check_not_negative(site, getattr(self, site))


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelBySite(BySite):
    """One positive number for each skeletal site, for example a mean BMD in g/cm2."""

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        for site in SITES:
            if getattr(self, site) <= 0:
                raise AibmdError(f"{site} is {getattr(self, site):g}; expected more than 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCorrelation(Parameter):
    """Correlations between skeletal sites of one woman."""

    lumbar_spine_femoral_neck: float
    lumbar_spine_total_hip: float
    femoral_neck_total_hip: float

    def __post_init__(self) -> None:
        Parameter.__post_init__(self)
        if not np.linalg.eigvalsh(self.matrix())[0] > 0:
            raise AibmdError(
                "the three correlations cannot hold together: "
                "their matrix is not positive definite."
            )

    def matrix(self) -> NDArray[np.float64]:
        """Correlation matrix in the order of `SITES`, shape (3, 3)."""
        a, b = self.lumbar_spine_femoral_neck, self.lumbar_spine_total_hip
        c = self.femoral_neck_total_hip
        return np.array([[1.0, a, b], [a, 1.0, c], [b, c, 1.0]])


def check_probability(name: str, value: float) -> None:
    """Refuse what is not between 0 and 1."""
    if not 0 <= value <= 1:
        raise AibmdError(f"{name} is {value:g}; expected a probability between 0 and 1.")


def check_not_negative(name: str, value: float) -> None:
    """Refuse values below zero."""
    if value < 0:
        raise AibmdError(f"{name} is {value:g}; expected 0 or more.")


def check_shares(shares: dict[str, float]) -> None:
    """Refuse shares outside 0 to 1 or with a sum other than 1."""
    for name, share in shares.items():
        check_probability(name, share)
    total = math.fsum(shares.values())
    if abs(total - 1) > _SHARE_SLACK:
        raise AibmdError(f"the shares {', '.join(shares)} sum to {total:.6g}; expected a sum of 1.")
