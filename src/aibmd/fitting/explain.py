"""`MixedFit.explain`: one coefficient's row, number by number, through the labelled equations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aibmd.errors import AibmdError, NotEstimableError
from aibmd.fitting.coefficient_walk import (
    is_constant_within,
    sum_normal_equations,
    take_adjustment,
    take_contributions,
    take_satterthwaite,
)
from aibmd.formatting import format_number
from aibmd.inference import DF_TITLES, VCOV_TITLES
from aibmd.inference.options import KENWARD_ROGER
from aibmd.linalg.symmetric import FloatArray

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit

# Longer lists show their largest entries and the sum of the others.
_SHOWN = 12
_SANDWICH_LABEL = {"CR0": "H2", "CR2": "H3", "CR3": "H4"}


def explain(fit: "MixedFit", term: str, conf_level: float = 0.95) -> str:
    """How the row of one coefficient follows from the data, as text.

    Parameters
    ----------
    fit : MixedFit
    term : str
        A coefficient, as `fit.params` names it.
    conf_level : float

    Returns
    -------
    str
        Six significant digits; labels are those of the notes in ``docs/methods``.
    """
    j = _position(fit, term)
    parts = [
        [f"{term}: its row, number by number (labels: docs/methods)"],
        _data(fit),
        _estimate(fit, j),
        _variance(fit, j),
        _degrees_of_freedom(fit, j),
        _test(fit, j, conf_level),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _position(fit: "MixedFit", term: str) -> int:
    names = list(fit.coding.kept_columns)
    if term in names:
        return names.index(term)
    if term in fit.dropped_columns:
        raise NotEstimableError(
            f"{term!r} repeats earlier columns and was dropped: it has no row to explain"
        )
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    raise AibmdError(f"{term!r} is no coefficient of the fit; the coefficients are {shown}")


def _data(fit: "MixedFit") -> list[str]:
    p = len(fit.params)
    return [
        f"Data: N = {fit.n_obs} rows of n = {fit.n_subjects} subjects, p = {p} coefficients, "
        f"{fit.n_covariance_parameters} covariance parameters by {fit.spec.method.upper()}",
        _equation("M1", "log-likelihood", fit.llf),
    ]


def _estimate(fit: "MixedFit", j: int) -> list[str]:
    row, u = fit.inference.Phi[j], sum_normal_equations(fit)
    names = list(fit.coding.kept_columns)
    return [
        "(M10) estimate = sum_k Phi_jk u_k, with Phi = (X'V^-1 X)^-1 and u = X'V^-1 y",
        *_table(("k", "Phi_jk", "u_k", "product"), names, (row, u, row * u)),
        _equation("M10", "estimate", float(fit.params.iloc[j])),
    ]


def _variance(fit: "MixedFit", j: int) -> list[str]:
    v = float(fit.inference.Phi[j, j])
    lines = [_equation("S1", "v = Phi_jj", v)]
    if fit.inference.sandwich is not None:
        lines += _sandwich_variance(fit, j)
    elif fit.inference.df_method in KENWARD_ROGER:
        lines += _kenward_roger_variance(fit, j)
    return [*lines, f"      std_error = root of that = {_number(float(fit.bse.iloc[j]))}"]


def _kenward_roger_variance(fit: "MixedFit", j: int) -> list[str]:
    parts = take_adjustment(fit, j)
    lines = [
        _equation("K1", "+ 2 [Phi (sum_hk W_hk Q_hk) Phi]_jj", parts.of_q),
        _equation("K1", "- 2 [Phi (sum_hk W_hk P_h Phi P_k) Phi]_jj", parts.of_p),
    ]
    if fit.inference.df_method == "kenward_roger_second_order":
        lines.append(_equation("K10", "- 1/2 [Phi (sum_hk W_hk R_hk) Phi]_jj", parts.of_r))
    total = float(fit.inference.vcov[j, j])
    return [*lines, _equation("K1", "Phi_A,jj, their sum with v", total)]


def _sandwich_variance(fit: "MixedFit", j: int) -> list[str]:
    kind = fit.inference.vcov_method
    weight = "" if fit.spec.sampling_weights is None else "s_i "
    e = take_contributions(fit, j).influence
    names = [str(label) for label in fit.design.rows.subjects]
    return [
        f"(H1) robust variance = sum_i e_i^2, e_i = {weight}l'Phi X_i'L_i^-T A_i L_i^-1 r_i, "
        f"A_i by ({_SANDWICH_LABEL[kind]}), {VCOV_TITLES[kind]}",
        *_table(("subject", "e_i", "e_i^2"), names, (e, e**2), shown=5),
        _equation("H1", "robust variance", float(e @ e)),
    ]


def _degrees_of_freedom(fit: "MixedFit", j: int) -> list[str]:
    inference, df = fit.inference, float(fit.df.iloc[j])
    if inference.df_method == "normal":
        return [_equation("D3", "df, normal", df)]
    if inference.df_method == "residual":
        return [_equation("D2", f"df = N - p = {fit.n_obs} - {len(fit.params)}", df)]
    if inference.df_method == "between_within":
        return _between_within(fit, j, df)
    if inference.sandwich is not None:
        return _bell_mccaffrey(fit, j, df)
    return _satterthwaite(fit, j, df)


def _between_within(fit: "MixedFit", j: int, df: float) -> list[str]:
    n, N = fit.n_subjects, fit.n_obs
    column = fit.design.columns_of(np.arange(N))[:, j]
    if is_constant_within(fit, j) and not (column == column[0]).all():
        b = n - round(df)
        says = f"constant within subjects: df = n - b = {n} - {b}"
    else:
        says = f"not constant within subjects, or the intercept: df = N - n - w = {N} - {n} - "
        says += str(N - n - round(df))
    return [_equation("D1", says, df)]


def _bell_mccaffrey(fit: "MixedFit", j: int, df: float) -> list[str]:
    expected = take_contributions(fit, j).expected
    return [
        _equation("H6", "E = expected robust variance, were V true", expected),
        _equation("H6", "U = its variance, were V true", 2.0 * expected**2 / df),
        _equation("H6", "df = 2 E^2 / U", df),
    ]


def _satterthwaite(fit: "MixedFit", j: int, df: float) -> list[str]:
    parts, v = take_satterthwaite(fit, j), float(fit.inference.Phi[j, j])
    names = list(fit.engine.parameter_names)
    denominator = float(parts.products.sum())
    lines = [
        f"(S2) g_h = dv/dtheta_h; W = inverse {fit.inference.information} information of theta",
        *_table(
            ("parameter", "theta_h", "root W_hh", "g_h", "(Wg)_h", "g_h (Wg)_h"),
            names,
            (fit.engine.theta, parts.theta_se, parts.gradient, parts.weighted, parts.products),
        ),
        _equation("S3", "g'Wg", denominator),
        _equation("S3", f"df = 2 v^2 / g'Wg = 2 x {_number(v)}^2 / {_number(denominator)}", df),
    ]
    if fit.engine.boundary.n_lost:
        lines.append("(B4) random effects lost a dimension: W is that along the boundary")
    if fit.inference.df_method in KENWARD_ROGER:
        lines.append("      for one function (K2) to (K9) give lambda = 1 and this df")
    return lines


def _test(fit: "MixedFit", j: int, conf_level: float) -> list[str]:
    limits = fit.conf_int(1.0 - conf_level).iloc[j]
    estimate, se = float(fit.params.iloc[j]), float(fit.bse.iloc[j])
    return [
        f"Test: {_df_title(fit)}",
        _equation("D4", f"t = {_number(estimate)} / {_number(se)}", float(fit.tvalues.iloc[j])),
        _equation("D5", "p_value = 2 P(T > |t|)", float(fit.pvalues.iloc[j])),
        f"(D6) {100 * conf_level:g} % limits = {_number(float(limits['conf_low']))} to "
        f"{_number(float(limits['conf_high']))}",
    ]


def _df_title(fit: "MixedFit") -> str:
    if fit.inference.sandwich is not None and fit.inference.df_method == "satterthwaite":
        return "Bell-McCaffrey (Satterthwaite for the sandwich)"
    return DF_TITLES[fit.inference.df_method]


def _number(value: float) -> str:
    return f"{value:.6g}" if np.isfinite(value) else format_number(value)


def _equation(label: str, left: str, value: float) -> str:
    return f"({label}) {left} = {_number(value)}"


def _table(
    header: Sequence[str], names: Sequence[str], columns: Sequence[FloatArray], shown: int = _SHOWN
) -> list[str]:
    """Aligned rows; only the largest by the last column where there are many."""
    last = np.asarray(columns[-1])
    order = np.arange(len(names))
    if len(names) > shown:
        order = np.sort(np.argsort(-np.abs(last), kind="stable")[:shown])
    rows = [[str(names[int(i)]), *(_number(float(column[i])) for column in columns)] for i in order]
    if len(order) < len(names):
        others = float(last.sum() - last[order].sum())
        rows.append(
            [f"the other {len(names) - len(order)}", *[""] * (len(columns) - 1), _number(others)]
        )
    rows.insert(0, list(header))
    width = [max(len(row[c]) for row in rows) for c in range(len(header))]
    return [
        "  "
        + row[0].ljust(width[0])
        + "".join(f"  {x:>{w}}" for x, w in zip(row[1:], width[1:], strict=True))
        for row in rows
    ]
