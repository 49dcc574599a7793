"""The rows a model uses: complete, coded by subject and visit, with what was left out counted."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, DataWarning
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.coding import model_matrix
from aibmd.model.formula import GuardedFormula

_SHOWN_REPEATS = 5


@dataclass(frozen=True, slots=True)
class AnalysedRows:
    """Rows in which response, covariates, subject and visit are all known.

    Attributes
    ----------
    frame : DataFrame
        Columns of the right-hand side, text as categories; unused levels removed.
    y : (n,) array
    subject, visit : (n,) int arrays
        Codes from zero.
    subjects : Index
        Label of each subject code.
    visits : tuple of str
        Labels, in visit order.
    visit_levels : tuple
        The values themselves.
    dropped : mapping
        Reason -> number of rows left out.
    """

    frame: pd.DataFrame
    y: FloatArray
    subject: IntArray
    visit: IntArray
    subjects: pd.Index
    visits: tuple[str, ...]
    visit_levels: tuple[Any, ...]
    dropped: Mapping[str, int]

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def first_rows(self) -> IntArray:
        """First row of each subject; codes count up in order of appearance."""
        newest = np.maximum.accumulate(self.subject)
        return np.flatnonzero(np.diff(newest, prepend=-1))


def select_rows(
    data: pd.DataFrame,
    formula: GuardedFormula,
    subject: str,
    visit: str,
    visit_order: Sequence[Any] | None = None,
) -> AnalysedRows:
    """Keep the complete rows and code them.

    Parameters
    ----------
    data : DataFrame
        Long form, one row per subject and visit.
    formula : GuardedFormula
    subject, visit : str
        Columns.
    visit_order : sequence, optional
        Overrides the order found in `data` (categorical order, else natural order).

    Raises
    ------
    AibmdError
        No complete row, a repeated subject-visit, a response that is not numeric.
    """
    needed = {
        subject: "subject",
        visit: "visit",
    }
    for role, names in (
        ("response", formula.response_variables),
        ("covariate", formula.variables),
    ):
        for name in names:
            needed.setdefault(name, role)
    missing = {name: data[name].isna().to_numpy() for name in needed}
    keep, dropped = _count_dropped(missing, needed)
    if not keep.any():
        raise AibmdError(f"no row is complete: {_describe_dropped(dropped)}")
    used = data if keep.all() else data.loc[keep]
    y = _response(used, formula)
    visit_codes, levels, visit_column = _code_visits(used[visit], visit_order)
    subject_codes, subjects = pd.factorize(used[subject])
    subject_codes = subject_codes.astype(np.intp, copy=False)
    _refuse_repeats(used, subject, visit, subject_codes * len(levels) + visit_codes)
    frame = pd.DataFrame(
        {
            name: visit_column if name == visit else _as_factor(used[name])
            for name in formula.variables
        },
        index=used.index,
        copy=False,
    )
    _warn_numeric_visit(formula, visit, frame)
    return AnalysedRows(
        frame=frame,
        y=y,
        subject=subject_codes,
        visit=visit_codes,
        subjects=pd.Index(subjects),
        visits=tuple(str(level) for level in levels),
        visit_levels=tuple(levels),
        dropped=MappingProxyType(dropped),
    )


def natural_order(values: Sequence[Any]) -> list[Any]:
    """Sort labels as people do: VIS2 before VIS10.

    Examples
    --------
    >>> natural_order(["VIS10", "VIS2", "VIS1"])
    ['VIS1', 'VIS2', 'VIS10']
    """

    def key(value: Any) -> list[tuple[int, float, str]]:
        parts = re.split(r"(\d+(?:\.\d+)?)", str(value))
        return [(0, float(part), "") if i % 2 else (1, 0.0, part) for i, part in enumerate(parts)]

    values = list(values)
    if all(isinstance(value, int | float | np.number) for value in values):
        return sorted(values)
    return sorted(values, key=key)


def _count_dropped(
    missing: dict[str, BoolArray], needed: dict[str, str]
) -> tuple[BoolArray, dict[str, int]]:
    """Rows to keep; each row left out is counted once, under the first reason that holds."""
    keep = np.ones(len(next(iter(missing.values()))), dtype=bool)
    dropped: dict[str, int] = {}
    for name, role in needed.items():
        lost = keep & missing[name]
        if n_lost := int(lost.sum()):
            dropped[f"missing {role} {name}"] = n_lost
            keep &= ~lost
    return keep, dropped


def _describe_dropped(dropped: dict[str, int]) -> str:
    return "; ".join(f"{count} rows: {reason}" for reason, count in dropped.items()) or "no rows"


def _response(used: pd.DataFrame, formula: GuardedFormula) -> FloatArray:
    columns = {name: _as_response(used[name]) for name in formula.response_variables}
    if (formula.response,) == formula.response_variables:
        y = columns[formula.response].astype(float)
    else:
        matrix = model_matrix(formula.left, pd.DataFrame(columns, index=used.index))
        y = np.array(matrix, dtype=float).reshape(len(used), -1)[:, 0]
    if not np.isfinite(y).all():
        first = used.index[~np.isfinite(y)][0]
        raise AibmdError(f"the response {formula.response!r} is not finite in row {first!r}")
    return y


def _code_visits(
    column: pd.Series, visit_order: Sequence[Any] | None
) -> tuple[IntArray, list[Any], Any]:
    """Codes in visit order, the levels seen, and the column as the formula should see it."""
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
    as_seen = _as_factor(column) if _is_number(column) else categories
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


def _as_factor(column: pd.Series) -> Any:
    """Text, booleans and categories become categories without unused levels; numbers stay."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.array.remove_unused_categories()
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
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels))


def _is_number(column: pd.Series) -> bool:
    dtype = column.dtype
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _refuse_repeats(used: pd.DataFrame, subject: str, visit: str, key: IntArray) -> None:
    if (np.diff(key) > 0).all() or len(np.unique(key)) == len(key):
        return
    is_repeat = pd.Series(key).duplicated(keep=False).to_numpy()
    where = np.flatnonzero(is_repeat)[np.argsort(key[is_repeat], kind="stable")]
    shown = "\n".join(
        f"  row {used.index[i]}   {used[subject].iloc[i]}   {used[visit].iloc[i]}"
        for i in where[:_SHOWN_REPEATS]
    )
    remedy = "Keep one row for each, or average them first"
    if "skeletal_site" in used.columns:
        remedy += "; with several skeletal sites, fit one site at a time"
    raise AibmdError(f"{len(where)} rows repeat a subject and visit\n{shown}\n{remedy}.")


def _warn_numeric_visit(formula: GuardedFormula, visit: str, frame: pd.DataFrame) -> None:
    bare = formula.factor_variables.get(visit) == (visit,)
    if bare and pd.api.types.is_numeric_dtype(frame[visit].dtype):
        warnings.warn(
            f"the visit column {visit!r} is numeric and enters the formula as a straight line; "
            f"write C({visit}) for a mean at each visit",
            DataWarning,
            stacklevel=5,
        )
