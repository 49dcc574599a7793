"""Columns as the model needs them: numbers checked, factors coded, visits in order."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, DataWarning
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.coding import model_matrix
from aibmd.model.formula import GuardedFormula

# A text column with more levels than this, most of them numbers, is a number gone wrong.
_FEW_LEVELS = 10
_NUMBER = r"[+-]?\d+(\.\d+)?"
_MOSTLY_NUMBERS = 0.8


@dataclass(frozen=True, slots=True)
class LevelCodes:
    """A factor as codes from zero and the labels they stand for, in order."""

    codes: IntArray
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        freeze_arrays(self)


def natural_order(values: Sequence[Any]) -> list[Any]:
    """Sort labels as people do: VIS2 before VIS10, -6 before 0, baseline before the rest.

    Examples
    --------
    >>> natural_order(["VIS10", "VIS2", "VIS1"])
    ['VIS1', 'VIS2', 'VIS10']
    """

    def key(value: Any) -> tuple[bool, list[tuple[int, float, str]]]:
        text = str(value)
        parts = re.split(r"(\d+(?:\.\d+)?)", text)
        is_later = not text.lower().startswith(("baseline", "screening"))
        return is_later, [
            (0, float(part), "") if i % 2 else (1, 0.0, part) for i, part in enumerate(parts)
        ]

    values = list(values)
    if all(isinstance(value, int | float | np.number) for value in values):
        return sorted(values)
    if all(re.fullmatch(_NUMBER, str(value)) for value in values):
        return sorted(values, key=lambda value: float(str(value)))  # "-6" before "0"
    return sorted(values, key=key)


def code_response(used: pd.DataFrame, formula: GuardedFormula) -> FloatArray:
    """The left-hand side as numbers, (n,)."""
    columns = {name: _as_response(used[name]) for name in formula.response_variables}
    if (formula.response,) == formula.response_variables:
        y = columns[formula.response].astype(float)
    else:
        matrix = model_matrix(formula.left, pd.DataFrame(columns, index=used.index))
        y = np.array(matrix, dtype=float).reshape(len(used), -1)[:, 0]
    if not np.isfinite(y).all():
        first = used.index[~np.isfinite(y)][0]
        raise AibmdError(f"the response {formula.response!r} is not finite in row {first}")
    return y


def code_visits(
    used: pd.DataFrame, visit: str | None, visit_order: Sequence[Any] | None
) -> tuple[IntArray, list[Any], Any]:
    """Codes in visit order, the levels seen, and the column as the formula should see it."""
    if visit is None:
        return np.zeros(len(used), dtype=np.intp), [], None
    column = used[visit]
    if isinstance(column.dtype, pd.CategoricalDtype) and visit_order is None:
        levels: list[Any] = list(column.cat.remove_unused_categories().cat.categories)
    else:
        seen = pd.unique(column)
        order = natural_order(list(seen)) if visit_order is None else visit_order
        levels = [level for level in order if level in set(seen)]
    labels = [str(level) for level in levels]
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise AibmdError(f"two different visits print as {twice!r}; make the visit column one type")
    categories = pd.Categorical(column.astype(object), categories=levels, ordered=True)
    as_seen = as_factor(column) if _is_number(column) else categories
    return categories.codes.astype(np.intp), levels, as_seen


def _as_response(column: pd.Series) -> FloatArray:
    if not _is_number(column):
        raise AibmdError(f"the response {column.name!r} is not numeric; {_first_text(column)}")
    return column.to_numpy(dtype=float, copy=True)


def _first_text(column: pd.Series) -> str:
    """Where a column that should hold numbers holds something else."""
    numbers = pd.to_numeric(column.astype(object), errors="coerce")
    other = np.flatnonzero(~np.isfinite(numbers.astype(float)))
    if pd.api.types.is_bool_dtype(column.dtype) or not len(other):
        return f"its dtype is {column.dtype}; convert it with pd.to_numeric"
    return f"row {column.index[other[0]]} holds {column.iloc[other[0]]!r}"


def as_factor(column: pd.Series) -> Any:
    """Text, booleans and categories become categories without unused levels; numbers stay."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.array.remove_unused_categories()
    if (isinstance(column.dtype, np.dtype) and column.dtype.kind in "mMc") or isinstance(
        column.dtype, pd.DatetimeTZDtype
    ):
        what = "complex numbers" if column.dtype.kind == "c" else "dates or durations"
        raise AibmdError(
            f"column {column.name!r} holds {what}; formulas take numbers and factors: derive for "
            "example years since a stated date"
        )
    if _is_number(column):
        # Own memory, and wide enough that arithmetic in a formula cannot wrap around.
        is_whole = pd.api.types.is_signed_integer_dtype(column.dtype)
        values = column.to_numpy(dtype="int64" if is_whole else "float64", copy=True)
        if not np.isfinite(values).all():
            raise AibmdError(f"column {column.name!r} holds an infinite value")
        return values
    if pd.api.types.infer_dtype(column) in ("integer", "floating", "mixed-integer-float"):
        raise AibmdError(
            f"column {column.name!r} holds numbers as dtype {column.dtype}; convert it with "
            "pd.to_numeric first"
        )
    codes, levels = pd.factorize(column, sort=True)
    _refuse_numbers_as_text(column, levels)
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels))


