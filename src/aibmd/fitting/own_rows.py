"""Whether new rows of known women go with what the fit knows of them; if not, a warning."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.errors import DataWarning
from aibmd.fitting.new_rows import code_subjects
from aibmd.fitting.telling import warn_caller
from aibmd.formatting import format_plural
from aibmd.linalg.symmetric import BoolArray, IntArray

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


def warn_about_rows(fit: "MixedFit", newdata: pd.DataFrame) -> None:
    """Warn where X beta and Z b-hat of a new row would be of two different women, or far off.

    Parameters
    ----------
    fit : MixedFit
        With random effects.
    newdata : DataFrame
        Checked already: it has the columns, without missing values.
    """
    if not len(newdata):
        return
    _warn_contradictions(fit, newdata)
    _warn_beyond(fit, newdata)


def _warn_contradictions(fit: "MixedFit", newdata: pd.DataFrame) -> None:
    rows, who = fit.design.rows, code_subjects(fit, newdata)
    known = np.flatnonzero(who < fit.n_subjects)
    if len(rows.y) == fit.n_subjects or not len(known):
        return  # one row each: nothing is known to stay the same
    own_row = rows.first_rows[who[known]]
    for name in rows.frame.columns:
        old = rows.frame[name]
        if not _is_constant_within(old, rows.first_rows[rows.subject]):
            continue
        differs = np.flatnonzero(_differ(newdata[name].iloc[known], old, own_row))
        if len(differs):
            at = differs[0]
            warn_caller(
                f"row {_label(newdata.index, known[at])} of newdata has {name} = "
                f"{newdata[name].iloc[known[at]]}, but {fit.spec.subject} "
                f"{rows.subjects[who[known[at]]]} has {old.iloc[own_row[at]]} in the fit "
                f"({format_plural(len(differs), 'row')} such): her random effects are added to the "
                "mean of other women. For that mean alone use kind='marginal'",
                DataWarning,
            )


def _is_constant_within(column: pd.Series, first_row: IntArray) -> bool:
    """Whether every woman has one value in all her rows."""
    codes = pd.factorize(column)[0]
    return bool((codes == codes[first_row]).all())


def _differ(new: pd.Series, old: pd.Series, own_row: IntArray) -> BoolArray:
    """Whether new values are others than those of these rows of the fit."""
    if isinstance(old.dtype, pd.CategoricalDtype):
        place = {str(level): code for code, level in enumerate(old.cat.categories)}
        codes, levels = pd.factorize(new)
        among = np.array([place.get(str(level), -1) for level in levels], dtype=np.intp)
        return np.asarray(among[codes] != old.cat.codes.to_numpy()[own_row])
    return np.asarray(new.to_numpy() != old.to_numpy()[own_row])


def _warn_beyond(fit: "MixedFit", newdata: pd.DataFrame) -> None:
    """Her own slope is only known where women were measured."""
    for name, old in _slope_columns(fit).items():
        new = newdata[name].to_numpy(dtype=float)
        low, high = float(old.min()), float(old.max())
        beyond = np.flatnonzero((new < low) | (new > high))
        if len(beyond):
            warn_caller(
                f"newdata goes beyond the {name} of the fit, {low} to {high}, in "
                f"{format_plural(len(beyond), 'row')} (first: row "
                f"{_label(newdata.index, beyond[0])}, {name} = {float(new[beyond[0]])}): these are "
                "extrapolated, and their limits hold only if every woman's line goes on as it was",
                DataWarning,
            )


def _label(index: pd.Index, place: int) -> str:
    return repr(index[[place]].tolist()[0])


def _slope_columns(fit: "MixedFit") -> dict[str, Any]:
    """Time, and the numbers that random slopes belong to."""
    frame = fit.design.rows.effects_frame
    found = {
        name: frame[name].to_numpy(dtype=float)
        for name in frame.columns
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool
    }
    if fit.spec.time is not None and fit.design.rows.time is not None:
        found[fit.spec.time] = fit.design.rows.time
    return found
