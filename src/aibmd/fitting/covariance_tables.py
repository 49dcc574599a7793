"""Covariance parameters as tables: by visit, by group, random effects, residual."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.model.covariance.compositions import GroupedTerm
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.pattern_likelihood import PatternCriterion

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


def covariance_table(fit: "MixedFit") -> Any:
    """Matrix of a marginal model, or a dict of them by group."""
    labels = list(fit.cell_labels)
    group = fit.design.rows.group
    if isinstance(fit.engine.criterion, PatternCriterion):
        Sigma = fit.engine.Sigma
        size = len(Sigma) // fit.n_groups
        blocks = [
            Sigma[g * size : (g + 1) * size, g * size : (g + 1) * size] for g in range(fit.n_groups)
        ]
        tables = [
            pd.DataFrame(block, index=labels[:size], columns=labels[:size]) for block in blocks
        ]
    else:
        tables = [_unit_distance(fit, g) for g in range(fit.n_groups)]
    if group is None:
        return tables[0]
    return dict(zip(group.labels, tables, strict=True))


def _unit_distance(fit: "MixedFit", group: int) -> pd.DataFrame:
    """Covariance of rows at times zero and one, for each level of the repeated factor."""
    repeated = fit.design.rows.repeated
    levels = ("",) if repeated is None else repeated.labels
    n = len(levels)
    cells = RowFeatures(
        repeated=None if repeated is None else np.repeat(np.arange(n), 2),
        group=np.full(2 * n, group),
        time=np.tile([0.0, 1.0], n),
    )
    labels = [f"{level} time {time}".strip() for level in levels for time in (0, 1)]
    V = fit.engine.covariance.value(fit.engine.theta, cells)
    return pd.DataFrame(V, index=labels, columns=labels)


def effects_terms(fit: "MixedFit") -> list[tuple[RandomEffectsTerm, np.ndarray]]:
    """Random-effects terms of the fit with their parameters, on the user's scale."""
    term = fit.engine.covariance
    if not isinstance(term, SumTerm):
        raise AibmdError("this is a marginal model: it has no random effects; use fit_lmm")
    pairs = zip(term.parts, term.split(fit.engine.theta), strict=True)
    return [(part, own) for part, own in pairs if isinstance(part, RandomEffectsTerm)]


def random_covariance_table(fit: "MixedFit") -> Any:
    """G, or a dict of them by grouping."""
    tables = {
        part.grouping: pd.DataFrame(
            part.matrix(own), index=list(part.columns), columns=list(part.columns)
        )
        for part, own in effects_terms(fit)
    }
    return next(iter(tables.values())) if len(tables) == 1 else tables


def residual_term(fit: "MixedFit") -> tuple[CovarianceTerm, np.ndarray]:
    """The term of what remains beside random effects, with its parameters."""
    term = fit.engine.covariance
    if not isinstance(term, SumTerm):
        return term, fit.engine.theta
    return term.parts[-1], term.split(fit.engine.theta)[-1]


def residual_variance_table(fit: "MixedFit") -> Any:
    """Variance of a single error."""
    if fit.is_marginal:
        raise AibmdError("the errors of a marginal model have the variances of fit.covariance")
    term, theta = residual_term(fit)
    if isinstance(term, GroupedTerm):
        variances = theta.reshape(len(term.labels), -1)
        if variances.shape[1] == 1 or len(term.base.names) == 2:
            return pd.Series(variances[:, 0], index=list(term.labels), name="residual_variance")
        return {
            label: pd.Series(own, index=list(term.base.names))
            for label, own in zip(term.labels, variances, strict=True)
        }
    if len(theta[term.is_variance]) == 1:
        return float(theta[0])
    return pd.Series(
        theta[term.is_variance],
        index=[
            name
            for name, is_variance in zip(term.names, term.is_variance, strict=True)
            if is_variance
        ],
        name="residual_variance",
    )
