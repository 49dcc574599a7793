"""The printed summary of a fit, in the order SAS and R users read it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aibmd.formatting import format_df, format_number, format_p_value, format_plural
from aibmd.inference import DF_TITLES
from aibmd.model.covariance import get_structure

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit


def format_summary(fit: "MixedFit") -> str:
    """Text of `MixedFit.summary`."""
    parts = [*_model(fit), "", *_data(fit), "", *_fit(fit), "", "Visit covariance (lower) and"]
    parts[-1] += " correlation (upper triangle):"
    parts += [_covariance(fit), "", "Coefficients:", format_coefficients(fit)]
    return "\n".join(parts)


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


def significant_digits(std_errors: np.ndarray, significant: int = 3) -> int:
    """Decimals that show the smallest standard error to three digits; between 2 and 8."""
    positive = std_errors[np.isfinite(std_errors) & (std_errors > 0)]
    if not len(positive):
        return 4
    decimals = significant - 1 - int(np.floor(np.log10(positive.min())))
    return min(max(decimals, 2), 8)


def _model(fit: "MixedFit") -> list[str]:
    structure = get_structure(fit.spec.covariance)
    return [
        "Mixed model for repeated measures",
        f"  formula       {fit.spec.formula}",
        f"  covariance    {structure.name} ({structure.title}) over {fit.spec.visit}"
        f" within {fit.spec.subject}",
        f"  criterion     {fit.spec.method.upper()}",
        f"  df            {DF_TITLES[fit.inference.df_method]},"
        f" {fit.inference.information} information",
    ]


def _data(fit: "MixedFit") -> list[str]:
    lines = [
        f"Rows used       {fit.n_obs} of {fit.n_obs + sum(fit.dropped_rows.values())}"
        f" from {fit.n_subjects} subjects",
        f"Visits          {', '.join(fit.visits)}",
    ]
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
        f"Log-likelihood  {fit.llf:.4f}   AIC {fit.aic:.2f}   BIC {fit.bic:.2f}"
        f"   ({format_plural(fit.n_covariance_parameters, 'covariance parameter')} counted,"
        f" BIC over {fit.n_subjects} subjects)",
    ]
    return lines + [f"  problem       {message}" for message in certificate.messages]


def _covariance(fit: "MixedFit") -> str:
    Sigma = fit.engine.Sigma
    deviation = np.sqrt(np.diagonal(Sigma))
    correlation = Sigma / deviation[:, None] / deviation
    shown = pd.DataFrame("", index=list(fit.visits), columns=list(fit.visits))
    for j in range(len(Sigma)):
        for k in range(len(Sigma)):
            upper = k > j
            shown.iloc[j, k] = (
                format_number(correlation[j, k], 3) if upper else f"{Sigma[j, k]:.5g}"
            )
    return shown.to_string()
