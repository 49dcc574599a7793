"""The printed summary of a fit, in the order SAS and R users read it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aibmd.formatting import (
    format_df,
    format_number,
    format_p_value,
    format_plural,
    significant_digits,
)
from aibmd.inference import VCOV_TITLES
from aibmd.inference.options import title_df

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


def format_summary(fit: "MixedFit") -> str:
    """Text of `MixedFit.summary`."""
    return "\n".join([format_head(fit), "", "Coefficients, 95 % limits:", format_coefficients(fit)])


def format_head(fit: "MixedFit") -> str:
    """The summary without its coefficients: model, data, fit, covariance."""
    parts = [*_model(fit), "", *_data(fit), "", *_fit(fit), ""]
    return "\n".join([*parts, *_random_part(fit), *_covariance(fit)]).rstrip()


def format_coefficients(fit: "MixedFit") -> str:
    """The coefficient table with fixed digits, small effects kept readable."""
    table = fit.tidy()
    digits = significant_digits(table["std_error"].to_numpy())
    shown = pd.DataFrame({"term": table["term"]})
    for name in ("estimate", "std_error"):
        shown[name] = [format_number(value, digits) for value in table[name]]
    shown["df"] = [format_df(value) for value in table["df"]]
    shown["statistic"] = [format_number(value, 2) for value in table["statistic"]]
    shown["p_value"] = [format_p_value(value) for value in table["p_value"]]
    for name in ("conf_low", "conf_high"):
        shown[name] = [format_number(value, digits) for value in table[name]]
    return shown.to_string(index=False)


def _model(fit: "MixedFit") -> list[str]:
    spec = fit.spec
    lines = ["Mixed model for repeated measures" if fit.is_marginal else "Linear mixed model"]
    lines += [f"  formula       {spec.formula}", *_covariance_lines(fit)]
    for name in ("weights", "sampling_weights"):
        if getattr(spec, name) is not None:
            lines.append(f"  {name.replace('_', ' '):13s} {getattr(spec, name)}")
    lines.append(f"  criterion     {spec.method.upper()}")
    if spec.vcov != "model":
        lines.append(f"  std errors    {VCOV_TITLES[spec.vcov]}, by {spec.subject}")
    df_title = title_df(fit.inference.df_method, spec.vcov)
    known = "" if spec.vcov != "model" else f", {fit.inference.information} information"
    return [*lines, f"  df            {df_title}{known}"]


def _covariance_lines(fit: "MixedFit") -> list[str]:
    spec = fit.spec
    if fit.choice is not None:
        over = spec.visit if fit.choice.is_scheduled else spec.time
        if spec.repeated is not None:
            over = f"{spec.repeated} and {over}"
        by = "" if spec.group is None else f", for each {spec.group} its own"
        lines = [
            f"  covariance    {fit.choice.text} ({fit.choice.title}) over {over}"
            f" within {spec.subject}{by}"
        ]
        if spec.fallback:
            lines.append("  pre-specified " + ", ".join((spec.covariance, *spec.fallback)))
            lines += [f"    {attempt}" for attempt in fit.attempts]
        return lines
    groupings = spec.random if isinstance(spec.random, Mapping) else {spec.subject: spec.random}
    lines = [
        f"  random        {right} | {grouping} ({spec.random_covariance})"
        for grouping, right in groupings.items()
    ]
    by = "" if spec.residual_group is None else f", for each {spec.residual_group} its own"
    return [*lines, f"  residual      {spec.residual}{by}"]


def _data(fit: "MixedFit") -> list[str]:
    lines = [
        f"Rows used       {fit.n_obs} of {fit.n_obs + sum(fit.dropped_rows.values())}"
        f" from {fit.n_subjects} subjects",
    ]
    if fit.visits:
        lines.append(f"Visits          {', '.join(fit.visits)}")
    for reason, count in fit.dropped_rows.items():
        lines.append(f"  left out      {format_plural(count, 'row')}: {reason}")
    if fit.dropped_columns:
        lines.append(f"  not estimable {', '.join(fit.dropped_columns)} (repeat earlier columns)")
    return lines


def _fit(fit: "MixedFit") -> list[str]:
    certificate = fit.engine.certificate
    verdict = "certified maximum" if fit.converged else "NOT A CERTIFIED MAXIMUM, do not use"
    lines = [
        f"Convergence     {verdict} ({fit.engine.n_steps} steps,"
        f" gain left {certificate.gain_left:.1e})",
        f"{_criterion_name(fit)}  {fit.llf:.4f}   AIC {fit.aic:.2f}   BIC {fit.bic:.2f}"
        f"   ({_counted(fit)} counted, BIC over {_counted_units(fit)})",
    ]
    word = "note" if fit.converged else "problem"
    return lines + [f"  {word:13s} {message}" for message in certificate.messages]


def _criterion_name(fit: "MixedFit") -> str:
    weighted = fit.spec.sampling_weights is not None
    return "Log pseudo-likelihood" if weighted else "Log-likelihood"


def _counted(fit: "MixedFit") -> str:
    if fit.is_marginal:
        return format_plural(fit.n_covariance_parameters, "covariance parameter")
    return format_plural(fit.n_parameters_counted, "parameter")


def _counted_units(fit: "MixedFit") -> str:
    return f"{fit.n_subjects} subjects" if fit.is_marginal else f"{fit.n_obs} rows"


def _random_part(fit: "MixedFit") -> list[str]:
    if fit.is_marginal:
        return []
    shown = pd.DataFrame(
        {
            "parameter": fit.covariance_parameters.index,
            "estimate": [f"{value:.5g}" for value in fit.covariance_parameters],
            "SD or correlation": _standard_scale(fit),
        }
    )
    return ["Random effects and residual:", shown.to_string(index=False), ""]


def _standard_scale(fit: "MixedFit") -> list[str]:
    """Standard deviation of each variance, correlation of each covariance."""
    term = fit.engine.covariance
    values = dict(zip(term.names, fit.engine.theta.tolist(), strict=True))
    shown = []
    for (name, value), is_variance in zip(values.items(), term.is_variance, strict=True):
        if is_variance:
            shown.append(f"{np.sqrt(max(value, 0.0)):.5g}")
        elif name.startswith("cov("):
            inside, where = name[4:-1].split(" | ")
            a, b = inside.split(", ")
            product = values[f"var({a} | {where})"] * values[f"var({b} | {where})"]
            shown.append(format_number(value / np.sqrt(product), 3) if product > 0 else "-")
        else:
            shown.append("")
    return shown


def _covariance(fit: "MixedFit") -> list[str]:
    if not fit.is_marginal:
        return []
    if fit.choice is not None and (fit.choice.left is not None or not fit.choice.is_scheduled):
        return _covariance_parameters(fit)
    tables = fit.covariance
    title = "Visit covariance (lower) and correlation (upper triangle)"
    if not isinstance(tables, dict):
        tables = {"": tables}
    lines = []
    for label, table in tables.items():
        lines += [f"{title}{label and ', ' + label}:", _triangles(table), ""]
    return lines


def _covariance_parameters(fit: "MixedFit") -> list[str]:
    """Products and structures over times: their few parameters, not a matrix of all cells."""
    parameters = fit.covariance_parameters
    shown = pd.DataFrame(
        {
            "parameter": parameters.index,
            "estimate": [f"{value:.5g}" for value in parameters],
            "SD": [
                f"{np.sqrt(value):.5g}" if is_variance and has_unit else ""
                for value, is_variance, has_unit in zip(
                    parameters,
                    fit.engine.covariance.is_variance,
                    fit.engine.covariance.has_unit,
                    strict=True,
                )
            ],
        }
    )
    lines = ["Covariance parameters:", shown.to_string(index=False)]
    if fit.choice is not None and fit.choice.left is not None:
        lines.append("Right of @ the first variance is one; fit.covariance is the whole matrix.")
    if fit.choice is not None and not fit.choice.is_scheduled:
        lines.append(f"Distance is in the unit of {fit.spec.time}.")
    return [*lines, ""]


def _triangles(table: pd.DataFrame) -> str:
    Sigma = table.to_numpy()
    deviation = np.sqrt(np.diagonal(Sigma))
    correlation = Sigma / deviation[:, None] / deviation
    shown = pd.DataFrame("", index=table.index, columns=table.columns)
    for j in range(len(Sigma)):
        for k in range(len(Sigma)):
            upper = k > j
            shown.iloc[j, k] = (
                format_number(correlation[j, k], 3) if upper else f"{Sigma[j, k]:.5g}"
            )
    return shown.to_string()
