"""`r_squared` and `icc`: how much of the variance is explained, and by what."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.covariance_tables import effects_terms, residual_term
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.new_effects import code_random_columns
from aibmd.fitting.new_rows import code_labels
from aibmd.fitting.residuals import effects_covariance
from aibmd.model.covariance.compositions import GroupedTerm
from aibmd.model.subject_rows import iterate_subjects


def r_squared(fit: MixedFit) -> pd.Series:
    """Share of the variance that the fixed effects, and fixed and random effects, explain.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    Series
        ``marginal``: by the fixed effects; ``conditional``: by fixed and random effects
        together, only with random effects. A marginal model (MMRM) splits its covariance into
        no parts and has the marginal one alone.

    Notes
    -----
    (EV1) and (EV2) of ``docs/methods/prediction.md``: Nakagawa and Schielzeth 2013 (Methods
    Ecol Evol 4:133-142), for random slopes Johnson 2014 (Methods Ecol Evol 5:944-946): the
    variance of random effects and of errors is averaged over the rows used.

    It misleads when compared between data sets (it depends on how the covariates are spread),
    and when a high conditional value is taken for a good explanation: knowing the
    woman predicts her BMD, whatever the treatment did.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_lmm("bmd ~ arm * time", hip, random="1 + time")
    >>> aibmd.r_squared(fit).index.tolist()
    ['marginal', 'conditional']
    """
    s2 = fit.engine.least_squares.scale**2
    total, random = 0.0, 0.0
    for block in iterate_subjects(fit.design, fit.features, fit.engine):
        w = block.root_weight**2
        total += s2 * float((block.V.diagonal(0, 1, 2) / w).sum())
        if not fit.is_marginal:
            random += s2 * float((effects_covariance(fit, block).diagonal(0, 1, 2) / w).sum())
    fixed = float(np.var(fit.fittedvalues, ddof=1))
    whole = fixed + total / fit.n_obs
    shares = {"marginal": fixed / whole}  # (EV1)
    if not fit.is_marginal:
        shares["conditional"] = (fixed + random / fit.n_obs) / whole  # (EV2)
    return pd.Series(shares, name="r_squared")


def icc(fit: MixedFit, at: Mapping[str, Any] | None = None) -> float | pd.Series | pd.DataFrame:
    """Intraclass correlation: of two scans of one woman, given the fixed effects.

    Parameters
    ----------
    fit : MixedFit
        With random effects.
    at : mapping, optional
        Value of each column of the random effects, for example ``{"time": 0}``. With random
        slopes the correlation changes over time, so it is needed then. A level of the
        ``residual_group`` column asks for that level alone.

    Returns
    -------
    float, Series or DataFrame
        A number; by grouping where there are several: the correlation of two scans that share
        the level of this grouping and of those before it. By level with ``residual_group``
        where `at` names none: of two scans both of that level, by its own residual variance
        and, where its column is one of the random effects too, its own row of Z.

    Raises
    ------
    AibmdError
        A marginal model; random slopes without `at`; a level the fit has not seen; a residual
        structure whose variance differs from visit to visit.

    Notes
    -----
    z'Gz / (z'Gz + residual variance), z the row of Z at `at` (EV3) of
    ``docs/methods/prediction.md``; a precision weight of one. A serial correlation of the
    errors is not counted.

    It misleads as a measure of a scanner's precision: it falls when women are more alike,
    with the same error; give the residual SD for that.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_lmm("bmd ~ arm * time", hip, random="1")
    >>> 0 < aibmd.icc(fit) < 1
    True
    """
    groupings = [term.grouping for term, _ in effects_terms(fit)]
    errors, table = _residual_variances(fit), {}
    for level, values in _points_by_level(fit, dict(at or {})).items():
        between = np.cumsum(_shared_variances(fit, values))
        table[level] = between / (between[-1] + errors[level])
    return _in_shape(pd.DataFrame(table, index=pd.Index(groupings, name="grouping")))


def _in_shape(table: pd.DataFrame) -> float | pd.Series | pd.DataFrame:
    """A number or a Series where there is one level, one grouping or both."""
    if table.shape == (1, 1):
        return float(table.to_numpy()[0, 0])
    if table.shape[1] == 1:
        return table.iloc[:, 0].rename("icc")
    return table.iloc[0].rename("icc") if len(table) == 1 else table


def _points_by_level(fit: MixedFit, at: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Residual level -> values of the columns of Z there; one nameless level without levels."""
    codes, name = fit.design.rows.residual_group, fit.spec.residual_group
    if codes is None or name is None:
        return {"": at}
    if name in at:
        asked = pd.DataFrame({name: [at[name]]})
        return {codes.labels[int(code_labels(asked, name, "residual group", codes.labels)[0])]: at}
    columns = fit.design.rows.effects_frame
    if name not in columns:
        return dict.fromkeys(codes.labels, at)
    first = [int(np.argmax(codes.codes == code)) for code in range(len(codes.labels))]
    own = columns[name].iloc[first].tolist()
    return {label: at | {name: value} for label, value in zip(codes.labels, own, strict=True)}


def _shared_variances(fit: MixedFit, at: dict[str, Any]) -> list[float]:
    """Variance of the effects at these values, z'Gz, of each grouping."""
    shared = []
    for (term, theta), (columns, z) in zip(
        effects_terms(fit), code_random_columns(fit, at), strict=True
    ):
        if z is None:
            example = {name: at.get(name, _example(fit, name)) for name in columns}
            raise AibmdError(
                f"the random effects of {term.grouping!r} depend on {', '.join(columns)}; give "
                f"the values at which to compute the correlation, for example at={example}"
            )
        shared.append(float(z @ term.matrix(theta) @ z))
    return shared


def _example(fit: MixedFit, name: str) -> Any:
    """A value that a column of the random effects may take: a level of a factor, else zero."""
    column = fit.design.rows.effects_frame[name]
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        return 0
    return column.iloc[:1].tolist()[0]


def _residual_variances(fit: MixedFit) -> dict[str, float]:
    """Variance of one error, by level of ``residual_group``."""
    term, theta = residual_term(fit)
    levels = term.labels if isinstance(term, GroupedTerm) else ("",)
    of_one = term.base if isinstance(term, GroupedTerm) else term
    own = theta.reshape(len(levels), -1)[:, of_one.is_variance]
    if own.shape[1] != 1:
        raise AibmdError(
            f"residual={fit.spec.residual!r} gives each visit a variance of its own, so there is "
            "no one intraclass correlation; use fit.random_covariance and fit.residual_variance"
        )
    return dict(zip(levels, own[:, 0].tolist(), strict=True))
