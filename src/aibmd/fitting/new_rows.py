"""New rows beside those of the fit: coded columns, features, and whose they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.new_effects import join_random, known_column
from aibmd.fitting.wald import reduce_to_kept
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.columns import as_numbers, as_weights
from aibmd.model.covariance.build import parse_covariance
from aibmd.model.covariance.features import RowFeatures

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


@dataclass(frozen=True, slots=True)
class RowPool:
    """The n rows of the fit, then m new rows.

    Attributes
    ----------
    n_fit : int
    X : (m, p) array
        Kept columns of the new rows.
    who : (n + m,) int array
        Subject codes of the fit; higher ones for new subjects.
    features : RowFeatures
        (n + m,), random effects not weighted.
    root_weight : (n + m,) array
        Root of the precision weights.
    """

    n_fit: int
    X: FloatArray
    who: IntArray
    features: RowFeatures
    root_weight: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def columns_of(self, fit: "MixedFit", rows: IntArray) -> FloatArray:
        """Kept columns of X for pooled rows, in the shape of `rows` and one axis more."""
        is_new = rows >= self.n_fit
        X = fit.design.columns_of(np.where(is_new, 0, rows))
        return np.where(is_new[..., None], self.X[np.where(is_new, rows - self.n_fit, 0)], X)


def pool_rows(fit: "MixedFit", newdata: pd.DataFrame, weights_needed: bool) -> RowPool:
    """Code new rows as the fit coded its own, and put them behind those.

    Parameters
    ----------
    fit : MixedFit
    newdata : DataFrame
    weights_needed : bool
        Whether errors of the new rows matter, and so their precision weights.

    Raises
    ------
    AibmdError, FormulaError
        A column that is missing, has missing values or a level the fit has not seen.
    """
    X = reduce_to_kept(fit, fit.coding.code(newdata))
    rows = fit.design.rows
    old = np.ones(fit.n_obs) if rows.weights is None else np.sqrt(rows.weights)
    new = np.ones(len(newdata))
    if weights_needed and fit.spec.weights is not None:
        weights = as_weights(
            known_column(newdata, fit.spec.weights, "weights"), fit.spec.weights, "weights"
        )
        new = np.sqrt(np.asarray(weights))
    who = np.concatenate([rows.subject, code_subjects(fit, newdata)])
    return RowPool(fit.n_obs, X, who, _join_features(fit, newdata), np.concatenate([old, new]))


def needs_visit(fit: "MixedFit") -> bool:
    """Whether the covariance depends on the visit of a row."""
    if fit.choice is not None:
        return fit.choice.is_scheduled
    return fit.spec.residual != "independent" and parse_covariance(fit.spec.residual).is_scheduled


def code_subjects(fit: "MixedFit", newdata: pd.DataFrame) -> IntArray:
    """Subject codes of the fit, and further ones in order of appearance.

    Rows without a subject column are subjects of their own.
    """
    n_known = fit.n_subjects
    if fit.spec.subject not in newdata.columns:
        return n_known + np.arange(len(newdata))
    labels = known_column(newdata, fit.spec.subject, "subject")[fit.spec.subject]
    known = pd.Index(np.asarray(fit.design.rows.subjects, dtype=object))
    codes = known.get_indexer(pd.Index(np.asarray(labels, dtype=object)))
    is_new = codes < 0
    codes[is_new] = n_known + pd.factorize(np.asarray(labels, dtype=object)[is_new])[0]
    return np.asarray(codes, dtype=np.intp)


def _join_features(fit: "MixedFit", newdata: pd.DataFrame) -> RowFeatures:
    spec, rows, old = fit.spec, fit.design.rows, fit.features
    visit = np.zeros(len(newdata), dtype=np.intp)
    if spec.visit is not None and needs_visit(fit):
        levels = [str(level) for level in rows.visit_levels]
        given = rows.visit_levels if _are_numbers(newdata, spec.visit) else levels
        visit = _codes_of(newdata, spec.visit, "visit", list(given), levels)
    repeated = None
    if spec.repeated is not None and rows.repeated is not None:
        repeated = code_labels(newdata, spec.repeated, "repeated", rows.repeated.labels)
    if repeated is not None and old.repeated is None:
        visit, repeated = repeated * max(len(rows.visits), 1) + visit, None
    group = residual_group = time = None
    if rows.group is not None and spec.group is not None:
        group = code_labels(newdata, spec.group, "group", rows.group.labels)
    if rows.residual_group is not None and spec.residual_group is not None:
        labels = rows.residual_group.labels
        residual_group = code_labels(newdata, spec.residual_group, "residual group", labels)
    if old.time is not None and spec.time is not None:
        time = as_numbers(known_column(newdata, spec.time, "time")[spec.time], "time")
    return RowFeatures(
        visit=_append(old.visit, visit),
        repeated=_append(old.repeated, repeated),
        group=_append(old.group, group),
        residual_group=_append(old.residual_group, residual_group),
        time=_append(old.time, time),
        random=join_random(fit, newdata),
    )


def _append(old: Any, new: Any) -> Any:
    return None if old is None or new is None else np.concatenate([old, new])


def _are_numbers(newdata: pd.DataFrame, name: str) -> bool:
    return name in newdata.columns and pd.api.types.is_numeric_dtype(newdata[name].dtype)


def code_labels(newdata: pd.DataFrame, name: str, role: str, labels: tuple[str, ...]) -> IntArray:
    """Place of each value of a column among the labels of a factor of the fit."""
    if _are_numbers(newdata, name):
        try:
            numbers: list[Any] = [float(label) for label in labels]
        except ValueError:
            numbers = list(labels)
        return _codes_of(newdata, name, role, numbers, labels)
    return _codes_of(newdata, name, role, list(labels), labels)


def _codes_of(
    newdata: pd.DataFrame, name: str, role: str, levels: list[Any], shown: Any
) -> IntArray:
    """Place of each value among the levels of the fit; text is compared as printed."""
    values = known_column(newdata, name, role)[name].tolist()
    if not _are_numbers(newdata, name):
        values = [str(value) for value in values]
    place = {level: code for code, level in enumerate(levels)}
    unseen = [value for value in values if value not in place]
    if unseen:
        raise AibmdError(f"{role} {unseen[0]!r} was not seen by the fit: {', '.join(shown)}")
    return np.array([place[value] for value in values], dtype=np.intp)
