"""A model's data, coded: rows, columns of X, and the sums the likelihood needs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.coding import Coding, model_matrix
from aibmd.model.cross_products import CrossProducts, collect_cross_products
from aibmd.model.formula import GuardedFormula
from aibmd.model.least_squares import LeastSquares, fit_least_squares
from aibmd.model.patterns import find_patterns
from aibmd.model.row_refusals import refuse_changing_group, refuse_repeats
from aibmd.model.rows import NOTHING_FURTHER, AnalysedRows, FurtherColumns, select_rows
from aibmd.model.subject_coding import SubjectCoding, code_by_subject, code_wide
from aibmd.model.wide_products import collect_from_wide
from aibmd.model.wide_rows import read_wide

# Below this many rows the long form is quicker than coding in pieces.
_FEW_ROWS = 4000
_MAX_COLUMNS = 2000
Layout = Literal["cells", "rows"]


@dataclass(frozen=True, slots=True)
class Design:
    """A model's data, coded.

    Attributes
    ----------
    rows : AnalysedRows
    coding : Coding
    least_squares : LeastSquares
    cross : CrossProducts or None
        Over cells (group, repeated level, visit); None where rows lie at times of their own.
    Z : (n, p + 1) array or None
        Scaled rows [Q, r] where there are no cross-products.
    X : (n, p_full) array or None
        None where covariates are constant within a subject and `pieces` serve instead.
    pieces : SubjectCoding or None
    """

    rows: AnalysedRows
    coding: Coding
    least_squares: LeastSquares
    cross: CrossProducts | None
    Z: FloatArray | None
    X: FloatArray | None
    pieces: SubjectCoding | None

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def linear_predictor(self, beta: FloatArray) -> FloatArray:
        """X beta for the rows used, (n,)."""
        if self.X is not None:
            return self.X[:, self.coding.kept] @ beta
        if self.pieces is None:
            raise ValueError("a design holds X or its pieces")
        return self.pieces.linear_predictor(beta, self.rows.subject, self.rows.visit)

    def columns_of(self, rows: IntArray) -> FloatArray:
        """Kept columns of X for some rows, in the shape of `rows` and one axis more."""
        if self.X is not None:
            return self.X[rows][..., self.coding.kept]
        if self.pieces is None:
            raise ValueError("a design holds X or its pieces")
        subject, visit = self.rows.subject[rows], self.rows.visit[rows]
        part = self.pieces.part[self.coding.kept]
        return self.pieces.B[visit][..., self.coding.kept] * self.pieces.C[subject][..., part]


def build_design(
    data: pd.DataFrame,
    formula: GuardedFormula,
    subject: str,
    visit: str | None,
    visit_order: Sequence[Any] | None = None,
    further: FurtherColumns = NOTHING_FURTHER,
    layout: Layout = "cells",
) -> Design:
    """Select complete rows, code them, and sum their cross-products.

    Parameters
    ----------
    data : DataFrame
        Long form.
    formula : GuardedFormula
    subject, visit : str
        Columns.
    visit_order : sequence, optional
        Visit labels in order, where the data do not say.
    further : FurtherColumns
    layout : {"cells", "rows"}
        Whether rows belong to scheduled visits, or lie at times of their own.
    """
    if layout == "cells" and visit is not None and visit_order is None:
        design = _build_wide(data, formula, subject, visit, further)
        if design is not None:
            return design
    rows = select_rows(data, formula, subject, visit, visit_order, further)
    refuse_changing_group(rows, data, further.group)
    if layout == "rows":
        return _design_of_rows(formula, rows)
    names = [name for name in (subject, further.repeated, visit) if name is not None]
    what = "subject, repeated factor and visit" if further.repeated else "subject and visit"
    refuse_repeats(rows, data, cell_codes(rows, with_group=False), names, what)
    is_plain = all(x is None for x in (rows.weights, rows.sampling_weights, rows.repeated))
    if len(rows.y) > _FEW_ROWS and is_plain and rows.group is None and visit is not None:
        pieces = code_by_subject(formula, rows, visit)
        if pieces is not None:
            cross = collect_from_wide(pieces, *_as_wide(rows))
            if cross is not None:
                coding = _coding(formula, rows, pieces.spec, cross.least_squares)
                return Design(rows, coding, cross.least_squares, cross, None, None, pieces)
    X, spec = _long_matrix(formula, rows)
    patterns = find_patterns(rows.subject, cell_codes(rows), count_cells(rows))
    weighted = _apply_weights(X, rows)
    cross = collect_cross_products(*weighted[:2], patterns, weighted[2], rows.sampling_weights)
    coding = _coding(formula, rows, spec, cross.least_squares)
    return Design(rows, coding, cross.least_squares, cross, None, X, None)


def _build_wide(
    data: pd.DataFrame,
    formula: GuardedFormula,
    subject: str,
    visit: str,
    further: FurtherColumns,
) -> Design | None:
    """The design of a large table with covariates constant within subjects, if it is one."""
    if len(data) <= _FEW_ROWS or further != NOTHING_FURTHER:
        return None
    wide = read_wide(data, formula, subject, visit)
    if wide is None:
        return None
    rows = wide.rows
    pieces = code_wide(formula, rows.view.sample, wide.subjects, wide.visits)
    if pieces is None:
        return None
    cross = collect_from_wide(pieces, wide.y, wide.seen)
    if cross is None:
        return None
    coding = _coding(formula, rows, pieces.spec, cross.least_squares)
    return Design(rows, coding, cross.least_squares, cross, None, None, pieces)


def _as_wide(rows: AnalysedRows) -> tuple[FloatArray, BoolArray]:
    """Response and presence, subject by visit."""
    shape = (len(rows.subjects), len(rows.visits))
    y, seen = np.zeros(shape), np.zeros(shape, dtype=bool)
    y[rows.subject, rows.visit], seen[rows.subject, rows.visit] = rows.y, True
    return y, seen


def cell_codes(rows: AnalysedRows, with_group: bool = True) -> IntArray:
    """Code of each row's cell: visits within levels of `repeated` within groups."""
    code = rows.visit
    n_visits = max(len(rows.visits), 1)
    n_repeated = 1
    if rows.repeated is not None:
        code = rows.repeated.codes * n_visits + code
        n_repeated = len(rows.repeated.labels)
    if with_group and rows.group is not None:
        code = rows.group.codes * (n_repeated * n_visits) + code
    return code


