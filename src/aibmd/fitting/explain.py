"""`MixedFit.explain`: one row of a table, number by number, through the labelled equations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from aibmd.fitting.coefficient_walk import (
    is_constant_within,
    sum_normal_equations,
    take_adjustment,
    take_contributions,
    take_satterthwaite,
)
from aibmd.fitting.explained_function import ExplainedFunction, read_function
from aibmd.fitting.walk_text import equation, number, summands, table
from aibmd.formatting import format_plural
from aibmd.inference import DF_TITLES, VCOV_TITLES, check_conf_level, compute_t_p_value
from aibmd.inference.options import KENWARD_ROGER

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit

_SANDWICH_LABEL = {"CR0": "H2", "CR2": "H3", "CR3": "H4"}


def explain(fit: "MixedFit", term: Any, conf_level: float = 0.95) -> str:
    """How the row of one coefficient, or of one contrast, follows from the data, as text.

    Parameters
    ----------
    fit : MixedFit
    term : str, (p,) array, Series, DataFrame of one row or LinearEstimates of one row
        A coefficient, as `fit.params` names it; or a function l'beta by its row of L, for
        example ``estimates.L[i]`` of marginal means or contrasts.
    conf_level : float

    Returns
    -------
    str
        Six significant digits, terms of a sum with as many as its total needs; labels are
        those of the notes in ``docs/methods``.
    """
    check_conf_level(conf_level)
    asked = read_function(fit, term)
    parts = [
        [f"{asked.title}: its row, number by number (labels: docs/methods)"],
        _data(fit),
        _estimate(fit, asked),
        _variance(fit, asked),
        _degrees_of_freedom(fit, asked),
        _test(fit, asked, conf_level),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _data(fit: "MixedFit") -> list[str]:
    counted = format_plural(fit.n_covariance_parameters, "covariance parameter")
    return [
        f"Model: {fit.spec.formula}",
        f"Response: {_response(fit)}",
        *_covariance(fit),
        f"Data: N = {fit.n_obs} rows of n = {fit.n_subjects} subjects, p = {len(fit.params)} "
        f"coefficients, {counted} by {fit.spec.method.upper()}",
        "Computed from unrounded numbers; terms of a sum show the digits that its total needs.",
        equation("M1", "log-likelihood", fit.llf),
    ]


def _response(fit: "MixedFit") -> str:
    formula = fit.coding.formula
    if (formula.response,) == formula.response_variables:
        return f"{formula.response}, in its own units"
    return f"{formula.response}; every number below is on this scale"


def _covariance(fit: "MixedFit") -> list[str]:
    spec = fit.spec
    if fit.choice is not None:
        own = "" if spec.group is None else f", for each {spec.group} its own"
        title = f"{fit.choice.text} ({fit.choice.title})"
        return [f"Covariance: {title} within {spec.subject}{own}"]
    groupings = spec.random if isinstance(spec.random, Mapping) else {spec.subject: spec.random}
    random = "; ".join(f"{right} | {grouping}" for grouping, right in groupings.items())
    own = "" if spec.residual_group is None else f", for each {spec.residual_group} its own"
    return [
        f"Covariance: random effects {random} ({spec.random_covariance}); "
        f"residual {spec.residual}{own}"
    ]


def _estimate(fit: "MixedFit", asked: ExplainedFunction) -> list[str]:
    row, u = fit.inference.Phi @ asked.row, sum_normal_equations(fit)
    names, estimate = list(fit.coding.kept_columns), float(asked.row @ fit.inference.beta)
    Phi_k = "Phi_jk" if asked.position is not None else "(l'Phi)_k"
    sums = "Phi = (X'V^-1 X)^-1 and u = X'V^-1 y"
    if fit.spec.sampling_weights is not None:
        sums = (
            "Phi = (sum_i s_i X_i'V_i^-1 X_i)^-1 and u = sum_i s_i X_i'V_i^-1 y_i, "
            f"s_i by {fit.spec.sampling_weights}"
        )
    return [
        f"(M10) estimate = sum_k {Phi_k} u_k, with {sums}",
        *table(("k", Phi_k, "u_k", "product"), names, (row, u, row * u), estimate),
        equation("M10", "estimate", estimate),
    ]


def _variance(fit: "MixedFit", asked: ExplainedFunction) -> list[str]:
    v = asked.value(fit.inference.Phi)
    left = "v = Phi_jj" if asked.position is not None else "v = l'Phi l"
    se = np.sqrt(asked.value(fit.inference.vcov))
    if fit.inference.sandwich is not None:
        lines = [equation("S1", left, v), *_sandwich_variance(fit, asked)]
    elif fit.inference.df_method in KENWARD_ROGER:
        lines = _kenward_roger_variance(fit, asked, left, v)
    else:
        lines = [equation("S1", left, v)]
    return [*lines, f"      std_error = root of that = {number(se)}"]


def _kenward_roger_variance(
    fit: "MixedFit", asked: ExplainedFunction, left: str, v: float
) -> list[str]:
    parts, total = take_adjustment(fit, asked.row), asked.value(fit.inference.vcov)
    second = fit.inference.df_method == "kenward_roger_second_order"
    own, of_q, of_p, of_r = summands(np.array([v, parts.of_q, parts.of_p, parts.of_r]), total)
    lines = [
        equation("S1", left, own),
        equation("K1", f"+ 2 {asked.of('Phi (sum_hk W_hk Q_hk) Phi')}", of_q),
        equation("K1", f"- 2 {asked.of('Phi (sum_hk W_hk P_h Phi P_k) Phi')}", of_p),
    ]
    if second:
        lines.append(equation("K10", f"- 1/2 {asked.of('Phi (sum_hk W_hk R_hk) Phi')}", of_r))
    adjusted = "Phi_A,jj" if asked.position is not None else "l'Phi_A l"
    return [*lines, equation("K10" if second else "K1", f"{adjusted}, their sum with v", total)]


def _sandwich_variance(fit: "MixedFit", asked: ExplainedFunction) -> list[str]:
    kind = fit.inference.vcov_method
    weight = "" if fit.spec.sampling_weights is None else "s_i "
    e = take_contributions(fit, asked.row).influence
    names, total = [str(label) for label in fit.design.rows.subjects], float(e @ e)
    return [
        f"(H1) robust variance = sum_i e_i^2, e_i = {weight}l'Phi X_i'L_i^-T A_i L_i^-1 r_i, "
        f"A_i by ({_SANDWICH_LABEL[kind]}), {VCOV_TITLES[kind]}",
        *table(("subject", "e_i", "e_i^2"), names, (e, e**2), total, shown=5),
        equation("H1", "robust variance", total),
    ]


def _degrees_of_freedom(fit: "MixedFit", asked: ExplainedFunction) -> list[str]:
    inference, df = fit.inference, float(fit.inference.compute_df(asked.row[None])[0])
    if inference.df_method == "normal":
        return [equation("D3", "df, normal", df)]
    if inference.df_method == "residual":
        return [equation("D2", f"df = N - p = {fit.n_obs} - {len(fit.params)}", df)]
    if inference.df_method == "between_within":
        return _between_within(fit, asked, df)
    if inference.sandwich is not None:
        return _bell_mccaffrey(fit, asked, df)
    return _satterthwaite(fit, asked, df)


def _between_within(fit: "MixedFit", asked: ExplainedFunction, df: float) -> list[str]:
    n, N, j = fit.n_subjects, fit.n_obs, asked.position
    if j is None:
        return [equation("D1", "df = the smallest of those of its coefficients", df)]
    column = fit.design.columns_of(np.arange(N))[:, j]
    if is_constant_within(fit, j) and not (column == column[0]).all():
        b = n - round(df)
        says = f"constant within subjects: df = n - b = {n} - {b}"
    else:
        says = f"not constant within subjects, or the intercept: df = N - n - w = {N} - {n} - "
        says += str(N - n - round(df))
    return [equation("D1", says, df)]


def _bell_mccaffrey(fit: "MixedFit", asked: ExplainedFunction, df: float) -> list[str]:
    expected = take_contributions(fit, asked.row).expected
    return [
        equation("H6", "E = expected robust variance, were V true", expected),
        equation("H6", "U_2 = its variance, were V true", 2.0 * expected**2 / df),
        equation("H6", "df = 2 E^2 / U_2", df),
    ]


def _satterthwaite(fit: "MixedFit", asked: ExplainedFunction, df: float) -> list[str]:
    parts, v = take_satterthwaite(fit, asked.row), asked.value(fit.inference.Phi)
    names = list(fit.engine.parameter_names)
    denominator = float(parts.products.sum())
    lines = [
        f"(S2) g_h = dv/dtheta_h; W = inverse {fit.inference.information} information of theta",
        "     (Wg)_h = sum_k W_hk g_k; in the units of theta",
        "     W is fit.inference.theta_vcov * numpy.outer(c, c), c = fit.engine.theta_units",
        *table(
            ("parameter", "theta_h", "root W_hh", "g_h", "(Wg)_h", "g_h (Wg)_h"),
            names,
            (fit.engine.theta, parts.theta_se, parts.gradient, parts.weighted, parts.products),
            denominator,
        ),
        equation("S3", "g'Wg", denominator),
        equation("S3", f"df = 2 v^2 / g'Wg = 2 x {number(v)}^2 / {number(denominator)}", df),
    ]
    if fit.engine.boundary.n_lost:
        lines.append("(B4) random effects lost a dimension: W is that along the boundary")
    if fit.inference.df_method in KENWARD_ROGER:
        lines.append("      for one function (K2) to (K9) give lambda = 1 and this df")
    return lines


def _test(fit: "MixedFit", asked: ExplainedFunction, conf_level: float) -> list[str]:
    found = fit.inference.infer(asked.row[None])
    estimate, se, df = float(found.estimate[0]), float(np.sqrt(found.vcov[0, 0])), found.df[0]
    t, margin = estimate / se, float(stdtrit(df, (1.0 + conf_level) / 2.0)) * se
    p_value = float(compute_t_p_value(np.array([t]), np.array([df]))[0])
    return [
        f"Test: {_df_title(fit)}",
        equation("D4", f"t = {number(estimate)} / {number(se)}", t),
        equation("D5", "p_value = 2 P(T > |t|)", p_value),
        f"(D6) {100 * conf_level:g} % limits = {number(estimate - margin)} to "
        f"{number(estimate + margin)}",
    ]


def _df_title(fit: "MixedFit") -> str:
    if fit.inference.sandwich is not None and fit.inference.df_method == "satterthwaite":
        return "Bell-McCaffrey (Satterthwaite for the sandwich)"
    return DF_TITLES[fit.inference.df_method]
