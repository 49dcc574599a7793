"""What a formula may call: each function, what it takes, and how it is run.

This table is the whole allow-list. A function that is not a row here cannot be
reached from a formula, and an argument that is not in its row cannot be passed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import formulaic.transforms
import numpy as np
import pandas as pd

from aibmd.errors import FormulaError


@dataclass(frozen=True, slots=True)
class Transform:
    """One function of the formula language.

    Attributes
    ----------
    options : mapping of str to str
        Argument name -> kind of constant it takes, in positional order after
        the column (kinds: integer, number, numbers, flag, level, levels,
        contrast, or ``"a|b"`` for a choice of words).
    learns : bool
        Whether the coding depends on the data beyond the levels of a factor.
    on_response : bool
        Whether it may stand on the left of ``~``.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    learns: bool = False
    on_response: bool = False


ALLOWED: Final[Mapping[str, Transform]] = {
    "C": Transform({"contrasts": "contrast", "levels": "levels"}),
    "log": Transform(on_response=True),
    "log2": Transform(on_response=True),
    "log10": Transform(on_response=True),
    "exp": Transform(on_response=True),
    "sqrt": Transform(on_response=True),
    "I": Transform(on_response=True),
    "center": Transform(learns=True),
    "scale": Transform({"center": "flag", "scale": "flag", "ddof": "integer"}, learns=True),
    "poly": Transform({"degree": "integer", "raw": "flag"}, learns=True),
    "bs": Transform(
        {
            "df": "integer",
            "knots": "numbers",
            "degree": "integer",
            "include_intercept": "flag",
            "lower_bound": "number",
            "upper_bound": "number",
            "extrapolation": "raise|clip|na|zero|extend",
        },
        learns=True,
    ),
    "cr": Transform(
        {
            "df": "integer",
            "knots": "numbers",
            "lower_bound": "number",
            "upper_bound": "number",
            "constraints": "center",
            "extrapolation": "raise|clip|na|zero|extend",
        },
        learns=True,
    ),
}

CODINGS: Final[Mapping[str, Transform]] = {
    "treatment": Transform({"base": "level"}),
    "sum": Transform(),
    "helmert": Transform({"reverse": "flag", "scale": "flag"}),
    "poly": Transform({"scores": "numbers"}),
}


def _checked(name: str, run: Callable[[Any], Any], lowest: float, strict: bool) -> Callable:  # type: ignore[type-arg]
    """A numeric function that refuses values outside its domain.

    NumPy would warn and hand back NaN, and the row would later vanish as if
    its value had never been measured.
    """

    def transform(values: Any) -> Any:
        numbers = _as_numbers(values, name)
        outside = numbers <= lowest if strict else numbers < lowest
        if np.any(outside):
            found = numbers[outside][0]
            rule = "positive" if strict else "zero or positive"
            raise FormulaError(
                f"{name}() was given {_count_values(outside)} not {rule} "
                f"(the first is {found:g}). Correct or leave out those rows, or use another "
                f"transform."
            )
        return run(values)

    transform.__name__ = name
    return transform


def _count_values(outside: Any) -> str:
    count = int(np.sum(outside))
    return "1 value that is" if count == 1 else f"{count} values that are"


def _as_numbers(values: Any, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    series = pd.Series(values)
    if not pd.api.types.is_numeric_dtype(series.dtype):
        raise FormulaError(
            f"{name}() needs numbers; {series.name or 'its argument'} holds {series.dtype} values."
        )
    return series.to_numpy(dtype=float, na_value=np.nan)


_LOWEST: Final = float("-inf")

TRANSFORMS: Final[dict[str, Any]] = {
    name: formulaic.transforms.TRANSFORMS[name]
    for name in ("C", "contr", "I", "center", "scale", "poly", "bs", "cr")
} | {
    "log": _checked("log", np.log, 0.0, strict=True),
    "log2": _checked("log2", np.log2, 0.0, strict=True),
    "log10": _checked("log10", np.log10, 0.0, strict=True),
    "sqrt": _checked("sqrt", np.sqrt, 0.0, strict=False),
    "exp": _checked("exp", np.exp, _LOWEST, strict=False),
}
"""The evaluation context: ``formula.get_model_matrix(frame, context=TRANSFORMS)``."""