def _refuse_numbers_as_text(column: pd.Series, levels: Any) -> None:
    """A column of numbers with a word in it would become a factor of hundreds of levels."""
    if len(levels) <= _FEW_LEVELS or pd.api.types.is_bool_dtype(column.dtype):
        return
    is_number = pd.to_numeric(pd.Series(list(levels), dtype=object), errors="coerce").notna()
    if is_number.mean() < _MOSTLY_NUMBERS:
        return
    if is_number.all():
        what = "holds numbers as text"
    else:
        word = list(levels)[int((~is_number).to_numpy().argmax())]
        row = column.index[(column == word).to_numpy().argmax()]
        what = f"holds numbers as text, and in row {row} {word!r}"
    raise AibmdError(
        f"column {column.name!r} {what}; convert it with pd.to_numeric, or make it a category if "
        f"its {len(levels)} levels are meant as a factor"
    )


def _is_number(column: pd.Series) -> bool:
    dtype = column.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def as_numbers(column: pd.Series, role: str) -> FloatArray:
    """A column of finite numbers."""
    if not _is_number(column):
        raise AibmdError(f"{role}={column.name!r} is not numeric; {_first_text(column)}")
    values = column.to_numpy(dtype=float, copy=True)
    if not np.isfinite(values).all():
        first = column.index[~np.isfinite(values)][0]
        raise AibmdError(f"{role}={column.name!r} is not finite in row {first}")
    return values


def as_weights(used: pd.DataFrame, name: str | None, role: str) -> FloatArray | None:
    """A column of positive numbers, or None where no column is named."""
    if name is None:
        return None
    values = as_numbers(used[name], role)
    if not (values > 0).all():
        first = used.index[~(values > 0)][0]
        raise AibmdError(
            f"{role}={name!r} is {values[~(values > 0)][0]:g} in row {first}; weights are "
            "positive (leave out rows that should not count)"
        )
    return values


def as_subject_weights(
    used: pd.DataFrame, name: str | None, subject: IntArray
) -> FloatArray | None:
    """Sampling weights, the same on every row of a subject; their mean over subjects is one."""
    values = as_weights(used, name, "sampling_weights")
    if values is None:
        return None
    by_subject = np.zeros(subject.max() + 1)
    by_subject[subject] = values
    changes = by_subject[subject] != values
    if changes.any():
        raise AibmdError(
            f"sampling_weights={name!r} changes within a subject (row {used.index[changes][0]}); "
            "a sampling weight belongs to a subject. Precision weights of rows are weights="
        )
    return np.asarray(values / by_subject.mean())


def code_levels(used: pd.DataFrame, name: str | None) -> LevelCodes | None:
    """A factor as codes and labels, or None where no column is named."""
    if name is None:
        return None
    column = used[name]
    if _is_number(column):
        levels: list[Any] = natural_order(list(pd.unique(column)))
        as_category = pd.Categorical(column, categories=levels)
    else:
        as_category = as_factor(column)
    labels = tuple(str(level) for level in as_category.categories)
    return LevelCodes(as_category.codes.astype(np.intp), labels)


def warn_numeric_visit(formula: GuardedFormula, visit: str | None, frame: pd.DataFrame) -> None:
    """Warn about a visit that enters the formula as a straight line."""
    bare = visit is not None and formula.factor_variables.get(visit) == (visit,)
    if visit is not None and bare and pd.api.types.is_numeric_dtype(frame[visit].dtype):
        warnings.warn(
            f"the visit column {visit!r} is numeric and enters the formula as a straight line; "
            f"write C({visit}) for a mean at each visit",
            DataWarning,
            stacklevel=5,
        )
