"""`predict`: marginal means of rows, with intervals for the mean or for a new observation."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.wald import reduce_to_kept
from aibmd.inference import check_conf_level
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.features import RowFeatures


def predict(
    fit: MixedFit,
    newdata: pd.DataFrame | None = None,
    kind: str = "marginal",
    interval: Literal["confidence", "prediction"] | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Expected response of each row.

    Parameters
    ----------
    fit : MixedFit
    newdata : DataFrame, optional
        Rows with the right-hand side columns; the rows used if omitted. A prediction
        interval also needs the visit column, because the variance is that of the visit.
    kind : {"marginal"}
        Means over the population with these covariates.
    interval : {None, "confidence", "prediction"}
        For the mean, or for one new observation of a new subject.
    conf_level : float

    Returns
    -------
    DataFrame
        estimate, and with an interval std_error, df, conf_low, conf_high. ``std_error``
        of a prediction includes the residual variance of the visit; its df are
        Satterthwaite's for the sum of both variances.

    Notes
    -----
    A prediction interval speaks of one woman, a confidence interval of a mean; the second
    is narrow in large cohorts and says nothing of the spread between women.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    >>> table["y"] = rng.normal(size=40)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit")
    >>> aibmd.predict(fit, pd.DataFrame({"visit": ["a"]}), interval="confidence").shape
    (1, 5)
    """
    if kind != "marginal":
        raise AibmdError(f"kind={kind!r} is not available; available: 'marginal'")
    check_conf_level(conf_level)
    if newdata is not None and not isinstance(newdata, pd.DataFrame):
        raise AibmdError(f"newdata is a {type(newdata).__name__}; give a DataFrame")
    if interval not in (None, "confidence", "prediction"):
        raise AibmdError(f"interval={interval!r} is not None, 'confidence' or 'prediction'")
    rows = fit.coding.frame if newdata is None else newdata
    L = reduce_to_kept(fit, fit.coding.code(rows))
    table = pd.DataFrame({"estimate": L @ fit.inference.beta}, index=rows.index)
    if interval is None:
        return table
    visit = _visit_codes(fit, newdata) if interval == "prediction" else None
    std_error, df = _spread(fit, L, visit)
    margin = stdtrit(df, 0.5 + conf_level / 2.0) * std_error
    return table.assign(
        std_error=std_error,
        df=df,
        conf_low=table["estimate"] - margin,
        conf_high=table["estimate"] + margin,
    )


def _spread(fit: MixedFit, L: FloatArray, visit: IntArray | None) -> tuple[FloatArray, FloatArray]:
    """Standard error and df of a mean, or of a new observation at `visit`."""
    inference = fit.inference
    variance = np.einsum("rp,pq,rq->r", L, inference.vcov, L)
    if visit is None:
        return np.sqrt(variance), inference.compute_df(L)
    engine = fit.engine
    one_row = RowFeatures(visit=visit[:, None])
    own_variance = engine.covariance.value(engine.theta_scaled, one_row)[:, 0, 0]
    total = variance + engine.least_squares.scale**2 * own_variance
    if inference.df_method in ("normal", "residual"):
        return np.sqrt(total), inference.compute_df(L)
    gradient = np.einsum("rp,hpq,rq->rh", L, inference.Phi_gradient, L)
    own = engine.covariance.first(engine.theta_scaled, one_row)[:, :, 0, 0]
    gradient = gradient + engine.least_squares.scale**2 * own.T
    unadjusted = np.einsum("rp,pq,rq->r", L, inference.Phi, L) + (total - variance)
    spread = np.einsum("rh,hk,rk->r", gradient, inference.theta_vcov, gradient)
    return np.sqrt(total), 2.0 * unadjusted**2 / spread


def _visit_codes(fit: MixedFit, newdata: pd.DataFrame | None) -> IntArray:
    if newdata is None:
        return fit.design.rows.visit
    if fit.spec.visit not in newdata.columns:
        raise AibmdError(
            f"a prediction interval needs the visit column {fit.spec.visit!r} in newdata"
        )
    place = {level: code for code, level in enumerate(fit.design.rows.visit_levels)}
    labels = newdata[fit.spec.visit].tolist()
    unseen = [label for label in labels if label not in place]
    if unseen:
        raise AibmdError(f"visit {unseen[0]!r} was not seen by the fit: {', '.join(fit.visits)}")
    return np.array([place[label] for label in labels], dtype=np.intp)
