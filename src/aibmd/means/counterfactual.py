"""G-computation: every subject predicted at every level, with their own covariates."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting import MixedFit
from aibmd.formatting import format_count
from aibmd.inference.coefficients import CoefficientInference
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.means.estimates import MarginalEstimates, estimate_functions
from aibmd.means.grid import combine_values, list_values
from aibmd.model.coding import Coding

# Rows coded at a time.
_CHUNK: Final = 100_000


def predict_counterfactual(
    fit: MixedFit,
    inference: CoefficientInference,
    over: Sequence[str],
    by: Sequence[str],
    at: Mapping[str, Any] | None,
    conf_level: float,
) -> MarginalEstimates:
    """Mean over the subjects of predictions with the named variables set to each level.

    Parameters
    ----------
    fit : MixedFit
    inference : CoefficientInference
    over, by : sequence of str
        Variables that are set.
    at : mapping or None
        Levels of them to keep; or one value of another variable, set for everyone.
    conf_level : float

    Notes
    -----
    Every subject counts once, or by sampling weight. A covariate that changes within a subject
    is averaged over the subject's own rows. The covariance holds two parts, equations (G7) to
    (G9) of the method note: that of the coefficients, and that of the covariates over subjects.
    """
    coding = fit.coding
    shown = (*over, *by)
    values = list_values(coding, shown, at)
    fixed = {name: values[name][0] for name in (at or {}) if name not in shown}
    _check_fixed(values, fixed)
    cells = combine_values({name: values[name] for name in (*reversed(by), *reversed(over))})
    people = _People(fit, [*shown, *fixed])
    cell_values = [{name: cells[name].iloc[i] for name in shown} for i in range(len(cells))]
    rows = [people.average({**fixed, **cell}) for cell in cell_values]
    return estimate_functions(
        labels=cells[list(shown)],
        L_full=np.array([mean for mean, _ in rows]),
        coding=coding,
        inference=inference,
        conf_level=conf_level,
        by=by,
        notes=people.describe(fixed),
        covariate_vcov=_spread(np.column_stack([own for _, own in rows]), people.share),
        covariate_df=float(people.count - 1),
    )


class _People:
    """The subjects with their own values of everything that is not set."""

    def __init__(self, fit: MixedFit, is_set: Sequence[str]) -> None:
        self.coding: Coding = fit.coding
        self.beta = fit.inference.beta
        self.subject: IntArray = fit.design.rows.subject
        self.count = int(self.subject.max()) + 1
        if self.count < 2:
            raise AibmdError("weights='counterfactual' needs at least two subjects")
        self.own = [name for name in fit.coding.formula.variables if name not in is_set]
        self.frame, self.row = _distinct(fit.coding.frame, self.own)
        # Every subject counts once, whatever the number of rows.
        self.weight = 1.0 / np.bincount(self.subject)[self.subject]
        sampling = fit.design.rows.sampling_weights
        self.share = np.full(self.count, 1.0 / self.count)
        self.is_weighted = sampling is not None
        if sampling is not None:
            own = np.bincount(self.subject, weights=self.weight * sampling)
            self.share = np.asarray(own / own.sum())

    def average(self, cell: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
        """Mean coded row, (p_full,), and each subject's own prediction, (subjects,)."""
        each = self.weight * self.share[self.subject]
        share = np.bincount(self.row, weights=each, minlength=len(self.frame))
        total = np.zeros(len(self.coding.columns))
        predicted = np.empty(len(self.frame))
        is_known = True
        for start in range(0, len(self.frame), _CHUNK):
            rows = slice(start, start + _CHUNK)
            X = self.coding.code(self.frame.iloc[rows].assign(**cell))
            total += share[rows] @ X
            predicted[rows] = X[:, self.coding.kept] @ self.beta
            is_known &= bool(self.coding.find_estimable(X).all())
        # An average over people some of whom cannot be predicted there says nothing.
        mean = total if is_known else np.full_like(total, np.nan)
        own = np.bincount(self.subject, weights=self.weight * predicted[self.row])
        return mean, np.asarray(own)

    def describe(self, fixed: Mapping[str, Any]) -> tuple[str, ...]:
        """What was set, what was each subject's own, and whose standard error it is."""
        who = f"each of {format_count(self.count)} subjects"
        own = f"their own {', '.join(self.own)}" if self.own else "no covariate left of their own"
        counted = "weighted by sampling_weights" if self.is_weighted else "each counted once"
        lines = [
            f"Counterfactual (g-computation): {who} predicted at every level shown, with {own}; "
            f"{counted}.",
            "Standard errors are for the population the subjects were drawn from: covariance of "
            "the coefficients plus that of the covariates over subjects; df for the sum.",
        ]
        if fixed:
            given = ", ".join(f"{name} = {value}" for name, value in fixed.items())
            lines.append(f"Set for everyone: {given}.")
        if changing := [name for name in self.own if self._changes(name)]:
            lines.append(f"Averaged over each subject's own rows: {', '.join(changing)}.")
        return tuple(lines)

    def _changes(self, name: str) -> bool:
        codes, _ = pd.factorize(self.coding.frame[name])
        first = np.zeros(self.count, dtype=np.intp)
        first[self.subject[::-1]] = codes[::-1]
        return bool((codes != first[self.subject]).any())


def _distinct(frame: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, IntArray]:
    """Distinct rows of some columns, and which of them each row is."""
    if not names:
        return pd.DataFrame(index=range(1)), np.zeros(len(frame), dtype=np.intp)
    row = np.asarray(frame.groupby(names, observed=True, sort=False).ngroup(), dtype=np.intp)
    first = np.unique(row, return_index=True)[1]
    return frame[names].iloc[first].reset_index(drop=True), row


def _spread(own: FloatArray, share: FloatArray) -> FloatArray:
    """Covariance of the mean of the subjects' own predictions, equation (G8)."""
    weighted = share[:, None] * (own - share @ own)
    count = len(own)
    return np.asarray(weighted.T @ weighted * (count / (count - 1.0)))


def _check_fixed(values: Mapping[str, tuple[Any, ...]], fixed: Mapping[str, Any]) -> None:
    for name in fixed:
        if len(values[name]) > 1:
            raise AibmdError(
                f"at[{name!r}] has {len(values[name])} values; with weights='counterfactual' one "
                f"value is set for everyone. Name {name!r} in over or by, or give one value"
            )
