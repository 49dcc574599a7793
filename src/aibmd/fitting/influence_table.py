"""The printed form of `influence`: which women move each function most."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.formatting import MISSING, NOT_ESTIMABLE, format_number, format_plural

if TYPE_CHECKING:
    from aibmd.fitting.influence import SubjectInfluence

# Longer lists are for the tables, not for reading.
_WOMEN, _FUNCTIONS, _RANKED = 3, 8, 5


def format_influence(result: "SubjectInfluence") -> str:
    """Text of `SubjectInfluence.summary`."""
    n = len(result.by_subject)
    lines = [
        f"Influence of {format_plural(n, 'subject')}, each left out with all her rows",
        "without her: exact, at the covariance parameters of all; one step: these moved too",
        "(approximate); shifts in standard errors of the fit",
        "",
    ]
    rows = _by_woman(result) if result.contrasts is None else _by_function(result)
    lines.append(pd.DataFrame(rows).to_string(index=False))
    hidden = len(result.estimates) - _FUNCTIONS
    if result.contrasts is not None and hidden > 0:
        lines.append(f"and {format_plural(hidden, 'function')} more: .contrasts, .estimates")
    return "\n".join([*lines, "All women: .to_frame(), largest Cook's distance first"])


def _by_woman(result: "SubjectInfluence") -> list[dict[str, Any]]:
    """The largest Cook's distances, each with the coefficient she moves most."""
    rows: list[dict[str, Any]] = []
    shifts = _shift(result, result.coefficients)
    ranked = result.to_frame().head(_RANKED)
    places = result.by_subject.index.get_indexer(ranked.index).tolist()
    for place, distance in zip(places, ranked["cooks_distance"].to_numpy(), strict=True):
        most = int(np.argmax(_size(shifts[place])))
        her = {"subject": str(ranked.index[len(rows)]), "Cook's D": _text(distance, "{:.3g}")}
        rows.append(her | _cells(result, most, place))
    return rows


def _by_function(result: "SubjectInfluence") -> list[dict[str, Any]]:
    """For each function, the women who move it most."""
    assert result.contrasts is not None
    rows, shifts = [], _shift(result, result.contrasts)
    for column in range(min(len(result.estimates), _FUNCTIONS)):
        known = np.isfinite(result.estimates["estimate"].iloc[column])
        order = np.argsort(-_size(shifts[:, column]), kind="stable")
        for place in order[: _WOMEN if known else 1].tolist():
            who = str(result.by_subject.index[place]) if known else MISSING
            rows.append({"subject": who} | _cells(result, column, place))
    return rows


def _cells(result: "SubjectInfluence", column: int, place: int) -> dict[str, str]:
    """One function with all, without one woman, and how far it moves."""
    asked = result.contrasts is not None
    without = result.contrasts if asked else result.coefficients
    step = result.contrasts_one_step if asked else result.coefficients_one_step
    assert without is not None
    assert step is not None
    estimate, std_error = result.estimates.to_numpy()[column].tolist()
    own = float(without.to_numpy()[place, column])
    name = result.estimates.index[column]
    return {
        "function": ", ".join(map(str, name)) if isinstance(name, tuple) else str(name),
        "with all": _text(estimate) if np.isfinite(estimate) else NOT_ESTIMABLE,
        "SE": _text(std_error),
        "without her": _text(own),
        "shift in SE": format_number(_shift(result, without)[place, column], 2),
        "one step": format_number(_shift(result, step)[place, column], 2),
    }


def _shift(result: "SubjectInfluence", without: pd.DataFrame) -> np.ndarray:
    estimate, std_error = result.estimates.to_numpy().T
    return np.asarray((without.to_numpy() - estimate) / std_error)


def _size(shift: np.ndarray) -> np.ndarray:
    """How far it moves; without an estimate, farther than any."""
    return np.where(np.isnan(shift), np.inf, np.abs(shift))


def _text(value: float, form: str = "{:.4g}") -> str:
    return form.format(value) if np.isfinite(value) else format_number(value)
