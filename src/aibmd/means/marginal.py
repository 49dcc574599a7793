"""Estimated marginal means: averages of predictions over a reference grid."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from aibmd.errors import AibmdError
from aibmd.fitting import MixedFit
from aibmd.formatting import format_count
from aibmd.inference.build import build_inference
from aibmd.inference.coefficients import CoefficientInference
from aibmd.linalg.symmetric import FloatArray
from aibmd.means.counterfactual import predict_counterfactual
from aibmd.means.estimates import MarginalEstimates, estimate_functions
from aibmd.means.grid import ReferenceGrid, build_grid, cell_frequencies
from aibmd.vocabulary import DfMethod, MarginalWeights


def emmeans(
    fit: MixedFit,
    over: str | Iterable[str],
    by: str | Iterable[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: MarginalWeights = "equal",
    conf_level: float = 0.95,
    df_method: DfMethod | None = None,
) -> MarginalEstimates:
    """Mean response at each level of some factors, adjusted for everything else in the model.

    Parameters
    ----------
    fit : MixedFit
    over : str or list of str
        Factors a mean is wanted for. A covariate may stand here if `at` lists its values.
    by : str or list of str, optional
        Factors that split the means into groups; contrasts stay within a group.
    at : mapping, optional
        Variable -> value or list of values: levels of a factor to keep, or values of a
        covariate in place of its mean over the rows used.
    weights : "equal", "proportional" or "counterfactual"
        How the factors in neither `over` nor `by` are averaged: every combination of their
        levels alike, or by its share of the rows used; the same weights serve every mean.
        ``"counterfactual"``: every subject is predicted at every level with their own covariates
        (g-computation), and the standard error is that for the population of such subjects.
    conf_level : float
    df_method : str, optional
        That of the fit unless given.

    Returns
    -------
    MarginalEstimates
        One row per mean, by-groups in order, `over` within them. A mean that the data do not
        determine (an empty cell) is printed as not estimable.

    Raises
    ------
    AibmdError
        Names, levels or weights that the model does not know.

    Examples
    --------
    >>> import aibmd, pandas as pd
    >>> scans = pd.DataFrame({
    ...     "subject_id": [1, 1, 2, 2, 3, 3, 4, 4],
    ...     "arm": list("AAAABBBB"),
    ...     "visit": ["m12", "m24"] * 4,
    ...     "bmd_log_change": [-0.01, -0.02, -0.03, -0.06, 0.02, 0.03, 0.00, 0.01],
    ... })
    >>> fit = aibmd.fit_mmrm("bmd_log_change ~ arm * visit", scans,
    ...                      subject="subject_id", visit="visit", covariance="cs")
    >>> means = emmeans(fit, over="arm", by="visit").to_frame()
    >>> print(means[["arm", "visit", "estimate"]].round(4).to_string(index=False))
    arm visit  estimate
      A   m12     -0.02
      B   m12      0.01
      A   m24     -0.04
      B   m24      0.02

    Notes
    -----
    A marginal mean describes a made-up population: with equal weights one in which, say, both
    sexes and all races are equally frequent. Weights matter only for means, and for
    differences of means where the model has interactions with the factors averaged over.
    Means are on the scale of the response; back-transform differences, not means, of a
    logged response.
    """
    over, by = list_names(over), list_names(by)
    if not over and not by:
        raise AibmdError(
            f"over= names no factor; the model's factors are {', '.join(fit.coding.levels)}"
        )
    if weights == "counterfactual":
        inference = choose_inference(fit, df_method)
        return predict_counterfactual(fit, inference, over, by, at, conf_level)
    grid = build_grid(fit.coding, over, by, at)
    share = average_cells(weights, fit, grid)
    return estimate_functions(
        labels=grid.labels,
        L_full=np.einsum("gcp,c->gp", grid.X, share),
        coding=fit.coding,
        inference=choose_inference(fit, df_method),
        conf_level=conf_level,
        by=by,
        notes=describe_grid(weights, fit, grid, at or {}),
    )


def list_names(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """One name, several, or none."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def average_cells(weights: str, fit: MixedFit, grid: ReferenceGrid) -> FloatArray:
    """Weight of each combination of the factors that are averaged over, (cells,)."""
    if weights == "equal":
        cells = grid.X.shape[1]
        return np.full(cells, 1.0 / cells)
    if weights == "proportional":
        return cell_frequencies(fit.coding, grid, fit.design.rows.sampling_weights)
    raise AibmdError(f"weights={weights!r} is not 'equal', 'proportional' or 'counterfactual'")


def choose_inference(fit: MixedFit, df_method: DfMethod | None) -> CoefficientInference:
    """That of the fit, or the one with the df method asked for."""
    if df_method is None or df_method == fit.inference.df_method:
        return fit.inference
    return build_inference(
        fit.engine,
        df_method,
        fit.inference.information,
        fit.inference.vcov_method,
        fit.design,
        fit.features,
    )


def describe_grid(
    weights: str, fit: MixedFit, grid: ReferenceGrid, at: Mapping[str, Any]
) -> tuple[str, ...]:
    """What was averaged and what was held, as printed."""
    return (
        _describe_weights(weights, fit, grid),
        *_describe_held(grid, at, len(fit.coding.frame)),
    )


def _describe_weights(weights: str, fit: MixedFit, grid: ReferenceGrid) -> str:
    if not grid.averaged:
        return f"Weights: {weights} (no factor is averaged over)."
    names = _and(grid.averaged)
    if weights == "equal":
        return f"Averaged over {names}, all combinations weighted equally."
    counted = "" if fit.design.rows.sampling_weights is None else ", by sampling_weights"
    return (
        f"Averaged over {names}, combinations weighted by their share of the "
        f"{format_count(len(fit.coding.frame))} rows used (proportional{counted})."
    )


def _describe_held(grid: ReferenceGrid, at: Mapping[str, Any], rows: int) -> list[str]:
    means = [f"{name} = {value:.6g}" for name, value in grid.held.items() if name not in at]
    given = [f"{name} = {value:.6g}" for name, value in grid.held.items() if name in at]
    lines = []
    if means:
        lines.append(f"Covariates at their mean over the {format_count(rows)} rows used: "
                     f"{', '.join(means)}.")  # fmt: skip
    if given:
        lines.append(f"Held at the value asked for: {', '.join(given)}.")
    return lines


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
