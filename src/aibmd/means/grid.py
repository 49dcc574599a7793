"""The reference grid: the made-up rows whose predictions are averaged to marginal means."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import Coding

MAX_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True)
class ReferenceGrid:
    """Every combination of factor levels, with covariates at stated values.

    Attributes
    ----------
    values : dict
        Each variable of the formula -> the values it takes, in grid order (first slowest).
    averaged : tuple of str
        Factors that are averaged over; they vary fastest.
    held : dict of str to float
        Covariates held at one value.
    X : (groups, cells, p_full) array
        Coded rows; a group is one marginal mean, its cells are averaged over. Read-only.
    labels : DataFrame
        One row per group: the variables named in `over`, then those in `by`.
    frame : DataFrame
        The rows before coding, groups slowest.

    Notes
    -----
    A covariate that enters as ``log(x)`` is held at the mean of x, and the log is taken of
    that mean, as R emmeans does; this is not the mean of ``log(x)``. A 0/1 covariate is held
    at its mean too (R emmeans gives each of its two values one half): write ``C(x)`` to have
    it treated as a factor.
    """

    values: Mapping[str, tuple[Any, ...]]
    averaged: tuple[str, ...]
    held: Mapping[str, float]
    X: FloatArray
    labels: pd.DataFrame
    frame: pd.DataFrame


def build_grid(
    coding: Coding,
    over: Sequence[str],
    by: Sequence[str] = (),
    at: Mapping[str, Any] | None = None,
) -> ReferenceGrid:
    """Lay out the reference grid of a coded formula.

    Parameters
    ----------
    coding : Coding
        Of the fit.
    over, by : sequence of str
        Variables a mean is wanted for, each at every value.
    at : mapping, optional
        Variable -> value or values it takes in the grid: levels of a factor to keep, or
        values of a covariate instead of its mean.

    Raises
    ------
    AibmdError
        Unknown names or levels, a covariate in `over` or `by` without values, or a grid of
        more than 200,000 rows.
    """
    shown = (*over, *by)
    values = list_values(coding, shown, at)
    averaged = tuple(name for name in coding.levels if name not in shown)
    _check_single(values, {*shown, *averaged})
    # In R's order: the first name of `over` varies fastest within a group of `by`.
    slow_to_fast = (*reversed(by), *reversed(over), *averaged)
    held = {name: float(v[0]) for name, v in values.items() if name not in slow_to_fast}
    frame = combine_values({name: values[name] for name in slow_to_fast}).assign(**held)
    cells = math.prod(len(values[name]) for name in averaged)
    X = coding.code(frame).reshape(len(frame) // cells, cells, len(coding.columns))
    X.flags.writeable = False
    labels = frame.loc[::cells, list(shown)].reset_index(drop=True)
    ordered = {name: values[name] for name in slow_to_fast}
    return ReferenceGrid(ordered, averaged, held, X, labels, frame)


def list_values(
    coding: Coding, shown: Sequence[str], at: Mapping[str, Any] | None
) -> dict[str, tuple[Any, ...]]:
    """Each variable of the formula -> the values it takes in a grid, after checking names.

    Parameters
    ----------
    coding : Coding
    shown : sequence of str
        Variables a mean is wanted for.
    at : mapping, optional
        As in `build_grid`.
    """
    at = {} if at is None else {name: _as_tuple(value) for name, value in at.items()}
    factors = coding.levels
    _check_names(shown, at, coding, factors)
    return {name: _values_of(name, at, coding, factors) for name in coding.formula.variables}


def cell_frequencies(
    coding: Coding, grid: ReferenceGrid, sampling_weights: FloatArray | None = None
) -> FloatArray:
    """Share of the rows used in each combination of the averaged factors, (cells,).

    Rows with a factor level that the grid leaves out are not counted. With sampling weights
    a row counts as much as its weight says.
    """
    used = coding.frame
    inside = np.ones(len(used), dtype=bool)
    for name in set(grid.values) & set(coding.levels):
        inside &= used[name].isin(grid.values[name]).to_numpy()
    cell = np.zeros(int(inside.sum()), dtype=np.intp)
    for name in grid.averaged:
        levels = grid.values[name]
        cell = cell * len(levels) + pd.Index(levels).get_indexer(list(used.loc[inside, name]))
    weights = None if sampling_weights is None else sampling_weights[inside]
    counts = np.bincount(cell, weights=weights, minlength=grid.X.shape[1]).astype(float)
    if not counts.any():
        raise AibmdError(
            "no row used falls into this grid, so there are no proportional weights; "
            "use weights='equal' or other levels in at="
        )
    return np.asarray(counts / counts.sum())


def _as_tuple(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    return tuple(dict.fromkeys(value))


def _check_names(
    shown: Sequence[str],
    at: Mapping[str, Any],
    coding: Coding,
    factors: Mapping[str, Any],
) -> None:
    known = coding.formula.variables
    covariates = [name for name in known if name not in factors]
    for name in (*shown, *at):
        if name not in known:
            raise AibmdError(
                f"{name!r} is not in the model. Factors: {_listed(factors)}; "
                f"covariates: {_listed(covariates)}."
            )
    if len(set(shown)) < len(shown):
        raise AibmdError(f"over and by name a variable twice: {_listed(shown)}")
    for name in shown:
        if name not in factors and name not in at:
            raise AibmdError(
                f"{name!r} is a covariate, so there is no list of its values. Give some, "
                f"for example at={{{name!r}: [{coding.covariate_means[name]:.4g}]}}, or choose a "
                f"factor: {_listed(factors)}."
            )


def _values_of(
    name: str, at: Mapping[str, Any], coding: Coding, factors: Mapping[str, tuple[Any, ...]]
) -> tuple[Any, ...]:
    if name not in at:
        return factors[name] if name in factors else (coding.covariate_means[name],)
    values: tuple[Any, ...] = at[name]
    if not values:
        raise AibmdError(f"at[{name!r}] is empty")
    if name in factors:
        unknown = [value for value in values if value not in factors[name]]
        if unknown:
            raise AibmdError(
                f"at[{name!r}] has {unknown[0]!r}, which is not a level; levels are "
                f"{', '.join(map(repr, factors[name]))}"
            )
        return tuple(level for level in factors[name] if level in values)
    if not all(_is_finite_number(value) for value in values):
        raise AibmdError(f"at[{name!r}] must be finite numbers; got {list(values)!r}")
    return values


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))


def _check_single(values: Mapping[str, tuple[Any, ...]], listed: set[str]) -> None:
    for name, given in values.items():
        if name not in listed and len(given) > 1:
            raise AibmdError(
                f"at[{name!r}] has {len(given)} values but {name!r} is in neither over nor by; "
                f"add it there, or give one value"
            )


def combine_values(values: Mapping[str, tuple[Any, ...]]) -> pd.DataFrame:
    """One row per combination, the last variable fastest.

    Raises
    ------
    AibmdError
        More than 200,000 combinations.
    """
    shape = [len(given) for given in values.values()]
    rows = math.prod(shape)
    if rows > MAX_ROWS:
        raise AibmdError(
            f"the reference grid would have {rows:,} rows (at most {MAX_ROWS:,}); name fewer "
            f"levels with at="
        )
    codes = np.unravel_index(np.arange(rows), shape) if shape else ()
    columns = {
        name: pd.Index(values[name]).take(code) for name, code in zip(values, codes, strict=True)
    }
    return pd.DataFrame(columns, index=pd.RangeIndex(rows))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
