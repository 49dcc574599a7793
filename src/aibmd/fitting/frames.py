"""A fit as tables, in the habits of broom: coefficients, one row about the whole, the rows."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from aibmd.fitting.residuals import residual_columns
from aibmd.vocabulary import ESTIMATE_COLUMNS

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


def tidy_table(fit: "MixedFit", conf_level: float) -> pd.DataFrame:
    """One row per coefficient."""
    limits = fit.conf_int(1.0 - conf_level)
    columns = (fit.params, fit.bse, fit.df, fit.tvalues, fit.pvalues)
    table = pd.concat([*columns, limits], axis=1).loc[:, list(ESTIMATE_COLUMNS)]
    return table.rename_axis("term").reset_index()


def glance_table(fit: "MixedFit") -> pd.DataFrame:
    """One row about the whole fit."""
    row: dict[str, Any] = {
        "n_obs": fit.n_obs,
        "n_subjects": fit.n_subjects,
        "method": fit.spec.method,
        "covariance": fit.spec.covariance if fit.choice is None else fit.choice.text,
        "vcov": fit.inference.vcov_method,
        "df_method": fit.inference.df_method,
        "log_likelihood": fit.llf,
        "n_covariance_parameters": fit.n_covariance_parameters,
        "aic": fit.aic,
        "bic": fit.bic,
        "converged": fit.converged,
        "singular": fit.singular,
    }
    return pd.DataFrame([row])


def augment_table(fit: "MixedFit") -> pd.DataFrame:
    """One row per row used."""
    spec, rows = fit.spec, fit.design.rows
    labels: dict[str, Any] = {spec.subject: rows.subjects.take(rows.subject)}
    if spec.visit is not None and rows.visits:
        labels[spec.visit] = np.array(rows.visits, dtype=object)[rows.visit]
    if spec.repeated is not None and rows.repeated is not None:
        levels = np.array(rows.repeated.labels, dtype=object)
        labels[spec.repeated] = levels[rows.repeated.codes]
    if spec.time is not None and rows.time is not None:
        labels[spec.time] = rows.time
    fitted = {
        fit.coding.formula.response: rows.y,
        "fitted": fit.fittedvalues.to_numpy(),
        "resid": fit.resid.to_numpy(),
    }
    return pd.DataFrame(labels | fitted | residual_columns(fit), index=rows.frame.index)
