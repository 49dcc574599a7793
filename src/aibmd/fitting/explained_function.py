"""What `explain` explains: a coefficient by name, or a contrast by its row of L."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, NotEstimableError
from aibmd.inference.estimates import LinearEstimates
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


@dataclass(frozen=True, slots=True)
class ExplainedFunction:
    """A linear function l'beta.

    Attributes
    ----------
    title : str
    row : (p,) array
        l, over the estimated coefficients.
    position : int or None
        Of the coefficient, where it is one.
    """

    title: str
    row: FloatArray
    position: int | None

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def of(self, matrix: str) -> str:
        """How an element of a matrix is written: that of the coefficient, or l'M l."""
        return f"[{matrix}]_jj" if self.position is not None else f"l'[{matrix}]l"

    def value(self, matrix: FloatArray) -> float:
        """That element."""
        return float(self.row @ matrix @ self.row)


def read_function(fit: "MixedFit", term: Any) -> ExplainedFunction:
    """A coefficient's name, a row of L, or estimates of one row."""
    if isinstance(term, str):
        j = _position(fit, term)
        return ExplainedFunction(term, np.eye(len(fit.inference.beta))[j], j)
    if isinstance(term, LinearEstimates):
        if len(term) != 1:
            raise AibmdError(
                f"these are {len(term)} estimates; explain one of them by its row: "
                "fit.explain(estimates.L[i])"
            )
        title = ", ".join(str(value) for value in term.labels.iloc[0])
        return ExplainedFunction(title, _one_row(fit, term.L), None)
    row = _one_row(fit, term.to_frame().T if isinstance(term, pd.Series) else term)
    parts = [
        f"{value:+.6g} {name}"
        for value, name in zip(row, fit.coding.kept_columns, strict=True)
        if value
    ]
    return ExplainedFunction(f"l = {' '.join(parts)}", row, None)


def _one_row(fit: "MixedFit", given: Any) -> FloatArray:
    from aibmd.fitting.wald import as_matrix, reduce_to_kept  # they import the fit

    if not isinstance(given, pd.DataFrame) and np.isnan(np.asarray(given, dtype=float)).any():
        raise NotEstimableError("the function is not estimable (its row of L holds NaN)")
    rows = reduce_to_kept(fit, as_matrix(fit, given))
    if len(rows) != 1 or not rows.any():
        raise AibmdError(
            f"L has {len(rows)} rows, or zeros only; explain takes one function, one row of L"
        )
    return np.array(rows[0])


def _position(fit: "MixedFit", term: str) -> int:
    names = list(fit.coding.kept_columns)
    if term in names:
        return names.index(term)
    if term in fit.dropped_columns:
        raise NotEstimableError(
            f"{term!r} repeats earlier columns and was dropped: it has no row to explain"
        )
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise AibmdError(
        f"{term!r} is no coefficient of the fit; the coefficients are {shown}. Marginal means "
        "and contrasts are explained by their row of L: fit.explain(estimates.L[i])"
    )
