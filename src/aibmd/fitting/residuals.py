"""`residuals`: raw, Pearson, studentised and decorrelated, marginal or conditional."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.covariance_tables import effects_terms
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.subject_rows import SubjectRows, iterate_subjects

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit

ResidualKind = Literal["raw", "pearson", "studentised", "cholesky"]
ResidualLevel = Literal["marginal", "conditional"]


def residuals(
    fit: "MixedFit", kind: ResidualKind = "raw", level: ResidualLevel = "marginal"
) -> pd.Series:
    """Residuals of the rows used.

    Parameters
    ----------
    fit : MixedFit
    kind : {"raw", "pearson", "studentised", "cholesky"}
        ``raw``: in units of the response. ``pearson``: divided by the model's SD of the row
        (RE1). ``studentised``: divided by the SD of the residual itself, smaller because beta
        was estimated (RE2). ``cholesky``: L_i^-1 r_i with V_i = L_i L_i', uncorrelated with
        variance one under the model, up to the estimation of beta (RE3).
    level : {"marginal", "conditional"}
        y - X beta, or with random effects y - X beta - Z b-hat.

    Returns
    -------
    Series
        Index of the rows used.

    Raises
    ------
    AibmdError
        Conditional residuals of a marginal model; an unknown kind or level.

    Notes
    -----
    Labels of ``docs/methods/prediction.md``. ``pearson`` and ``cholesky`` are "pearson" and
    "normalized" of R mmrm at the marginal level and of nlme's ``lme`` at the conditional one.

    Marginal residuals of one woman are correlated: a plot against time shows her level, not a
    lack of fit; look at ``cholesky``. Those depend on the order of her visits: each is what
    the visit adds to the earlier ones. Conditional ones are shrunk, and with few scans per woman
    look normal whatever the truth.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_mmrm("bmd ~ arm * visit", hip)
    >>> bool(abs(aibmd.residuals(fit, "cholesky").std() - 1) < 0.05)
    True
    """
    if kind not in get_args(ResidualKind):
        raise AibmdError(f"kind={kind!r} is not one of {', '.join(get_args(ResidualKind))}")
    if level not in get_args(ResidualLevel):
        raise AibmdError(f"level={level!r} is not 'marginal' or 'conditional'")
    if level == "conditional":
        effects_terms(fit)  # refuses a marginal model
    scaled = kind != "raw"
    compute = _KINDS[kind]
    out = np.empty(fit.n_obs)
    for block in iterate_subjects(fit.design, fit.features, fit.engine):
        r, R = _at_level(fit, block, level)
        values = compute(fit, block, r, R)
        if not scaled:
            values = values * fit.engine.least_squares.scale / block.root_weight
        out[block.rows] = values
    return pd.Series(out, index=fit.design.rows.frame.index, name=f"{level}_{kind}")


def residual_columns(fit: "MixedFit") -> dict[str, FloatArray]:
    """Columns that `MixedFit.augment` adds beside fitted value and residual.

    Marginal, about X beta, where the name does not say ``conditional``.
    """
    kinds: tuple[ResidualKind, ...] = ("pearson", "studentised", "cholesky")
    columns = {f"resid_{kind}": residuals(fit, kind).to_numpy() for kind in kinds}
    if not fit.is_marginal:
        conditional = residuals(fit, "raw", "conditional").to_numpy()
        columns["fitted_conditional"] = fit.design.rows.y - conditional
        columns["resid_conditional"] = conditional
        pearson = residuals(fit, "pearson", "conditional")
        columns["resid_conditional_pearson"] = pearson.to_numpy()
    return columns


def _at_level(
    fit: "MixedFit", block: SubjectRows, level: ResidualLevel
) -> tuple[FloatArray, FloatArray]:
    """Residual and the covariance that the model gives it, were beta known and b given."""
    if level == "marginal":
        return block.residual, block.V
    ZGZ = effects_covariance(fit, block)
    R = block.V - ZGZ
    # y - X beta - Z b-hat = R V^-1 r.
    return (R @ np.linalg.solve(block.V, block.residual[..., None]))[..., 0], R


def effects_covariance(fit: "MixedFit", block: SubjectRows) -> FloatArray:
    """Z G Z' of all groupings, (S, k, k), in the scaled basis."""
    term = fit.engine.covariance
    assert isinstance(term, SumTerm)
    pairs = zip(term.parts, term.split(fit.engine.theta_scaled), strict=True)
    values = [
        part.value(own, block.features)
        for part, own in pairs
        if isinstance(part, RandomEffectsTerm)
    ]
    return np.asarray(sum(values))


def _raw(fit: "MixedFit", block: SubjectRows, r: FloatArray, R: FloatArray) -> FloatArray:
    return r


def _pearson(fit: "MixedFit", block: SubjectRows, r: FloatArray, R: FloatArray) -> FloatArray:
    return np.asarray(r / np.sqrt(R.diagonal(0, 1, 2)))  # (RE1)


def _studentised(fit: "MixedFit", block: SubjectRows, r: FloatArray, R: FloatArray) -> FloatArray:
    """(RE2): cov(r) = R V^-1 (V - X Phi X') V^-1 R; at the marginal level R is V."""
    T = R @ np.linalg.inv(block.V)
    lost = T @ block.Q
    variance = np.einsum("sab,sab->sa", T @ block.V, T)
    variance = variance - np.einsum("sap,pq,saq->sa", lost, fit.engine.at.Phi, lost)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A row that determines a coefficient alone has no residual to speak of.
        enough = variance > _NO_VARIANCE * R.diagonal(0, 1, 2)
        return np.asarray(np.where(enough, r / np.sqrt(variance), np.nan))


def _cholesky(fit: "MixedFit", block: SubjectRows, r: FloatArray, R: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(np.linalg.cholesky(R), r[..., None])[..., 0])  # (RE3)


# A residual with less than this share of the model's variance is rounding.
_NO_VARIANCE = 1e-10
_KINDS: dict[str, Callable[..., FloatArray]] = {
    "raw": _raw,
    "pearson": _pearson,
    "studentised": _studentised,
    "cholesky": _cholesky,
}
