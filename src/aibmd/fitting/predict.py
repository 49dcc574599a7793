"""`predict`: means of rows, of a woman's rows, and of rows given her observed visits."""

from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.fitting.conditional import Prediction, predict_rows
from aibmd.fitting.covariance_tables import effects_terms
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.new_rows import RowPool, code_subjects, pool_rows
from aibmd.fitting.observed_rows import choose_given, list_unobserved, require_subject
from aibmd.fitting.own_rows import warn_about_rows
from aibmd.fitting.stacked_rows import PredictionTarget
from aibmd.fitting.wald import reduce_to_kept
from aibmd.inference import check_conf_level
from aibmd.linalg.symmetric import BoolArray, IntArray

PredictionKind = Literal["marginal", "random_effects", "observed_visits"]
Interval = Literal["confidence", "prediction"]


def predict(
    fit: MixedFit,
    newdata: "pd.DataFrame | Cohort | None" = None,
    kind: PredictionKind = "marginal",
    interval: Interval | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Expected response of each row.

    Parameters
    ----------
    fit : MixedFit
    newdata : DataFrame or Cohort, optional
        Rows with the right-hand side columns, and those that the covariance needs (subject,
        visit, time, group, ...) where it plays a part. If omitted, the rows used; with
        ``kind="observed_visits"`` every scheduled visit that a woman does not have.
    kind : {"marginal", "random_effects", "observed_visits"}
        ``marginal``: X beta, the mean of all women with these covariates. ``random_effects``:
        X beta + Z b-hat, the mean of this woman's own scans; b-hat is zero for a woman the
        fit has not seen. ``observed_visits``: the mean given her observed scans, by the whole
        covariance (PR4). Her observed scans are those of the fit, or, where `newdata` holds a
        response of hers, those in `newdata` alone; rows whose response is known are returned
        as they are, with a standard error of zero and ``observed`` True.
    interval : {None, "confidence", "prediction"}
        Of the mean above, or of one new observation.
    conf_level : float

    Returns
    -------
    DataFrame
        ``estimate``, and with an interval ``std_error, df, conf_low, conf_high`` (t limits);
        ``observed`` with ``kind="observed_visits"``. Index of `newdata` or of the rows used;
        without `newdata`, unobserved visits come with subject and visit. NaN where a
        covariance is needed that no data speak of.

    Raises
    ------
    AibmdError, FormulaError
        A column that is missing or holds what the fit has not seen; random effects of a
        marginal model.

    Warns
    -----
    DataWarning
        With ``random_effects``: a row contradicts what is constant of this woman in the fit,
        such as her arm; time, or the column of a random slope, beyond what the fit has seen.

    Notes
    -----
    Labels (PR1) to (PR8) of ``docs/methods/prediction.md``. Standard errors include that beta
    was estimated; that theta was enters through the df alone, which are Satterthwaite's of
    the whole variance (PR8), unless the fit's are normal or residual. A ``confidence``
    interval of ``random_effects`` speaks of b too, for a new woman with all of Z G Z'.
    For observed rows R mmrm returns the observations, as here; SAS ``OUTP=`` predicts them.

    A prediction interval speaks of one woman, a confidence interval of a mean; the second is
    narrow in large cohorts and says nothing of the spread between women. Given observed
    visits, a prediction is unbiased only if what is missing is missing at random.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    >>> table["y"] = rng.normal(size=40)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit")
    >>> aibmd.predict(fit, pd.DataFrame({"visit": ["a"]}), interval="confidence").shape
    (1, 5)

    A woman's own coefficients, fixed and random part together, are predictions too: her own
    intercept with limits is her mean where the slopes vanish. Her own slope is the difference
    of two means one unit apart, here without limits.

    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_lmm("bmd ~ arm * time", hip, random="1 + time")
    >>> her = fit.augment().iloc[[0, 0]].assign(time=[0.0, 1.0])
    >>> own = aibmd.predict(fit, her, kind="random_effects", interval="confidence")
    >>> intercept, slope = own.iloc[0], own["estimate"].diff().iloc[1]
    >>> by_hand = fit.params["time"] + fit.params["arm[T.exercise]:time"]
    >>> by_hand += fit.random_effects.iloc[0]["time"]
    >>> bool(abs(slope - by_hand) < 1e-9)
    True
    """
    if isinstance(newdata, Cohort):
        newdata = newdata.to_frame()
    _check_options(newdata, kind, interval, conf_level)
    if kind == "marginal":
        return _predict_marginal(fit, newdata, interval, conf_level)
    if kind == "random_effects":
        return _predict_with_effects(fit, newdata, interval, conf_level)
    return _predict_from_visits(fit, newdata, interval, conf_level)


def _check_options(
    newdata: pd.DataFrame | None, kind: str, interval: str | None, conf_level: float
) -> None:
    if kind not in get_args(PredictionKind):
        known = ", ".join(map(repr, get_args(PredictionKind)))
        raise AibmdError(f"kind={kind!r} is not available; available: {known}")
    if newdata is not None and not isinstance(newdata, pd.DataFrame):
        raise AibmdError(f"newdata is a {type(newdata).__name__}; give a DataFrame")
    if interval not in (None, *get_args(Interval)):
        raise AibmdError(f"interval={interval!r} is not None, 'confidence' or 'prediction'")
    check_conf_level(conf_level)


def _predict_marginal(
    fit: MixedFit, newdata: pd.DataFrame | None, interval: str | None, conf_level: float
) -> pd.DataFrame:
    if interval == "prediction":
        pool, targets, index = _pool(fit, newdata, with_errors=True)
        target = PredictionTarget(own_errors=True, new_observation=True)
        nothing = np.empty(0, dtype=np.intp)
        found = predict_rows(fit, pool, targets, nothing, _no_response(pool), target, True)
        return _to_table(found, index, interval, conf_level)
    rows = fit.coding.frame if newdata is None else newdata
    L = reduce_to_kept(fit, fit.coding.code(rows))
    variance = np.einsum("rp,pq,rq->r", L, fit.inference.vcov, L)
    df = fit.inference.compute_df(L) if interval else variance
    found = Prediction(L @ fit.inference.beta, variance, df)
    return _to_table(found, rows.index, interval, conf_level)


def _predict_with_effects(
    fit: MixedFit, newdata: pd.DataFrame | None, interval: str | None, conf_level: float
) -> pd.DataFrame:
    effects_terms(fit)  # refuses a marginal model
    if newdata is not None:
        require_subject(fit, newdata)
    pool, targets, index = _pool(fit, newdata, with_errors=interval == "prediction")
    if newdata is not None:
        warn_about_rows(fit, newdata)
    y = _no_response(pool)
    y[: fit.n_obs] = fit.design.rows.y
    target = PredictionTarget(own_errors=False, new_observation=interval == "prediction")
    given = np.arange(fit.n_obs)
    found = predict_rows(fit, pool, targets, given, y, target, interval is not None)
    return _to_table(found, index, interval, conf_level)


def _predict_from_visits(
    fit: MixedFit, newdata: pd.DataFrame | None, interval: str | None, conf_level: float
) -> pd.DataFrame:
    identifiers = None
    if newdata is None:
        newdata, identifiers = list_unobserved(fit)
    require_subject(fit, newdata)
    if not len(newdata):
        empty = Prediction(*np.empty((3, 0)))
        return _to_table(empty, newdata.index, interval, conf_level, np.zeros(0, dtype=bool))
    response = choose_given(fit, newdata, code_subjects(fit, newdata))
    with_errors = interval == "prediction" or bool(response.is_known.any())
    pool, targets, index = _pool(fit, newdata, with_errors)
    target = PredictionTarget(own_errors=True, new_observation=interval == "prediction")
    found = predict_rows(
        fit, pool, targets, response.given, response.y, target, interval is not None
    )
    known, y = response.is_known, response.y[fit.n_obs :]
    found = Prediction(
        np.where(known, y, found.estimate),
        np.where(known, 0.0, found.variance),
        np.where(known, np.nan, found.df),
    )
    table = _to_table(found, index, interval, conf_level, known)
    return table if identifiers is None else pd.concat([identifiers, table], axis=1)


def _pool(
    fit: MixedFit, newdata: pd.DataFrame | None, with_errors: bool
) -> tuple[RowPool, IntArray, pd.Index]:
    """Rows of the fit and new ones; which are the targets; their index."""
    n = fit.n_obs
    if newdata is not None:
        return pool_rows(fit, newdata, with_errors), n + np.arange(len(newdata)), newdata.index
    rows, p = fit.design.rows, len(fit.inference.beta)
    root = np.ones(n) if rows.weights is None else np.sqrt(rows.weights)
    pool = RowPool(n, np.zeros((1, p)), rows.subject, fit.features, root)
    return pool, np.arange(n), rows.frame.index


def _no_response(pool: RowPool) -> np.ndarray:
    return np.full(len(pool.who), np.nan)


def _to_table(
    found: Prediction,
    index: pd.Index,
    interval: str | None,
    conf_level: float,
    observed: BoolArray | None = None,
) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {"estimate": found.estimate}
    if interval is not None:
        std_error = np.sqrt(found.variance)
        margin = stdtrit(found.df, 0.5 + conf_level / 2.0) * std_error
        margin = np.where(std_error == 0, 0.0, margin)
        columns |= {
            "std_error": std_error,
            "df": found.df,
            "conf_low": found.estimate - margin,
            "conf_high": found.estimate + margin,
        }
    if observed is not None:
        columns["observed"] = observed
    return pd.DataFrame(columns, index=index)
