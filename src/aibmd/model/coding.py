"""How rows become columns of X: the part of a design that outlives its data."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from formulaic.errors import DataMismatchWarning, FactorEvaluationError

from aibmd.errors import AibmdError, FormulaError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.formula import TRANSFORMS, GuardedFormula
from aibmd.model.frame_view import FrameView

# Share of a function that may lie in the null space by rounding.
_ESTIMABLE = 1e-8


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
    length : (p_full,) array
        Length of each column, for judging estimability without units.
    view : FrameView
        The rows used, right-hand side columns.
    """

    formula: GuardedFormula
    spec: Any
    columns: tuple[str, ...]
    kept: IntArray
    null_basis: FloatArray
    length: FloatArray
    view: FrameView

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def frame(self) -> pd.DataFrame:
        """The rows used, right-hand side columns."""
        return self.view.frame

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
            column = self.view.sample[name]
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

    def find_estimable(self, L_full: FloatArray) -> BoolArray:
        """(r,) bool: rows of L over all columns that vanish on the null space of X."""
        if not self.null_basis.shape[1]:
            return np.ones(len(L_full), dtype=bool)
        null = self.null_basis * self.length[:, None]
        functions = L_full / self.length
        off = np.abs(functions @ (null / np.abs(null).max(axis=0))).max(axis=1)
        return np.asarray(off <= _ESTIMABLE * np.abs(functions).max(axis=1))

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
            return _as_finite(name, column)
        unseen = [value for value in pd.unique(column) if value not in levels]
        if unseen:
            raise FormulaError(
                f"{name} = {unseen[0]!r} was not seen by the fit; its levels are "
                f"{', '.join(map(repr, levels))}"
            )
        if not isinstance(self.view.sample[name].dtype, pd.CategoricalDtype):
            return column.to_numpy()
        return pd.Categorical(
            column.astype(object),
            categories=list(levels),
            ordered=self.view.sample[name].cat.ordered,
        )

    def _coded_levels(self, name: str) -> tuple[Any, ...]:
        """Order in which ``C(name, ...)`` takes the levels."""
        expressions = self.formula.factor_variables.items()
        inside = [text for text, used in expressions if used == (name,) and text.startswith("C(")]
        return tuple(self.spec.encoder_state[inside[0]][1]["categories"])

    def _is_inside_c(self, name: str) -> bool:
        uses = [text for text, used in self.formula.factor_variables.items() if name in used]
        uses = [text for text in uses if text in self.spec.encoder_state]
        return bool(uses) and all(text.startswith("C(") for text in uses)


def _as_finite(name: str, column: pd.Series) -> FloatArray:
    try:
        values = column.to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise FormulaError(f"column {name!r} of the new rows is not numeric") from None
    if not np.isfinite(values).all():
        raise FormulaError(f"column {name!r} of the new rows holds an infinite value")
    return values


def code_frame(source: Any, frame: pd.DataFrame) -> FloatArray:
    """Evaluate a formula or a fitted spec on a frame; a mismatch of levels is an error."""
    return np.asarray(model_matrix(source, frame), dtype=float)


def model_matrix(source: Any, frame: pd.DataFrame, further: Mapping[str, Any] | None = None) -> Any:
    """Formulaic's matrix, with its ``model_spec``; `further` adds functions of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataMismatchWarning)
        try:
            context = {**TRANSFORMS, **(further or {})}
            return source.get_model_matrix(frame, context=context, output="numpy")
        except DataMismatchWarning as mismatch:
            raise FormulaError(f"a level is neither listed nor fitted: {mismatch}") from None
        except FactorEvaluationError as failure:
            if isinstance(failure.__cause__, AibmdError):
                raise failure.__cause__ from None
            raise FormulaError(f"a term cannot be computed: {failure}") from None
