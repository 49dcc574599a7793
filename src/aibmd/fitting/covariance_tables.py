"""Covariance parameters as tables: by visit, by group, random effects, residual."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.model.covariance.features import RowFeatures
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
        blocks = [Sigma[g * size : (g + 1) * size, g * size : (g + 1) * size]
                  for g in range(fit.n_groups)]
        tables = [pd.DataFrame(block, index=labels[:size], columns=labels[:size])
                  for block in blocks]
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
