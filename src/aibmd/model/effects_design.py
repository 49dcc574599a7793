"""Random effects as written -> columns of Z and the levels that share an effect."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.basis import orthonormalise
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.coding import model_matrix
from aibmd.model.covariance.effects import RandomEffectsTerm
from aibmd.model.covariance.features import RandomPart
from aibmd.model.formula import GuardedFormula, guard_formula
from aibmd.model.rows import AnalysedRows


@dataclass(frozen=True, slots=True)
class EffectsGrouping:
    """Random effects of one grouping, before any data.

    Attributes
    ----------
    name : str
        ``subject_id`` or ``subject_id:skeletal_site``.
    inner : tuple of str
        Columns that split a subject; empty for the subject itself.
    formula : GuardedFormula
        Right-hand side is the random part.
    is_diagonal : bool
    """

    name: str
    inner: tuple[str, ...]
    formula: GuardedFormula
    is_diagonal: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data it needs."""
        return tuple(dict.fromkeys((*self.inner, *self.formula.variables)))


def parse_random(
    random: str | Mapping[str, str],
    random_covariance: str,
    response: str,
    subject: str,
    columns: pd.Index,
) -> tuple[EffectsGrouping, ...]:
    """Read ``"1 + time"`` or ``{"id": "1 + time", "id:skeletal_site": "1"}``.

    Raises
    ------
    AibmdError, FormulaError
        A grouping that does not lie within the subject, or a formula that is not allowed.
    """
    if random_covariance not in ("full", "diagonal"):
        raise AibmdError(f"random_covariance={random_covariance!r} is not 'full' or 'diagonal'")
    if not isinstance(random, str | Mapping):
        raise AibmdError(f"random={random!r} is not a formula such as '1 + time', or a mapping")
    given = {subject: random} if isinstance(random, str) else dict(random)
    if not given:
        raise AibmdError("random= names no grouping; give for example random='1 + time'")
    groupings = []
    for name, right in given.items():
        parts = [part.strip() for part in str(name).split(":")]
        unknown = [part for part in parts if part not in columns]
        if unknown:
            raise AibmdError(f"random={name!r}: {unknown[0]!r} is not a column")
        if parts[0] != subject:
            raise AibmdError(
                f"random={name!r} does not lie within the subject {subject!r}: subjects are "
                f"independent here; write {subject}:{parts[-1]}, or take the outermost unit as "
                "subject="
            )
        formula = guard_formula(f"{response} ~ {right}", columns)
        groupings.append(
            EffectsGrouping(name, tuple(parts[1:]), formula, random_covariance == "diagonal")
        )
    return tuple(groupings)


def code_effects(
    groupings: tuple[EffectsGrouping, ...], rows: AnalysedRows
) -> tuple[tuple[RandomPart, ...], tuple[RandomEffectsTerm, ...]]:
    """Z and levels of every grouping, and the covariance terms that use them."""
    parts, terms = [], []
    for number, grouping in enumerate(groupings):
        matrix = model_matrix(grouping.formula.right, rows.effects_frame)
        names = tuple(matrix.model_spec.column_names)
        if not names:
            raise AibmdError(f"random effects of {grouping.name!r} have no column")
        Z = np.asarray(matrix, dtype=float).reshape(len(rows.y), -1)
        if not np.isfinite(Z).all():
            raise AibmdError(f"a random effect of {grouping.name!r} is not finite")
        _refuse_dependent(Z, names, grouping.name)
        parts.append(RandomPart(Z, _levels(grouping, rows)))
        columns = tuple("intercept" if name == "Intercept" else name for name in names)
        terms.append(RandomEffectsTerm(number, grouping.name, columns, grouping.is_diagonal))
    return tuple(parts), tuple(terms)


def _refuse_dependent(Z: FloatArray, names: tuple[str, ...], grouping: str) -> None:
    """Effects that are combinations of others have no variance of their own."""
    nil = [name for name, column in zip(names, Z.T, strict=True) if not column.any()]
    if nil:
        raise AibmdError(f"random effects of {grouping!r}: {nil[0]} is zero in every row")
    kept = set(orthonormalise(Z).kept.tolist())
    repeated = [name for column, name in enumerate(names) if column not in kept]
    if repeated:
        others = ", ".join(name for name in names if name not in repeated)
        raise AibmdError(
            f"random effects of {grouping!r}: {', '.join(repeated)} repeats the columns before it "
            f"({others}); leave it out"
        )


def _levels(grouping: EffectsGrouping, rows: AnalysedRows) -> IntArray:
    """Code of the inner level of each row, from zero."""
    if not grouping.inner:
        return np.zeros(len(rows.y), dtype=np.intp)
    keys = [pd.factorize(rows.effects_frame[name])[0] for name in grouping.inner]
    code = np.zeros(len(rows.y), dtype=np.intp)
    for key in keys:
        code = code * (int(key.max()) + 1) + key
    return np.asarray(pd.factorize(code)[0], dtype=np.intp)
