"""Large tables whose covariates are constant within a woman: subject by visit, no long copy.

`read_wide` returns None wherever the table is not of that kind; the general path, which also
words every refusal, then takes over.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import pandas as pd

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.formula import GuardedFormula
from aibmd.model.frame_view import FrameView
from aibmd.model.rows import AnalysedRows


@dataclass(frozen=True, slots=True)
class WideRows:
    """A table as subject by visit.

    Attributes
    ----------
    rows : AnalysedRows
        The rows used, their table made only when looked at.
    y : (S, m) array
        Response, zero where there is none.
    seen : (S, m) bool array
    subjects : DataFrame
        Right-hand side columns, one row per subject.
    visits : DataFrame
        The visit column, one row per visit.
    """

    rows: AnalysedRows
    y: FloatArray
    seen: BoolArray
    subjects: pd.DataFrame
    visits: pd.DataFrame

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Rows of a subject lie together: where each begins, and the subject of each row."""

    starts: IntArray
    is_new: BoolArray
    labels: pd.Index


def read_wide(
    data: pd.DataFrame, formula: GuardedFormula, subject: str, visit: str
) -> WideRows | None:
    """Read subject by visit, or None where the table or the formula is not of that kind.

    Parameters
    ----------
    data : DataFrame
    formula : GuardedFormula
    subject, visit : str
        Columns; the visit is categorical.
    """
    if not _is_plain(data, formula, visit):
        return None
    runs = _find_runs(data[subject])
    codes = data[visit].cat.codes.to_numpy()
    y = data[formula.response].to_numpy(dtype=float)
    keep = ~np.isnan(y)
    covariates = [name for name in formula.variables if name != visit]
    if (
        runs is None
        or codes.min() < 0
        or not keep.any()
        or np.isinf(y).any()
        or not all(_is_constant(data[name], runs.is_new) for name in covariates)
    ):
        return None
    return _spread(data, formula, visit, runs, codes, y, keep)


def _is_plain(data: pd.DataFrame, formula: GuardedFormula, visit: str) -> bool:
    if not formula.stateless or formula.response_variables != (formula.response,):
        return False
    used = (formula.response, *(name for name in formula.variables if name != visit))
    return isinstance(data[visit].dtype, pd.CategoricalDtype) and all(
        isinstance(data[name].dtype, pd.CategoricalDtype)
        if name != formula.response and not _is_float(data[name])
        else _is_float(data[name])
        for name in used
    )


def _is_float(column: pd.Series) -> bool:
    return bool(column.dtype == np.float64)


def _find_runs(column: pd.Series) -> _Runs | None:
    """Runs of equal subjects; None if a subject comes back or is missing."""
    if pd.api.types.is_integer_dtype(column.dtype) and isinstance(column.dtype, np.dtype):
        values = column.to_numpy()
    else:
        values = pd.factorize(column)[0]
        if (values < 0).any():
            return None
    is_new = np.empty(len(values), dtype=bool)
    is_new[0] = True
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    starts = np.flatnonzero(is_new)
    firsts = values[starts]
    if not (firsts[1:] > firsts[:-1]).all() and len(pd.unique(firsts)) < len(firsts):
        return None
    return _Runs(starts, is_new, pd.Index(column.iloc[starts]))


def _is_constant(column: pd.Series, is_new: BoolArray) -> bool:
    """Complete and finite, and the same on every row of a subject."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values = column.cat.codes.to_numpy()
        complete = bool(values.min() >= 0)
    else:
        values = column.to_numpy()
        complete = bool(np.isfinite(values).all())
    if not complete:
        return False
    same = values[1:] == values[:-1]
    same |= is_new[1:]
    return bool(same.all())


def _spread(
    data: pd.DataFrame,
    formula: GuardedFormula,
    visit: str,
    runs: _Runs,
    codes: np.ndarray,
    y: FloatArray,
    keep: BoolArray,
) -> WideRows | None:
    all_kept = bool(keep.all())
    n_kept = np.add.reduceat(keep, runs.starts, dtype=np.intp)
    has_rows = n_kept > 0
    # Codes of the subjects that keep a row; four bytes, as there are as many as rows.
    number = (np.cumsum(has_rows) - 1).astype(np.int32)
    row_subject = np.repeat(number, np.diff(runs.starts, append=len(y)))
    if not all_kept:
        row_subject, codes, y = row_subject[keep], codes[keep], y[keep]
    used = np.flatnonzero(np.bincount(codes, minlength=1))
    levels = data[visit].cat.categories[used]
    if len(used) < int(codes.max()) + 1:
        place = np.zeros(int(codes.max()) + 1, dtype=np.intp)
        place[used] = np.arange(len(used))
        codes = place[codes]
    n_subjects, m = int(has_rows.sum()), len(used)
    labels = tuple(str(level) for level in levels)
    if len(set(labels)) < len(labels):
        return None
    at = row_subject * np.intp(m) + codes
    wide = np.zeros(n_subjects * m)
    seen = np.zeros(n_subjects * m, dtype=bool)
    wide[at], seen[at] = y, True
    if int(seen.sum()) < len(y):  # a visit repeats
        return None
    subjects = _subject_frame(data, formula, visit, runs.starts[has_rows])
    visits = pd.DataFrame({visit: pd.Categorical(levels, categories=levels, ordered=True)})
    rows = AnalysedRows(
        view=_view(data, formula, visit, subjects, visits, keep),
        y=np.array(y) if all_kept else y,
        subject=cast(IntArray, row_subject),
        visit=cast(IntArray, codes.astype(np.int32)),
        subjects=runs.labels if has_rows.all() else runs.labels[has_rows],
        visits=labels,
        visit_levels=tuple(levels),
        dropped=MappingProxyType(_dropped(formula.response, keep)),
        time=None,
        weights=None,
        sampling_weights=None,
        repeated=None,
        group=None,
        residual_group=None,
        effects_frame=pd.DataFrame(index=pd.RangeIndex(0)),
        position=np.empty(0, dtype=np.intp),
    )
    return WideRows(rows, wide.reshape(-1, m), seen.reshape(-1, m), subjects, visits)


def _dropped(response: str, keep: BoolArray) -> dict[str, int]:
    lost = len(keep) - int(keep.sum())
    return {f"missing response {response}": lost} if lost else {}


def _subject_frame(
    data: pd.DataFrame, formula: GuardedFormula, visit: str, first: IntArray
) -> pd.DataFrame:
    """One row per subject; levels that no subject has are removed."""
    names = [name for name in formula.variables if name != visit]
    columns: dict[str, Any] = {}
    for name in names:
        values = data[name].array[first]
        is_factor = isinstance(values.dtype, pd.CategoricalDtype)
        columns[name] = values.remove_unused_categories() if is_factor else np.asarray(values)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(first)))


def _view(
    data: pd.DataFrame,
    formula: GuardedFormula,
    visit: str,
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    keep: BoolArray,
) -> FrameView:
    given = data[list(formula.variables)] if formula.variables else data[[]]
    sample = subjects.iloc[:1].copy()
    if visit in formula.variables:
        sample[visit] = visits[visit].array[:1]
    sample = sample[list(formula.variables)]

    def make() -> pd.DataFrame:
        used = given if keep.all() else given.loc[keep]
        columns = {}
        for name in formula.variables:
            dtype = sample[name].dtype
            is_factor = isinstance(dtype, pd.CategoricalDtype)
            columns[name] = used[name].astype(dtype) if is_factor else used[name]
        return pd.DataFrame(columns, index=used.index)

    return FrameView(sample, make)
