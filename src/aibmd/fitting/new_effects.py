"""Random effects of new rows: columns of Z as the fit coded them, and shared levels."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.coding import Coding, model_matrix
from aibmd.model.covariance.features import RandomPart
from aibmd.model.effects_design import EffectsGrouping, parse_random
from aibmd.model.frame_view import FrameView

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


def known_column(newdata: pd.DataFrame, name: str, role: str) -> pd.DataFrame:
    """The table, if it has this column and nothing is missing in it."""
    if name not in newdata.columns:
        raise AibmdError(
            f"newdata has no column {name!r}; this prediction needs the {role} column {name!r}"
        )
    if newdata[name].isna().any():
        first = newdata.index[newdata[name].isna()][0]
        raise AibmdError(f"{role} column {name!r} of newdata has a missing value in row {first!r}")
    return newdata


def _random_codings(fit: "MixedFit") -> list[tuple[EffectsGrouping, Coding]]:
    """Each grouping with what turns new rows into its columns of Z."""
    rows, spec, formula = fit.design.rows, fit.spec, fit.coding.formula
    if spec.random is None:
        return []
    names = [*rows.effects_frame.columns, *formula.response_variables, spec.subject]
    columns = pd.Index(dict.fromkeys(names))
    groupings = parse_random(
        spec.random, spec.random_covariance, formula.response, spec.subject, columns
    )
    found = []
    for grouping in groupings:
        coded = model_matrix(grouping.formula.right, rows.effects_frame).model_spec
        width = len(coded.column_names)
        frame = rows.effects_frame[list(grouping.formula.variables)]
        found.append(
            (
                grouping,
                Coding(
                    formula=grouping.formula,
                    spec=coded,
                    columns=tuple(coded.column_names),
                    kept=np.arange(width),
                    null_basis=np.empty((width, 0)),
                    length=np.ones(width),
                    view=FrameView.of(frame),
                ),
            )
        )
    return found


def join_random(fit: "MixedFit", newdata: pd.DataFrame) -> tuple[RandomPart, ...]:
    """Every random part with the new rows behind those of the fit."""
    pairs = zip(_random_codings(fit), fit.features.random, strict=True)
    joined = []
    for (grouping, coding), old in pairs:
        Z = coding.code(newdata).reshape(len(newdata), -1)
        level = _join_levels(fit, grouping, newdata)
        joined.append(RandomPart(np.concatenate([old.Z, Z]), level))
    return tuple(joined)


def _join_levels(fit: "MixedFit", grouping: EffectsGrouping, newdata: pd.DataFrame) -> IntArray:
    """Inner level of every row: new rows share an effect where the labels are the same."""
    frame = fit.design.rows.effects_frame
    code = np.zeros(len(frame) + len(newdata), dtype=np.intp)
    for name in grouping.inner:
        new = np.asarray(known_column(newdata, name, "grouping")[name], dtype=object)
        both = np.concatenate([np.asarray(frame[name], dtype=object), new])
        key = pd.factorize(both)[0]
        code = code * (int(key.max()) + 1) + key
    return np.asarray(pd.factorize(code)[0], dtype=np.intp)


def code_random_columns(
    fit: "MixedFit", at: Mapping[str, Any]
) -> list[tuple[tuple[str, ...], FloatArray | None]]:
    """For each grouping: the columns its effects depend on, and its row of Z at these values.

    None stands where `at` lacks a column.
    """
    found: list[tuple[tuple[str, ...], FloatArray | None]] = []
    for grouping, coding in _random_codings(fit):
        needed = tuple(grouping.formula.variables)
        if any(name not in at for name in needed):
            found.append((needed, None))
            continue
        row = pd.DataFrame({name: [value] for name, value in at.items()}, index=[0])
        found.append((needed, coding.code(row).reshape(-1)))
    return found
