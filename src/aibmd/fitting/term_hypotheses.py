"""What a test of a term says of the coefficients, labels (A1) to (A4) of docs/methods/anova.md."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from formulaic import Formula
from formulaic.transforms.contrasts import SumContrasts

from aibmd.errors import AibmdError
from aibmd.linalg.basis import OrthonormalBasis, orthonormalise
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import Coding, model_matrix
from aibmd.model.formula import TRANSFORMS

# Singular values of a term's new directions, relative to columns of length one.
_NEW_DIRECTION = 1e-6


def type_three_hypotheses(coding: Coding) -> dict[str, FloatArray]:
    """Term -> L over the estimated coefficients, by sum-to-zero coding (A1)."""
    recoded = _SumToZero.of(coding)
    found = {term: recoded.marginal(term) for term in recoded.columns}
    return {term: L for term, L in found.items() if len(L)}


def type_two_hypotheses(coding: Coding) -> dict[str, FloatArray]:
    """Term -> L: the term given all terms that do not contain it (A3).

    A term that no other contains has the hypothesis of type III.
    """
    recoded = _SumToZero.of(coding)
    found = {}
    for term in recoded.columns:
        containing = [other for other in recoded.columns if recoded.contains(other, term)]
        found[term] = recoded.given(term, containing) if containing else recoded.marginal(term)
    return {term: L for term, L in found.items() if len(L)}


@dataclass(frozen=True)
class _SumToZero:
    """The fit's rows with every factor coded sum-to-zero, beside the columns it estimated.

    Attributes
    ----------
    X : (n, p) array
        Estimated columns, each of length one.
    length : (p,) array
        What they were divided by.
    X_sum : (n, p_sum) array
    columns : dict
        Term (but the intercept) -> its columns of X_sum.
    factors, covariates : dict
        Term -> expressions in it that are factors, and that are numbers.
    """

    X: FloatArray
    length: FloatArray
    X_sum: FloatArray
    columns: dict[str, list[int]]
    factors: dict[str, frozenset[str]]
    covariates: dict[str, frozenset[str]]

    @classmethod
    def of(cls, coding: Coding) -> "_SumToZero":
        length = coding.length[coding.kept]
        X = coding.code(coding.frame)[:, coding.kept] / length
        parts = _terms(coding)
        X_sum, columns = _code_sum_to_zero(coding, parts)
        factors, covariates = {}, {}
        for term, expressions in parts.items():
            is_factor = {text: _factor_of(coding, text) is not None for text in expressions}
            factors[term] = frozenset(text for text, yes in is_factor.items() if yes)
            covariates[term] = frozenset(text for text, yes in is_factor.items() if not yes)
        return cls(X, length, X_sum, columns, factors, covariates)

    @cached_property
    def basis(self) -> OrthonormalBasis:
        return orthonormalise(self.X_sum)

    @cached_property
    def to_sum(self) -> FloatArray:
        """M with X = X_s M (A1), rows for the columns the basis keeps."""
        Q = self.X_sum[:, self.basis.kept] @ self.basis.transform
        return np.asarray(self.basis.transform @ (Q.T @ self.X))

    def contains(self, other: str, term: str) -> bool:
        """Whether `other` has the factors of `term` and more, and the same covariates (A3)."""
        is_wider = self.factors[other] > self.factors[term]
        return is_wider and self.covariates[other] == self.covariates[term]

    def marginal(self, term: str) -> FloatArray:
        """The term's coefficients vanish, given all others (A1), (A2)."""
        own, kept = self.columns[term], self.basis.kept
        L = self.to_sum[np.isin(kept, own)]
        if len(kept) < self.X_sum.shape[1] or len(kept) != self.X.shape[1]:
            L = _agreed(L, _new_directions(self.X, np.delete(self.X_sum, own, axis=1)))
        return np.asarray(L * self.length)

    def given(self, term: str, containing: list[str]) -> FloatArray:
        """What the term adds to the terms that do not contain it, in the metric X'X (A3)."""
        own = self.columns[term]
        away = {column for other in containing for column in self.columns[other]}
        before = [c for c in range(self.X_sum.shape[1]) if c not in away and c not in own]
        ordered = np.array([*before, *own])
        basis = orthonormalise(self.X_sum[:, ordered])
        is_own = basis.kept >= len(before)
        T = basis.transform[:, is_own] * np.diagonal(basis.transform)[is_own]  # (A4)
        new = self.X_sum[:, ordered[basis.kept]] @ T
        return np.asarray(new.T @ self.X * self.length)


def _terms(coding: Coding) -> dict[str, list[str]]:
    """Term -> expressions it multiplies; the intercept is left out."""
    return {
        str(structure.term): [str(factor.expr) for factor in structure.term.factors]
        for structure in coding.spec.structure
        if str(structure.term) != "1"
    }


def _code_sum_to_zero(
    coding: Coding, parts: dict[str, list[str]]
) -> tuple[FloatArray, dict[str, list[int]]]:
    """All columns with every factor coded sum-to-zero, and which belong to each term."""
    safe = {name: f"factor_{i}" for i, name in enumerate(coding.levels)}
    recoded: dict[str, str] = {}
    for term, expressions in parts.items():
        text = ":".join(_recode(coding, expression, safe) for expression in expressions)
        if text in recoded.values():
            raise AibmdError(f"the term {term} repeats another; name each factor once")
        recoded[term] = text
    source = Formula(" + ".join(["1", *recoded.values()]))
    frame = coding.frame.rename(columns=safe)
    matrix = model_matrix(source, frame, {"sum_to_zero": _sum_to_zero})
    names = list(matrix.model_spec.column_names)
    own = [
        [names.index(name) for name in structure.columns]
        for structure in matrix.model_spec.structure
        if str(structure.term) != "1"
    ]
    return np.asarray(matrix, dtype=float), dict(zip(recoded, own, strict=True))


def _sum_to_zero(values: Any) -> Any:
    return TRANSFORMS["C"](values, contrasts=SumContrasts())


def _factor_of(coding: Coding, expression: str) -> str | None:
    """The factor an expression codes, or None for a number."""
    used = coding.formula.factor_variables.get(expression, ())
    return used[0] if len(used) == 1 and used[0] in coding.levels else None


def _recode(coding: Coding, expression: str, safe: dict[str, str]) -> str:
    factor = _factor_of(coding, expression)
    if factor is not None:
        return f"sum_to_zero({safe[factor]})"
    return f"`{expression}`" if expression in coding.frame.columns else expression


def _agreed(by_coding: FloatArray, by_space: FloatArray) -> FloatArray:
    """Rows by coding where both state one hypothesis, else those by space (A2)."""
    if len(by_coding) != len(by_space) or not len(by_space):
        return by_space
    stacked = np.vstack([by_coding, by_space])
    scaled = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    same = np.linalg.matrix_rank(scaled, tol=_NEW_DIRECTION) == len(by_space)
    return by_coding if same else by_space


def _new_directions(X: FloatArray, others: FloatArray) -> FloatArray:
    """Functions of beta that vanish exactly when X beta lies in the space of `others` (A2)."""
    basis = orthonormalise(others)
    Q = others[:, basis.kept] @ basis.transform
    rest = X - Q @ (Q.T @ X)
    _, singular, rows = np.linalg.svd(np.linalg.qr(rest, mode="r"))
    return np.asarray(rows[singular > _NEW_DIRECTION])
