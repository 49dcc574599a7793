"""What is known of each woman: which rows a prediction may use, and which visits she lacks."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.new_rows import needs_visit
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.columns import code_response


@dataclass(frozen=True, slots=True)
class KnownResponses:
    """Rows to predict from.

    Attributes
    ----------
    given : (g,) int array
        Pooled rows: of the fit, or new ones of women with a response there.
    y : (n + m,) array
        Responses of pooled rows, NaN where unknown.
    is_known : (m,) bool array
        Whether a new row's response is known.
    """

    given: IntArray
    y: FloatArray
    is_known: BoolArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def require_subject(fit: MixedFit, newdata: pd.DataFrame) -> None:
    """A prediction for one woman needs to know which."""
    if fit.spec.subject not in newdata.columns:
        raise AibmdError(
            f"newdata has no column {fit.spec.subject!r}; a prediction for one woman needs the "
            "subject column (kind='marginal' does not)"
        )


def choose_given(fit: MixedFit, newdata: pd.DataFrame, who: IntArray) -> KnownResponses:
    """Rows of the fit, except for women whose responses `newdata` holds: theirs are there.

    Parameters
    ----------
    fit : MixedFit
    newdata : DataFrame
    who : (m,) int array
        Subject code of each new row.
    """
    names = fit.coding.formula.response_variables
    is_known = np.full(len(newdata), all(name in newdata.columns for name in names))
    for name in names if is_known.any() else ():
        is_known &= newdata[name].notna().to_numpy()
    y = np.full(len(newdata), np.nan)
    if is_known.any():
        y[is_known] = code_response(newdata.loc[is_known], fit.coding.formula)
    rows = fit.design.rows
    told = np.unique(who[is_known])
    old = np.flatnonzero(~np.isin(rows.subject, told))
    new = fit.n_obs + np.flatnonzero(is_known)
    return KnownResponses(np.concatenate([old, new]), np.concatenate([rows.y, y]), is_known)


def list_unobserved(fit: MixedFit) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row for every scheduled visit (and level of `repeated`) that a subject does not have.

    Returns
    -------
    (DataFrame, DataFrame)
        Rows to predict, and the identifiers among their columns.

    Raises
    ------
    AibmdError
        Visits are not scheduled, or a covariate changes within a woman and would be unknown.
    """
    spec, rows = fit.spec, fit.design.rows
    if spec.visit is None or not needs_visit(fit) or rows.weights is not None:
        raise AibmdError(
            "there are no scheduled visits to fill in; give newdata with the rows to predict"
        )
    levels = (None,) if rows.repeated is None else range(len(rows.repeated.labels))
    cells = list(product(levels, range(len(rows.visits))))
    code = rows.visit
    if rows.repeated is not None:
        code = rows.repeated.codes * len(rows.visits) + code
    seen = np.zeros((fit.n_subjects, len(cells)), dtype=bool)
    seen[rows.subject, code] = True
    subject, cell = np.nonzero(~seen)
    table: dict[str, Any] = {
        spec.subject: rows.subjects.take(subject),
        spec.visit: [rows.visit_levels[cells[c][1]] for c in cell],
    }
    if spec.repeated is not None and rows.repeated is not None:
        names = _repeated_values(fit)
        table[spec.repeated] = [names[c] for c in cell // len(rows.visits)]
    identifiers = list(table)
    for name, values in _constant_columns(fit, identifiers).items():
        table[name] = values[subject]
    frame = pd.DataFrame(table)
    return frame, frame[identifiers]


def _repeated_values(fit: MixedFit) -> list[Any]:
    """The levels of `repeated` as they stand in the data, where the formula holds them."""
    repeated, frame = fit.design.rows.repeated, fit.coding.frame
    assert repeated is not None
    if fit.spec.repeated not in frame.columns:
        return list(repeated.labels)
    values = np.asarray(frame[fit.spec.repeated], dtype=object)
    first = [int(np.flatnonzero(repeated.codes == code)[0]) for code in range(len(repeated.labels))]
    return [values[row] for row in first]


def _constant_columns(fit: MixedFit, beside: list[str]) -> dict[str, np.ndarray]:
    """Value of every further column for each subject."""
    rows = fit.design.rows
    frames = pd.concat([rows.frame, rows.effects_frame], axis=1)
    frames = frames.loc[:, ~frames.columns.duplicated()]
    columns = {str(name): np.asarray(frames[name], dtype=object) for name in frames}
    for name, factor in (
        (fit.spec.group, rows.group),
        (fit.spec.residual_group, rows.residual_group),
    ):
        if name is not None and factor is not None and name not in columns:
            columns[name] = np.asarray(factor.labels, dtype=object)[factor.codes]
    found: dict[str, np.ndarray] = {}
    for column, values in columns.items():
        if column in beside:
            continue
        own = np.empty(fit.n_subjects, dtype=object)
        own[rows.subject] = values
        if (own[rows.subject] != values).any():
            raise AibmdError(
                f"{column!r} changes from visit to visit, so its value at an unobserved visit is "
                "not known; give newdata with the rows to predict"
            )
        numeric = pd.api.types.is_numeric_dtype(frames[column].dtype) if column in frames else False
        found[column] = own.astype(float) if numeric else own
    return found
