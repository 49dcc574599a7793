"""Warnings a fit gives once, where the user called."""

import numpy as np
import pandas as pd

from aibmd.cohort import Cohort
from aibmd.errors import ConvergenceWarning, DataWarning, SingularFitWarning
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.telling import warn_caller
from aibmd.model.pattern_likelihood import PatternCriterion
from aibmd.vocabulary import TIME, VISIT

# New share of a column of Z beside those before it.
_FAR_FROM_ZERO = 1e-2
# Structures whose correlation depends on how many visits lie between.
_COUNTS_VISITS = ("ar1", "ar1h", "toep", "toeph")
_UNEVEN = 1.5
# Share of subjects below which a change within them looks like a slip.
_FEW = 0.05


def warn_about(fit: MixedFit) -> None:
    """Warn about whatever a reader of the numbers has to know."""
    certificate, coding = fit.engine.certificate, fit.coding
    reasons = "; ".join(certificate.messages)
    if certificate.singular:
        warn_caller(f"the covariance is singular: {reasons}", SingularFitWarning)
    elif not certificate.converged:
        warn_caller(f"not certified as a maximum: {reasons}", ConvergenceWarning)
    if coding.dropped_columns:
        dropped = ", ".join(coding.dropped_columns)
        warn_caller(f"columns that repeat earlier ones were dropped: {dropped}", DataWarning)
    _warn_labels(fit)
    _warn_far_from_zero(fit)
    for name, levels in coding.levels.items():
        if len(levels) == 1:
            warn_caller(
                f"factor {name!r} has one level in the rows used ({levels[0]}); its terms "
                "add nothing to the model",
                DataWarning,
            )
    _warn_undetermined(fit)


def warn_uneven(fit: MixedFit, data: "pd.DataFrame | Cohort") -> None:
    """Structures that count visits, on a cohort whose visits lie unevenly in time."""
    if not isinstance(data, Cohort) or fit.choice is None:
        return
    if fit.choice.right.name not in _COUNTS_VISITS or len(fit.visits) < 3:
        return
    times = data.scans.groupby(data.scans[VISIT].astype(str))[TIME].median()
    at = times.reindex(list(fit.visits)).to_numpy(dtype=float)
    gaps = np.diff(at)
    if np.isfinite(gaps).all() and gaps.max() > _UNEVEN * gaps.min():
        years = ", ".join(f"{round(value, 1) + 0.0:g}" for value in at)
        warn_caller(
            f"covariance={fit.choice.text!r} counts visits as evenly spaced, and they are scanned "
            f"at {years} years (medians); ad and adh do not, sp_exp takes the time itself",
            DataWarning,
        )


def _warn_labels(fit: MixedFit) -> None:
    """Labels that look like typing errors: they would make a group of one woman."""
    rows = fit.design.rows
    for name, levels in fit.coding.levels.items():
        alike: dict[str, list[str]] = {}
        for level in map(str, levels):
            alike.setdefault(" ".join(level.split()).casefold(), []).append(level)
        for same in alike.values():
            if len(same) > 1:
                labels = " and ".join(map(repr, same))
                warn_caller(
                    f"factor {name!r}: {labels} differ in blanks or case alone", DataWarning
                )
    if fit.design.X is None:  # covariates constant within subjects, found while coding
        return
    for name in fit.coding.levels:
        if name not in (fit.spec.visit, fit.spec.repeated) and name in rows.frame:
            _warn_odd_subjects(fit, name)


def _warn_far_from_zero(fit: MixedFit) -> None:
    """Calendar years beside an intercept: the two nearly repeat each other, and digits go."""
    for part in fit.features.random:
        length = np.sqrt((part.Z**2).sum(axis=0))
        new_share = np.abs(np.diagonal(np.linalg.qr(part.Z / length, mode="r")))
        if part.Z.shape[1] > 1 and new_share.min() < _FAR_FROM_ZERO:
            warn_caller(
                "random effects nearly repeat each other, because a column lies far from zero "
                "beside its spread (calendar years?): the last digits are lost. Count time from "
                "a date within the study",
                DataWarning,
            )


def _warn_odd_subjects(fit: MixedFit, name: str) -> None:
    """A factor that changes within a few subjects alone is not meant to change."""
    rows = fit.design.rows
    code = rows.frame[name].astype("category").cat.codes.to_numpy()
    lowest, highest = (np.full(fit.n_subjects, start) for start in (code.max(), code.min()))
    np.minimum.at(lowest, rows.subject, code)
    np.maximum.at(highest, rows.subject, code)
    odd = np.flatnonzero(lowest != highest)
    if 0 < len(odd) <= min(5, _FEW * fit.n_subjects):
        who = ", ".join(map(str, rows.subjects.take(odd)))
        warn_caller(
            f"factor {name!r} changes within {len(odd)} of {fit.n_subjects} subjects ({who}) and "
            "within no other; is that meant?",
            DataWarning,
        )


def _warn_undetermined(fit: MixedFit) -> None:
    """Pairs of visits that nobody has, where each pair has a covariance of its own."""
    if not isinstance(fit.engine.criterion, PatternCriterion):
        return
    Sigma, labels = fit.engine.Sigma, fit.cell_labels
    pairs = zip(*np.nonzero(np.triu(np.isnan(Sigma))), strict=True)
    same_group = len(Sigma) // max(fit.n_groups, 1)
    unseen = [
        f"{labels[j]} with {labels[k]}" for j, k in pairs if j // same_group == k // same_group
    ]
    if unseen:
        more = f" and {len(unseen) - 10} more" if len(unseen) > 10 else ""
        warn_caller(
            f"no subject has both visits of: {', '.join(unseen[:10])}{more}; their covariance is "
            "not estimated, and nothing printed depends on it",
            DataWarning,
        )
