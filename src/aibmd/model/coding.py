"""How rows become columns of X: the part of a design that outlives its data."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from formulaic.errors import DataMismatchWarning, FactorEvaluationError

from aibmd.errors import AibmdError, FormulaError
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.formula import TRANSFORMS, GuardedFormula


@dataclass(frozen=True, slots=True)
class Coding:
    """The coded right-hand side.

    Attributes
    ----------
    formula : GuardedFormula
    spec : formulaic.ModelSpec
        Remembers levels and what stateful transforms learned.
    columns : tuple of str
        All columns, as formulaic names them.
    kept : (p,) int array
        Columns that are estimated; a column that repeats earlier ones is dropped.
    null_basis : (p_full, d) array
        L beta is estimable only if ``L @ null_basis`` vanishes.
    frame : DataFrame
        The rows used, right-hand side columns.
    """

    formula: GuardedFormula
    spec: Any
    columns: tuple[str, ...]
    kept: IntArray
    null_basis: FloatArray
    frame: pd.DataFrame

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Names of the estimated columns."""
        return tuple(self.columns[i] for i in self.kept)

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """Names of the columns that repeat earlier ones."""
        kept = set(self.kept.tolist())
        return tuple(name for i, name in enumerate(self.columns) if i not in kept)

    @property
    def levels(self) -> dict[str, tuple[Any, ...]]:
        """Levels of each factor, in order; a number inside ``C()`` is a factor too."""
        found: dict[str, tuple[Any, ...]] = {}
        for name in self.formula.variables:
            column = self.frame[name]
            if self._is_inside_c(name):
                found[name] = self._coded_levels(name)
            elif isinstance(column.dtype, pd.CategoricalDtype):
                found[name] = tuple(column.cat.categories)
        return found

    @property
    def covariate_means(self) -> dict[str, float]:
        """Mean over the rows used of each column that is not a factor."""
        factors = self.levels
        return {
            name: float(self.frame[name].mean())
            for name in self.formula.variables
            if name not in factors
        }

    def code(self, frame: pd.DataFrame) -> FloatArray:
        """Columns of X for new rows, (rows, p_full).

        Raises
        ------
        FormulaError
            A column is missing, or holds a level the fit has not seen.
        """
        return code_frame(self.spec, self._with_levels(frame))

    def _with_levels(self, frame: pd.DataFrame) -> pd.DataFrame:
        columns = {}
        for name in self.formula.variables:
            if name not in frame.columns:
                raise FormulaError(f"the new rows have no column {name!r}")
            columns[name] = self._as_fitted(name, frame[name])
        return pd.DataFrame(columns, index=frame.index)

    def _as_fitted(self, name: str, column: pd.Series) -> Any:
        levels = self.levels.get(name)
        if column.isna().any():
            raise FormulaError(f"column {name!r} of the new rows has missing values")
        if levels is None:
            return column.to_numpy(dtype=float)
        unseen = [value for value in pd.unique(column) if value not in levels]
        if unseen:
            raise FormulaError(
                f"{name} = {unseen[0]!r} was not seen by the fit; its levels are "
                f"{', '.join(map(repr, levels))}"
            )
        if not isinstance(self.frame[name].dtype, pd.CategoricalDtype):
            return column.to_numpy()
        return pd.Categorical(column, categories=list(levels), ordered=self.frame[name].cat.ordered)

    def _coded_levels(self, name: str) -> tuple[Any, ...]:
        """Order in which ``C(name, ...)`` takes the levels."""
        expressions = self.formula.factor_variables.items()
        inside = [text for text, used in expressions if used == (name,) and text.startswith("C(")]
        return tuple(self.spec.encoder_state[inside[0]][1]["categories"])

    def _is_inside_c(self, name: str) -> bool:
        uses = [text for text, used in self.formula.factor_variables.items() if name in used]
        uses = [text for text in uses if text in self.spec.encoder_state]
        return bool(uses) and all(text.startswith("C(") for text in uses)


def code_frame(source: Any, frame: pd.DataFrame) -> FloatArray:
    """Evaluate a formula or a fitted spec on a frame; a mismatch of levels is an error."""
    return np.asarray(model_matrix(source, frame), dtype=float)


def model_matrix(source: Any, frame: pd.DataFrame) -> Any:
    """Formulaic's matrix, with its ``model_spec``, as a NumPy-backed wrapper."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataMismatchWarning)
        try:
            return source.get_model_matrix(frame, context=TRANSFORMS, output="numpy")
        except DataMismatchWarning as mismatch:
            raise FormulaError(f"a level is neither listed nor fitted: {mismatch}") from None
        except FactorEvaluationError as failure:
            if isinstance(failure.__cause__, AibmdError):
                raise failure.__cause__ from None
            raise FormulaError(f"a term cannot be computed: {failure}") from None
