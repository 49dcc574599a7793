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
    """One row per row used.

    Subject, visit and what else the covariance needs; the columns of the right-hand side and
    of the random effects, as the model saw them; response. Then marginal quantities:
    ``fitted`` X beta, ``resid``, ``resid_pearson``, ``resid_studentised``, ``resid_cholesky``;
    with random effects conditional ones: ``fitted_conditional`` X beta + Z b-hat,
    ``resid_conditional``, ``resid_conditional_pearson``. A model column of one of these names
    gives way to it.
    """
    rows = fit.design.rows
    columns = _identifiers(fit)
    for frame in (rows.frame, rows.effects_frame):
        # Arrays, because Series would be matched by an index that may repeat itself.
        new = [name for name in frame.columns if name not in columns]
        columns |= {name: frame[name].array for name in new}
    fitted = {
        fit.coding.formula.response: rows.y,
        "fitted": fit.fittedvalues.to_numpy(),
        "resid": fit.resid.to_numpy(),
    }
    return pd.DataFrame(columns | fitted | residual_columns(fit), index=rows.frame.index)


def _identifiers(fit: "MixedFit") -> dict[str, Any]:
    """Subject and the columns that options of the fit name."""
    spec, rows = fit.spec, fit.design.rows
    found: dict[str, Any] = {spec.subject: rows.subjects.take(rows.subject)}
    if spec.visit is not None and rows.visits:
        found[spec.visit] = np.array(rows.visits, dtype=object)[rows.visit]
    factors = {
        spec.repeated: rows.repeated,
        spec.group: rows.group,
        spec.residual_group: rows.residual_group,
    }
    for name, factor in factors.items():
        if name is not None and factor is not None:
            found[name] = np.array(factor.labels, dtype=object)[factor.codes]
    numbers = {
        spec.time: rows.time,
        spec.weights: rows.weights,
        spec.sampling_weights: rows.sampling_weights,
    }
    given = {name: values for name, values in numbers.items() if name is not None}
    return found | {name: values for name, values in given.items() if values is not None}
