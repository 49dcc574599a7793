"""Slopes of a covariate: marginal means of the derivative."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting import MixedFit
from aibmd.linalg.symmetric import FloatArray
from aibmd.means.derivative import CodedSlope, differentiate
from aibmd.means.estimates import MarginalEstimates, estimate_functions
from aibmd.means.grid import ReferenceGrid, build_grid
from aibmd.means.marginal import average_cells, choose_inference, describe_grid, list_names
from aibmd.model.coding import Coding
from aibmd.vocabulary import DfMethod, MarginalWeights


def emtrends(
    fit: MixedFit,
    var: str,
    over: str | Iterable[str] | None = None,
    by: str | Iterable[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: MarginalWeights = "equal",
    conf_level: float = 0.95,
    df_method: DfMethod | None = None,
) -> MarginalEstimates:
    """Change in the mean response per unit of a covariate, at each level of some factors.

    Parameters
    ----------
    fit : MixedFit
    var : str
        A covariate, such as time in years; the slope is per its unit.
    over, by : str or list of str, optional
        As in `emmeans`: factors a slope is wanted for, and factors that split them into groups.
    at : mapping, optional
        As in `emmeans`. ``at={var: 2.0}`` takes the slope there and not at the mean of `var`;
        for slopes at several values name `var` in `over` or `by` too.
    weights : "equal" or "proportional"
        How the factors in neither `over` nor `by` are averaged.
    conf_level : float
    df_method : str, optional
        That of the fit unless given.

    Returns
    -------
    MarginalEstimates
        One row per slope. Compare slopes with `contrast`. A slope that the data do not determine
        is printed as not estimable.

    Raises
    ------
    AibmdError
        `var` is a factor or not in the model, or has no slope at this value (a knot).

    Examples
    --------
    >>> import aibmd, pandas as pd
    >>> scans = pd.DataFrame({
    ...     "subject_id": [1, 1, 2, 2, 3, 3, 4, 4],
    ...     "arm": list("AAAABBBB"),
    ...     "visit": ["y1", "y2"] * 4,
    ...     "time": [1.0, 2.0] * 4,
    ...     "bmd": [1.00, 0.98, 0.95, 0.94, 1.01, 1.03, 0.90, 0.92],
    ... })
    >>> fit = aibmd.fit_mmrm("bmd ~ arm * time", scans, subject="subject_id", visit="visit",
    ...                      covariance="cs")
    >>> slopes = emtrends(fit, "time", over="arm").to_frame()
    >>> print(slopes[["arm", "estimate"]].round(4).to_string(index=False))
    arm  estimate
      A    -0.015
      B     0.020

    Notes
    -----
    With a curved term (``log(time)``, ``bs(time)``) the slope belongs to one value of `var`, which
    is printed; it is no average slope over the follow-up. Covariates that are derived from `var`
    in the table, and not in the formula, do not move with it.
    """
    over, by = list_names(over), list_names(by)
    _check_variable(var, fit.coding)
    if weights == "counterfactual":
        raise AibmdError(
            "weights='counterfactual' is for means; slopes are averaged with 'equal' or "
            "'proportional'"
        )
    grid = build_grid(fit.coding, over, by, at)
    share = average_cells(weights, fit, grid)
    slope = _differentiate_grid(fit.coding, grid, var)
    D = slope.D.reshape(grid.X.shape)
    # The value a straight line was held at tells nothing of its slope.
    held = {name: grid.held[name] for name in grid.held if name != var or not slope.is_constant}
    return estimate_functions(
        labels=grid.labels if over or by else pd.DataFrame({"trend": [var]}),
        L_full=np.einsum("gcp,c->gp", D, share),
        coding=fit.coding,
        inference=choose_inference(fit, df_method),
        conf_level=conf_level,
        by=by,
        notes=(
            _describe_slope(fit, var, grid, slope),
            *describe_grid(weights, fit, replace(grid, held=held), at or {}),
        ),
        trend=var,
    )


def _check_variable(var: str, coding: Coding) -> None:
    covariates = [name for name in coding.formula.variables if name not in coding.levels]
    if var in covariates:
        return
    offered = f"covariates of this model: {', '.join(covariates) or 'none'}"
    if var in coding.levels:
        raise AibmdError(
            f"{var!r} is a factor, whose levels have means and no slope; use emmeans and "
            f"contrast, or a numeric column in the formula; {offered}"
        )
    raise AibmdError(f"{var!r} is not in the model; {offered}")


def _differentiate_grid(coding: Coding, grid: ReferenceGrid, var: str) -> CodedSlope:
    start = grid.frame[var].to_numpy(dtype=float)
    used = coding.frame[var].to_numpy(dtype=float)

    def code(shift: float) -> FloatArray:
        return coding.code(grid.frame.assign(**{var: start + shift}))

    magnitude = float(max(np.abs(start).max(), np.abs(used).max()))
    spread = float(used.max() - used.min()) or magnitude or 1.0
    return differentiate(code, spread, magnitude)


def _describe_slope(fit: MixedFit, var: str, grid: ReferenceGrid, slope: CodedSlope) -> str:
    response = fit.coding.formula.response
    what = f"Slopes: change in {response} per unit of the column {var}"
    if slope.is_constant:
        return f"{what}; a straight line, so the same at every value of it."
    if var in grid.held:
        return f"{what}, at {var} = {grid.held[var]:.6g}; the line is curved."
    return f"{what}, at each value of it shown; the line is curved."
