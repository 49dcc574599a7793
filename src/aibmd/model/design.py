"""From a table and a formula to what the engine needs: coded rows and cross-products."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import Coding, model_matrix
from aibmd.model.cross_products import CrossProducts, collect_cross_products
from aibmd.model.formula import GuardedFormula
from aibmd.model.patterns import find_patterns
from aibmd.model.rows import AnalysedRows, select_rows
from aibmd.model.subject_coding import SubjectCoding, code_by_subject
from aibmd.model.subject_products import collect_from_subjects

# Below this many rows the long form is quicker than coding in pieces.
_FEW_ROWS = 4000
_MAX_COLUMNS = 2000


@dataclass(frozen=True, slots=True)
class Design:
    """A model's data, coded.

    Attributes
    ----------
    rows : AnalysedRows
    coding : Coding
    cross : CrossProducts
    X : (n, p_full) array or None
        None where covariates are constant within a subject and `pieces` serve instead.
    pieces : SubjectCoding or None
    """

    rows: AnalysedRows
    coding: Coding
    cross: CrossProducts
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


def build_design(
    data: pd.DataFrame,
    formula: GuardedFormula,
    subject: str,
    visit: str,
    visit_order: Sequence[Any] | None = None,
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
    """
    rows = select_rows(data, formula, subject, visit, visit_order)
    patterns = find_patterns(rows.subject, rows.visit, len(rows.visits))
    if len(rows.y) > _FEW_ROWS:
        pieces = code_by_subject(formula, rows, visit)
        if pieces is not None:
            cross = collect_from_subjects(pieces, rows.y, rows.subject, rows.visit, patterns)
            if cross is not None:
                coding = _coding(formula, rows, pieces.spec, cross)
                return Design(rows, coding, cross, None, pieces)
    _refuse_too_wide(formula, rows.frame)
    matrix = model_matrix(formula.right, rows.frame)
    X = np.asarray(matrix, dtype=float)
    _refuse_bad_columns(X, matrix.model_spec.column_names)
    cross = collect_cross_products(X, rows.y, patterns)
    return Design(rows, _coding(formula, rows, matrix.model_spec, cross), cross, X, None)


def _coding(formula: GuardedFormula, rows: AnalysedRows, spec: Any, cross: CrossProducts) -> Coding:
    return Coding(
        formula=formula,
        spec=spec,
        columns=tuple(spec.column_names),
        kept=cross.basis.kept,
        null_basis=cross.basis.null_basis,
        length=cross.basis.length,
        frame=rows.frame,
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
