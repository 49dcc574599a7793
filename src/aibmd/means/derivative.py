"""Derivatives of coded rows by one covariate, exact to rounding.

Terms of a formula are smooth (powers, logarithms) or polynomial between knots (splines). A
polynomial of degree 8 through a short interval fits either to rounding if no knot lies
inside, so the fit itself tells whether its derivative can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.polynomial import chebyshev

from aibmd.errors import AibmdError, FormulaError
from aibmd.linalg.symmetric import FloatArray

_DEGREE: Final = 8
# Misfit, of the largest value of a column, that rounding explains.
_ROUNDING: Final = 1e-11
_FIRST_WIDTH: Final = 0.1
_SHRINK: Final = 0.25
_TRIES: Final = 8
_SAME_SLOPE: Final = 1e-6
_NODES: Final = chebyshev.chebpts1(_DEGREE + 1)
_BETWEEN: Final = (_NODES[1:] + _NODES[:-1]) / 2.0
_SOLVE: Final = np.linalg.inv(chebyshev.chebvander(_NODES, _DEGREE))
# Middle of the interval in units of its half width, for intervals around, above and below.
_AROUND, _ABOVE, _BELOW = 0.0, 1.0, -1.0


@dataclass(frozen=True, slots=True)
class CodedSlope:
    """Derivative of each coded row, and whether it is the same at every value."""

    D: FloatArray
    is_constant: bool


def differentiate(
    code: Callable[[float], FloatArray], spread: float, magnitude: float
) -> CodedSlope:
    """Derivative at zero of a matrix that depends on a shift.

    Parameters
    ----------
    code : callable
        Shift -> (rows, p) coded rows. It may raise FormulaError outside its domain.
    spread : float
        Scale on which the covariate varies in the data.
    magnitude : float
        Largest absolute value of the covariate, for the rounding of a shift.

    Raises
    ------
    AibmdError
        The slope from above differs from that from below (a knot of a broken line).
    FormulaError
        The rows cannot be coded on either side.

    Examples
    --------
    >>> found = differentiate(lambda shift: np.array([[(2.0 + shift) ** 2]]), 1.0, 2.0)
    >>> found.D.round(9), found.is_constant
    (array([[4.]]), False)
    """
    around, _ = _try_side(code, _AROUND, spread, magnitude)
    if around is not None:
        return around
    above, failure = _try_side(code, _ABOVE, spread, magnitude)
    below, other = _try_side(code, _BELOW, spread, magnitude)
    if above is None and below is None:
        raise failure or other or AibmdError("no slope: the terms are not smooth at this value")
    if above is None or below is None:
        return above or below  # type: ignore[return-value]
    size = np.abs(above.D).max() + np.abs(below.D).max()
    if np.abs(above.D - below.D).max() > _SAME_SLOPE * size:
        raise AibmdError(
            "the slope from above differs from that from below: a knot lies at this value. Choose "
            "another value with at="
        )
    return CodedSlope((above.D + below.D) / 2.0, is_constant=False)


def _try_side(
    code: Callable[[float], FloatArray], side: float, spread: float, magnitude: float
) -> tuple[CodedSlope | None, FormulaError | None]:
    """The slope from one side, on the widest interval that a polynomial fits."""
    failure = None
    half = _FIRST_WIDTH * spread
    for _ in range(_TRIES):
        try:
            found = _fit(code, side, half, magnitude)
        except FormulaError as error:
            failure, found = error, None
        if found is not None:
            return found, None
        half *= _SHRINK
    return None, failure


def _fit(
    code: Callable[[float], FloatArray], side: float, half: float, magnitude: float
) -> CodedSlope | None:
    """Derivative of the polynomial on one interval, or None if it does not fit."""
    values = np.array([code((side + node) * half) for node in _NODES])
    coefficients = np.tensordot(_SOLVE, values, axes=1)
    expected = np.array([code((side + node) * half) for node in _BETWEEN])
    fitted = np.tensordot(chebyshev.chebvander(_BETWEEN, _DEGREE), coefficients, axes=1)
    extent = values.max(axis=0) - values.min(axis=0)
    allowed = _ROUNDING * np.abs(values).max(axis=0)
    allowed += 100.0 * np.finfo(float).eps * (magnitude / half) * extent
    if (np.abs(fitted - expected).max(axis=0) > allowed).any():
        return None
    derivative = chebyshev.chebval(-side, chebyshev.chebder(coefficients)) / half
    bend = np.abs(coefficients[2:]).max(axis=0)
    return CodedSlope(np.where(extent == 0.0, 0.0, derivative), bool((bend <= allowed).all()))
