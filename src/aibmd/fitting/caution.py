"""Warnings a fit gives once, where the user called."""

import warnings

import numpy as np

from aibmd.errors import ConvergenceWarning, DataWarning, SingularFitWarning
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.model.pattern_likelihood import PatternCriterion

_CALLER = 4


def warn_about(fit: MixedFit) -> None:
    """Warn about whatever a reader of the numbers has to know."""
    certificate, coding = fit.engine.certificate, fit.coding
    reasons = "; ".join(certificate.messages)
    if certificate.singular:
        _warn(f"the covariance is singular: {reasons}", SingularFitWarning)
    elif not certificate.converged:
        _warn(f"not certified as a maximum: {reasons}", ConvergenceWarning)
    if coding.dropped_columns:
        dropped = ", ".join(coding.dropped_columns)
        _warn(f"columns that repeat earlier ones were dropped: {dropped}", DataWarning)
    for name, levels in coding.levels.items():
        if len(levels) == 1:
            _warn(
                f"factor {name!r} has one level in the rows used ({levels[0]}); its terms "
                "add nothing to the model",
                DataWarning,
            )
    _warn_undetermined(fit)


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
        _warn(
            f"no subject has both visits of: {', '.join(unseen[:10])}{more}; their covariance is "
            "not estimated, and nothing printed depends on it",
            DataWarning,
        )


def _warn(message: str, category: type[Warning]) -> None:
    warnings.warn(message, category, stacklevel=_CALLER + 1)
