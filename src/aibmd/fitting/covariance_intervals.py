"""`covariance_intervals`: how well the data determine variances and correlations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference import check_conf_level
from aibmd.inference.build import compute_theta_vcov
from aibmd.inference.correlations import (
    PINNED,
    DerivedCorrelation,
    ParameterKind,
    list_correlations,
    list_kinds,
)
from aibmd.inference.held_parameter import Link
from aibmd.inference.profile_limits import (
    LINKS,
    Limits,
    profile_correlation,
    profile_parameter,
)
from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.boundary import RANK_TOLERANCE

_ON_BOUNDARY = (
    "on the boundary (a variance of zero or a correlation of one in size): no Wald limits"
)


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A covariance parameter or a correlation they imply, with its gradient by theta."""

    name: str
    kind: ParameterKind
    estimate: float
    gradient: FloatArray
    source: int | DerivedCorrelation


def covariance_intervals(
    fit: MixedFit,
    method: Literal["wald", "profile"] = "wald",
    conf_level: float = 0.95,
    parameters: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Intervals for variances, covariances and correlations.

    Answers how well the data determine the spread between women, or how strongly visits
    are correlated.

    Parameters
    ----------
    fit : MixedFit
    method : {"wald", "profile"}
        Wald limits come from the standard error on a scale where the estimate is nearly
        normal; profile limits from the likelihood itself, maximised over all else.
    conf_level : float
    parameters : sequence of str, optional
        Names to keep; all of them if None.

    Returns
    -------
    DataFrame
        ``parameter, estimate, std_error, conf_low, conf_high, scale, note``: first the covariance
        parameters of ``fit.covariance_parameters``, then the correlations they imply.
        ``std_error`` is of the estimate itself; ``scale`` is where Wald limits were symmetric
        (log SD, identity, Fisher z, logit), or the likelihood that was profiled. Where something
        is missing, ``note`` says why.

    Raises
    ------
    AibmdError
        Unknown method or parameter.
    ConvergenceError
        The fit is not certified as a maximum.

    Notes
    -----
    Labels (V1) to (V7) of ``docs/methods/covariance_intervals.md``. The criterion of the fit is
    profiled: the restricted likelihood of a REML fit. lme4 profiles the full likelihood even
    of a REML fit; refit with ``method="ml"`` to have its limits. Profile limits of an SD are the
    roots of those of the variance.

    Wald limits of a variance near zero mislead; a lower profile limit of zero is legitimate.
    Limits at both sides of a boundary value are conservative there.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_lmm("bmd ~ arm * time", hip, random="1 + time")
    >>> aibmd.covariance_intervals(fit)["scale"].tolist()
    ['log SD', 'identity', 'log SD', 'log SD', 'Fisher z']
    """
    check_conf_level(conf_level)
    if method not in ("wald", "profile"):
        raise AibmdError(f"method={method!r} is not 'wald' or 'profile'")
    if not fit.converged:
        reason = "; ".join(fit.engine.certificate.messages)
        raise ConvergenceError(f"no intervals exist, the fit is not certified: {reason}")
    quantities = _select(_list_quantities(fit), parameters)
    vcov, on_boundary = _wald_vcov(fit), _find_boundary(fit)
    goal = _normal_quantile(0.5 + conf_level / 2.0)
    rows = []
    for one in quantities:
        variance = float(one.gradient @ vcov @ one.gradient)
        is_inside = np.isfinite(one.estimate) and not on_boundary[one.gradient != 0].any()
        std_error = float(np.sqrt(variance)) if is_inside else np.nan
        if method == "wald":
            limits, scale = _wald_limits(one, std_error, goal), LINKS[one.kind]
        else:
            limits, scale = _profile_limits(fit, one, goal), _criterion_name(fit)
        rows.append(
            {
                "parameter": one.name,
                "estimate": one.estimate,
                "std_error": std_error,
                "conf_low": limits.low,
                "conf_high": limits.high,
                "scale": scale,
                "note": limits.note,
            }
        )
    return pd.DataFrame(rows)


def _list_quantities(fit: MixedFit) -> list[_Quantity]:
    term, theta = fit.engine.covariance, fit.engine.theta
    own = [
        _Quantity(name, kind, float(value), row, place)
        for place, (name, kind, value, row) in enumerate(
            zip(term.names, list_kinds(term), theta, np.eye(len(theta)), strict=True)
        )
    ]
    return own + [_imply(fit, one) for one in list_correlations(term)]


def _imply(fit: MixedFit, one: DerivedCorrelation) -> _Quantity:
    """A correlation; NaN where a variance is nil."""
    theta, estimate = fit.engine.theta, np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        gradient = one.gradient(theta)
        if not _is_nil(fit, one.first) and not _is_nil(fit, one.second):
            estimate = one.value(theta)
    return _Quantity(one.name, "correlation", estimate, gradient, one)


def _is_nil(fit: MixedFit, place: int) -> bool:
    """Whether a variance is nil beside its standard error were all else known."""
    if place == PINNED:
        return False
    precision = float(fit.engine.derivatives.known_mean[place, place])
    return bool(fit.engine.theta_scaled[place] * np.sqrt(precision) <= RANK_TOLERANCE)


def _select(quantities: list[_Quantity], names: Sequence[str] | None) -> list[_Quantity]:
    if names is None:
        return quantities
    wanted = [names] if isinstance(names, str) else list(names)
    known = {one.name: one for one in quantities}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise AibmdError(
            f"{unknown[0]!r} is no covariance parameter of the fit; they are {', '.join(known)}"
        )
    return [known[name] for name in wanted]


def _wald_vcov(fit: MixedFit) -> FloatArray:
    """Inverse information of theta, user's units."""
    units = fit.engine.theta_units
    return compute_theta_vcov(fit.engine, fit.spec.information) * units[:, None] * units


def _find_boundary(fit: MixedFit) -> BoolArray:
    """Parameters of every G that has lost rank."""
    engine = fit.engine
    out = np.zeros(len(engine.theta), dtype=bool)
    for block in engine.covariance.effects:
        moves = np.abs(engine.boundary.tangent[block.begin : block.end]).any(axis=0).sum()
        out[block.begin : block.end] = moves < block.end - block.begin
    return out


def _wald_limits(one: _Quantity, std_error: float, goal: float) -> Limits:
    if not np.isfinite(std_error):
        return Limits(np.nan, np.nan, _ON_BOUNDARY)
    link = Link(LINKS[one.kind])
    t = link.to_t(one.estimate)
    margin = goal * std_error / link.slope(t)
    return Limits(link.to_value(t - margin), link.to_value(t + margin))


def _profile_limits(fit: MixedFit, one: _Quantity, goal: float) -> Limits:
    if isinstance(one.source, DerivedCorrelation):
        return profile_correlation(fit.engine, one.source, goal)
    limits = profile_parameter(fit.engine, one.source, one.kind, goal)
    unit = fit.engine.theta_units[one.source]
    return Limits(limits.low * unit, limits.high * unit, limits.note)


def _criterion_name(fit: MixedFit) -> str:
    kind = "restricted " if fit.spec.method == "reml" else ""
    return f"profile of the {kind}likelihood"


def _normal_quantile(probability: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(probability))
