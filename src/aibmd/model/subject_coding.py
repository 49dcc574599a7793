"""x_ij = B_j c_i: code one row per subject when covariates are constant within a subject.

Every column of X is then a visit part times a subject part. formulaic codes the parts on
one row per visit and one row per subject, and the long X is never formed.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula

from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.coding import model_matrix
from aibmd.model.formula import GuardedFormula
from aibmd.model.rows import AnalysedRows

# A part is the factors of a term on one side, each with whether it lost a level.
Part = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class SubjectCoding:
    """X in two thin pieces: ``X[row, a] = B[visit, a] * C[subject, part[a]]``.

    Attributes
    ----------
    columns : tuple of str
    spec : formulaic.ModelSpec
    B : (m, p_full) array
    C : (n_subjects, r) array
    part : (p_full,) int array
        Column of C that each column of X uses.
    """

    columns: tuple[str, ...]
    spec: Any
    B: FloatArray
    C: FloatArray
    part: IntArray

    def linear_predictor(self, beta: FloatArray, subject: IntArray, visit: IntArray) -> FloatArray:
        """X beta for long-form rows, (n,)."""
        return (self.C @ self.spread(beta))[subject, visit]

    def spread(self, beta: FloatArray) -> FloatArray:
        """(r, m): what beta puts on each column of C at each visit."""
        weights = np.zeros((self.C.shape[1], self.B.shape[0]))
        np.add.at(weights, self.part, (self.B * beta).T)
        return weights


def code_by_subject(
    formula: GuardedFormula, rows: AnalysedRows, visit: str
) -> SubjectCoding | None:
    """Code by subject and visit, or None where the formula or the data do not allow it."""
    sides = _sides(formula, rows, visit)
    if sides is None:
        return None
    subjects = rows.frame.iloc[rows.first_rows]
    first_of_visit = np.empty(len(rows.visits), dtype=np.intp)
    first_of_visit[rows.visit[::-1]] = np.arange(len(rows.visit))[::-1]
    visits = rows.frame.iloc[first_of_visit]
    return assemble_pieces(formula, rows.frame.iloc[:1], subjects, visits, sides)


def code_wide(
    formula: GuardedFormula,
    sample: pd.DataFrame,
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
) -> SubjectCoding | None:
    """Code one row per subject and one per visit; None where a factor mixes the two.

    Parameters
    ----------
    formula : GuardedFormula
    sample : DataFrame
        One row with all columns, for levels.
    subjects, visits : DataFrame
    """
    sides = {}
    for expression, used in formula.factor_variables.items():
        if not set(used) & set(formula.variables):
            continue
        if set(used) <= set(visits.columns):
            sides[expression] = "visit"
        elif set(used) <= set(subjects.columns):
            sides[expression] = "subject"
        else:
            return None
    return assemble_pieces(formula, sample, subjects, visits, sides)


def assemble_pieces(
    formula: GuardedFormula,
    sample: pd.DataFrame,
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    sides: dict[str, str],
) -> SubjectCoding | None:
    """Code the factors of both sides and multiply them out."""
    spec = model_matrix(formula.right, sample).model_spec
    return _assemble(spec, _Pieces(formula, {"subject": subjects, "visit": visits}, sides))


def _sides(formula: GuardedFormula, rows: AnalysedRows, visit: str) -> dict[str, str] | None:
    """Each factor expression -> "subject" or "visit"; None if one is neither."""
    if not formula.stateless:
        return None
    is_constant = {
        name: _is_constant(rows.frame[name], rows) for name in formula.variables if name != visit
    }
    sides = {}
    for expression, used in formula.factor_variables.items():
        if set(used) == {visit}:
            sides[expression] = "visit"
        elif visit not in used and all(is_constant.get(name, False) for name in used):
            sides[expression] = "subject"
        elif set(used) & set(formula.variables):
            return None
    return sides


def _is_constant(column: pd.Series, rows: AnalysedRows) -> bool:
    values = column.cat.codes.to_numpy() if hasattr(column, "cat") else column.to_numpy()
    return bool((values == values[rows.first_rows][rows.subject]).all())


@dataclass(frozen=True, slots=True)
class _Pieces:
    """Codes the factors of one side on that side's rows."""

    formula: GuardedFormula
    frames: dict[str, pd.DataFrame]
    sides: dict[str, str]

    def split(self, factors: Part) -> tuple[Part, Part]:
        subject = tuple(f for f in factors if self.sides[f[0]] == "subject")
        return subject, tuple(f for f in factors if self.sides[f[0]] == "visit")

    def code(self, expression: str, reduced: bool) -> dict[str, FloatArray]:
        """Column name -> values of one factor, with or without its reference level."""
        frame = self.frames[self.sides[expression]]
        source = Formula(f"{'1' if reduced else '0'} + {_quote(expression, frame)}")
        matrix = model_matrix(source, frame)
        names = matrix.model_spec.column_names
        values = np.asarray(matrix, dtype=float)
        return {name: values[:, i] for i, name in enumerate(names) if name != "Intercept"}


def _quote(expression: str, frame: pd.DataFrame) -> str:
    return f"`{expression}`" if expression in frame.columns else expression


def _assemble(spec: Any, pieces: _Pieces) -> SubjectCoding | None:
    coded: dict[tuple[str, bool], dict[str, FloatArray]] = {}
    subject_columns: dict[tuple[str, ...], FloatArray] = {
        (): np.ones(len(pieces.frames["subject"]))
    }
    place: dict[str, tuple[tuple[str, ...], FloatArray]] = {}
    for structure in spec.structure:
        for term in structure.scoped_terms:
            factors = tuple((str(f.factor.expr), bool(f.reduced)) for f in term.factors)
            for factor in factors:
                if factor not in coded:
                    coded[factor] = pieces.code(*factor)
            for names in product(*(coded[factor] for factor in factors)):
                visit_values = np.full(len(pieces.frames["visit"]), float(term.scale))
                subject_names: tuple[str, ...] = ()
                subject_values = subject_columns[()]
                for factor, name in zip(factors, names, strict=True):
                    if pieces.sides[factor[0]] == "visit":
                        visit_values = visit_values * coded[factor][name]
                    else:
                        subject_names += (name,)
                        subject_values = subject_values * coded[factor][name]
                subject_columns.setdefault(subject_names, subject_values)
                place[":".join(names) or "Intercept"] = (subject_names, visit_values)
    columns = tuple(spec.column_names)
    if set(columns) != set(place):  # formulaic named something in a way not foreseen here
        return None
    order = {names: i for i, names in enumerate(subject_columns)}
    return SubjectCoding(
        columns=columns,
        spec=spec,
        B=np.column_stack([place[name][1] for name in columns]),
        C=np.column_stack(list(subject_columns.values())),
        part=np.array([order[place[name][0]] for name in columns]),
    )
