"""The rows a model uses: complete, coded by subject and visit, with what was left out counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.model.columns import (
    LevelCodes,
    as_factor,
    as_numbers,
    as_subject_weights,
    as_weights,
    code_levels,
    code_response,
    code_visits,
    warn_numeric_visit,
)
from aibmd.model.formula import GuardedFormula
from aibmd.model.frame_view import FrameView


@dataclass(frozen=True, slots=True)
class FurtherColumns:
    """Columns a model uses beside its formula, its subject and its visit; None where unused.

    Attributes
    ----------
    time : str, optional
        Time of each row, any unit.
    repeated : str, optional
        Second repeated factor, for example skeletal site.
    group, residual_group : str, optional
        Factor each level of which has a covariance, or a residual variance, of its own.
    weights, sampling_weights : str, optional
        Positive numbers; see `aibmd.fit_mmrm`.
    effects : tuple of str
        Columns of the random effects.
    """

    time: str | None = None
    repeated: str | None = None
    group: str | None = None
    residual_group: str | None = None
    weights: str | None = None
    sampling_weights: str | None = None
    effects: tuple[str, ...] = ()

    def by_role(self) -> dict[str, str]:
        """Column -> what it is for."""
        roles = ("time", "repeated", "group", "residual_group", "weights", "sampling_weights")
        named = {getattr(self, role): role.replace("_", " ") for role in roles}
        of_effects = dict.fromkeys(self.effects, "random effects column")
        return {name: role for name, role in named.items() if name is not None} | of_effects


NOTHING_FURTHER = FurtherColumns()


@dataclass(frozen=True, slots=True)
class AnalysedRows:
    """Rows in which response, covariates, subject and visit are all known.

    Attributes
    ----------
    view : FrameView
        Columns of the right-hand side, text as categories; unused levels removed.
    y : (n,) array
    subject, visit : (n,) int arrays
        Codes from zero.
    subjects : Index
        Label of each subject code.
    visits : tuple of str
        Labels, in visit order.
    visit_levels : tuple
        The values themselves.
    dropped : mapping
        Reason -> number of rows left out.
    time, weights, sampling_weights : (n,) arrays or None
    repeated, group, residual_group : LevelCodes or None
    effects_frame : DataFrame
        Columns of the random effects.
    position : (n,) int array
        Where each row stands in the data given.
    """

    view: FrameView
    y: FloatArray
    subject: IntArray
    visit: IntArray
    subjects: pd.Index
    visits: tuple[str, ...]
    visit_levels: tuple[Any, ...]
    dropped: Mapping[str, int]
    time: FloatArray | None
    weights: FloatArray | None
    sampling_weights: FloatArray | None
    repeated: LevelCodes | None
    group: LevelCodes | None
    residual_group: LevelCodes | None
    effects_frame: pd.DataFrame
    position: IntArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def frame(self) -> pd.DataFrame:
        """Columns of the right-hand side of the rows used."""
        return self.view.frame

    @property
    def first_rows(self) -> IntArray:
        """First row of each subject; codes count up in order of appearance."""
        newest = np.maximum.accumulate(self.subject)
        return np.flatnonzero(np.diff(newest, prepend=-1))


def select_rows(
    data: pd.DataFrame,
    formula: GuardedFormula,
    subject: str,
    visit: str | None,
    visit_order: Sequence[Any] | None = None,
    further: FurtherColumns = NOTHING_FURTHER,
) -> AnalysedRows:
    """Keep the complete rows and code them.

    Parameters
    ----------
    data : DataFrame
        Long form, one row per subject and visit.
    formula : GuardedFormula
    subject, visit : str
        Columns; without a visit, rows are told apart by time or not at all.
    visit_order : sequence, optional
        Overrides the order found in `data` (categorical order, else natural order).
    further : FurtherColumns

    Raises
    ------
    AibmdError
        No complete row, a repeated subject-visit, a response that is not numeric.
    """
    needed = _needed_columns(formula, subject, visit, further)
    missing = {name: data[name].isna().to_numpy() for name in needed}
    keep, dropped = _count_dropped(missing, needed)
    if not keep.any():
        raise AibmdError(f"no row is complete: {_describe_dropped(dropped)}")
    used = data if keep.all() else data.loc[keep]
    y = code_response(used, formula)
    visit_codes, levels, visit_column = code_visits(used, visit, visit_order)
    subject_codes, subjects = pd.factorize(used[subject])
    subject_codes = subject_codes.astype(np.intp, copy=False)
    frame = pd.DataFrame(
        {
            name: visit_column if name == visit else as_factor(used[name])
            for name in formula.variables
        },
        index=used.index,
        copy=False,
    )
    warn_numeric_visit(formula, visit, frame)
    columns = {name: as_factor(used[name]) for name in further.effects}
    return AnalysedRows(
        view=FrameView.of(frame),
        y=y,
        subject=subject_codes,
        visit=visit_codes,
        subjects=pd.Index(subjects),
        visits=tuple(str(level) for level in levels),
        visit_levels=tuple(levels),
        dropped=MappingProxyType(dropped),
        time=None if further.time is None else as_numbers(used[further.time], "time"),
        weights=as_weights(used, further.weights, "weights"),
        sampling_weights=as_subject_weights(used, further.sampling_weights, subject_codes),
        repeated=code_levels(used, further.repeated),
        group=code_levels(used, further.group),
        residual_group=code_levels(used, further.residual_group),
        effects_frame=pd.DataFrame(columns, index=used.index),
        position=np.flatnonzero(keep),
    )


def _needed_columns(
    formula: GuardedFormula, subject: str, visit: str | None, further: FurtherColumns
) -> dict[str, str]:
    """Every column a row must have, with what it is for."""
    needed = {subject: "subject"}
    if visit is not None:
        needed.setdefault(visit, "visit")
    for role, names in (
        ("response", formula.response_variables),
        ("covariate", formula.variables),
    ):
        for name in names:
            needed.setdefault(name, role)
    for name, role in further.by_role().items():
        needed.setdefault(name, role)
    return needed


def _count_dropped(
    missing: dict[str, BoolArray], needed: dict[str, str]
) -> tuple[BoolArray, dict[str, int]]:
    """Rows to keep; each row left out is counted once, under the first reason that holds."""
    keep = np.ones(len(next(iter(missing.values()))), dtype=bool)
    dropped: dict[str, int] = {}
    for name, role in needed.items():
        lost = keep & missing[name]
        if n_lost := int(lost.sum()):
            dropped[f"missing {name}" if role == name else f"missing {role} {name}"] = n_lost
            keep &= ~lost
    return keep, dropped


def _describe_dropped(dropped: dict[str, int]) -> str:
    return "; ".join(f"{count} rows: {reason}" for reason, count in dropped.items()) or "no rows"