def count_cells(rows: AnalysedRows) -> int:
    """Number of cells, seen or not."""
    sizes = [len(factor.labels) for factor in (rows.repeated, rows.group) if factor is not None]
    return math.prod([max(len(rows.visits), 1), *sizes])


def _design_of_rows(formula: GuardedFormula, rows: AnalysedRows) -> Design:
    X, spec = _long_matrix(formula, rows)
    least_squares, Z = fit_least_squares(*_apply_weights(X, rows))
    coding = _coding(formula, rows, spec, least_squares)
    return Design(rows, coding, least_squares, None, Z, X, None)


def _apply_weights(X: FloatArray, rows: AnalysedRows) -> tuple[FloatArray, FloatArray, float]:
    """X and y with rows multiplied by the square root of their precision weight."""
    if rows.weights is None:
        return X, rows.y, 0.0
    root = np.sqrt(rows.weights)
    return X * root[:, None], rows.y * root, float(np.log(root).sum())


def _long_matrix(formula: GuardedFormula, rows: AnalysedRows) -> tuple[FloatArray, Any]:
    _refuse_too_wide(formula, rows.frame)
    matrix = model_matrix(formula.right, rows.frame)
    X = np.asarray(matrix, dtype=float)
    _refuse_bad_columns(X, matrix.model_spec.column_names)
    return X, matrix.model_spec


def _coding(
    formula: GuardedFormula, rows: AnalysedRows, spec: Any, least_squares: LeastSquares
) -> Coding:
    return Coding(
        formula=formula,
        spec=spec,
        columns=tuple(spec.column_names),
        kept=least_squares.basis.kept,
        null_basis=least_squares.basis.null_basis,
        length=least_squares.basis.length,
        view=rows.view,
    )


def _refuse_too_wide(formula: GuardedFormula, frame: pd.DataFrame) -> None:
    """Bound the width of X before it is formed: crossed factors multiply their levels."""
    n_levels = {name: _count_levels(frame[name]) for name in formula.variables}
    width = sum(
        math.prod(
            max(n_levels[name] for name in formula.factor_variables[str(factor.expr)])
            for factor in term.factors
            if str(factor.expr) in formula.factor_variables
        )
        for term in formula.right
    )
    if width > _MAX_COLUMNS:
        raise AibmdError(
            f"the formula would need up to {width:,} columns (at most {_MAX_COLUMNS:,} are "
            "allowed); is a column of identifiers or free text among its factors?"
        )


def _count_levels(column: pd.Series) -> int:
    return len(column.cat.categories) if isinstance(column.dtype, pd.CategoricalDtype) else 1


def _refuse_bad_columns(X: FloatArray, names: Sequence[str]) -> None:
    if X.shape[1] == 0:
        raise AibmdError("the formula has no column on its right-hand side; write 1 for a mean")
    bad = ~np.isfinite(X).all(axis=0)
    if bad.any():
        raise AibmdError(f"column {names[int(np.flatnonzero(bad)[0])]!r} of X is not finite")
