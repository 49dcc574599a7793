"""`fit_outcomes`: the same model on many outcomes at once, for simulation and bootstrap."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference.build import build_inference
from aibmd.inference.satterthwaite import compute_df_together
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray
from aibmd.model.cross_products import collect_cross_products
from aibmd.model.engine import fit_engine
from aibmd.model.many_outcomes import Together, maximise_together
from aibmd.model.outcome_products import (
    OutcomeDesign,
    OutcomeProducts,
    collect_outcomes,
    prepare_design,
)
from aibmd.model.pattern_likelihood import PatternCriterion, residual_moments
from aibmd.model.patterns import find_patterns
from aibmd.model.start import StartMoments, list_starts

# Outcomes that climb together: enough to hide Python, few enough for the cache.
_BATCH = 128


@dataclass(frozen=True, slots=True)
class OutcomeFits:
    """Fits of one model to many outcomes, one row each.

    Attributes
    ----------
    names : tuple of str
        Coefficients.
    estimate, std_error, df : (B, p) arrays
        Satterthwaite degrees of freedom; NaN where a fit failed.
    log_likelihood : (B,) array
    theta : (B, n_theta) array
        Covariance parameters.
    converged : (B,) bool array
        Certified maxima; a failed fit stays in its row and is not dropped.
    """

    names: tuple[str, ...]
    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    log_likelihood: FloatArray
    theta: FloatArray
    converged: BoolArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def __len__(self) -> int:
        return len(self.converged)

    def to_frame(self) -> pd.DataFrame:
        """One row per outcome and coefficient."""
        n, p = self.estimate.shape
        return pd.DataFrame(
            {
                "outcome": np.repeat(np.arange(n), p),
                "term": np.tile(np.array(self.names, dtype=object), n),
                "estimate": self.estimate.ravel(),
                "std_error": self.std_error.ravel(),
                "df": self.df.ravel(),
                "converged": np.repeat(self.converged, p),
            }
        )


def fit_outcomes(fit: MixedFit, outcomes: FloatArray) -> OutcomeFits:
    """Refit a model to many new outcomes on the same rows.

    Answers what the model of `fit` gives when the response is replaced, thousands of times:
    simulation, parametric bootstrap, permutation. All outcomes climb together, which is many
    times quicker than fitting each; an outcome that does not settle that way is fitted alone.

    Parameters
    ----------
    fit : MixedFit
        Of `fit_mmrm` with ``un``, ``cs`` or ``toep``, without weights.
    outcomes : (n_obs, B) array
        One column per outcome, rows in the order of ``fit.fittedvalues``, unit of the response.

    Returns
    -------
    OutcomeFits
        With Satterthwaite degrees of freedom, observed information.

    Raises
    ------
    AibmdError
        A model that cannot be fitted this way, or outcomes of another shape.

    Notes
    -----
    (M1) to (M6) of ``docs/methods/mmrm.md`` with the outcome as a leading axis. A row that
    failed is NaN with ``converged`` False: leaving such rows out of a simulation flatters it.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(30), 3), "visit": ["a", "b", "c"] * 30})
    >>> table["y"] = rng.normal(size=90)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit")
    >>> fits = aibmd.fit_outcomes(fit, rng.normal(size=(90, 4)))
    >>> fits.estimate.shape, bool(fits.converged.all())
    ((4, 3), True)
    """
    outcomes = np.asarray(outcomes, dtype=float)
    if outcomes.ndim != 2 or len(outcomes) != fit.n_obs or not outcomes.shape[1]:
        raise AibmdError(
            f"outcomes has the shape {outcomes.shape}; expected ({fit.n_obs}, number of outcomes),"
            " one row for each row the fit used"
        )
    if not np.isfinite(outcomes).all():
        raise AibmdError("outcomes holds missing or infinite values; the rows used are complete")
    design = _prepare(fit)
    parts = [
        _fit_batch(fit, design, outcomes[:, begin : begin + _BATCH])
        for begin in range(0, outcomes.shape[1], _BATCH)
    ]
    names = ("estimate", "std_error", "df", "log_likelihood", "theta", "converged")
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in names)
    return OutcomeFits(fit.coding.kept_columns, *columns)


def _prepare(fit: MixedFit) -> OutcomeDesign:
    criterion, rows = fit.engine.criterion, fit.design.rows
    weighted = rows.weights is not None or rows.sampling_weights is not None
    if (
        not isinstance(criterion, PatternCriterion)
        or criterion.constant_first is None
        or weighted
        or rows.repeated is not None
        or rows.group is not None
    ):
        raise AibmdError(
            "fit_outcomes takes fits of fit_mmrm with covariance 'un', 'cs' or 'toep', without "
            "group, repeated or weights; fit others one by one"
        )
    X = fit.design.columns_of(np.arange(fit.n_obs))
    return prepare_design(X, find_patterns(rows.subject, rows.visit, len(rows.visits)))


def _fit_batch(fit: MixedFit, design: OutcomeDesign, Y: FloatArray) -> OutcomeFits:
    criterion = fit.engine.criterion
    assert isinstance(criterion, PatternCriterion)
    E = criterion.constant_first
    assert E is not None
    products, coefficients, scale = collect_outcomes(design, Y)
    together = maximise_together(products, E, _starts(fit, products), criterion.method)
    T = design.basis.transform
    W = np.full_like(together.observed, np.nan)
    good = together.settled.copy()
    for b in np.flatnonzero(good):
        try:
            np.linalg.cholesky(together.observed[b])
        except np.linalg.LinAlgError:
            good[b] = False
    W[good] = np.linalg.inv(together.observed[good])
    variance, df = compute_df_together(T, together.Phi, together.P, W)
    estimate = (coefficients + scale[:, None] * together.beta) @ T.T
    n_free = len(Y) - (len(T) if criterion.method == "reml" else 0)
    log_det_T = design.basis.log_det if criterion.method == "reml" else 0.0
    loglik = together.loglik - n_free * np.log(scale) + log_det_T
    found = OutcomeFits(
        fit.coding.kept_columns,
        estimate,
        scale[:, None] * np.sqrt(variance),
        df,
        loglik,
        scale[:, None] ** 2 * together.theta,
        good,
    )
    return _alone(fit, design, Y, found, together)


def _starts(fit: MixedFit, products: OutcomeProducts) -> FloatArray:
    """Moments of every outcome, in the parameters the fit estimates."""
    criterion = fit.engine.criterion
    assert isinstance(criterion, PatternCriterion)
    moments, counts = products.moments(criterion.cross.n_visits)
    base = getattr(criterion.covariance, "base", criterion.covariance)
    free = getattr(criterion.covariance, "free", slice(None))
    starts = [list_starts(base, StartMoments(criterion.cells, one, counts))[0] for one in moments]
    return np.stack(starts)[:, free]


def _alone(
    fit: MixedFit, design: OutcomeDesign, Y: FloatArray, found: OutcomeFits, together: Together
) -> OutcomeFits:
    """Fit the outcomes that did not settle one by one."""
    left = np.flatnonzero(~found.converged)
    if not len(left):
        return found
    values = {
        name: np.array(getattr(found, name))
        for name in ("estimate", "std_error", "df", "log_likelihood", "theta", "converged")
    }
    X = fit.design.columns_of(np.arange(fit.n_obs))
    criterion = fit.engine.criterion
    assert isinstance(criterion, PatternCriterion)
    term = getattr(criterion.covariance, "base", criterion.covariance)
    for b in left:
        for name in ("estimate", "std_error", "df", "log_likelihood", "theta"):
            values[name][b] = np.nan
        cross = collect_cross_products(X, Y[:, b], design.patterns)
        single = PatternCriterion(cross, term, criterion.cells, criterion.method)
        try:
            engine = fit_engine(single, StartMoments(criterion.cells, *residual_moments(cross)))
            inference = build_inference(engine, "satterthwaite", "observed")
        except (ConvergenceError, AibmdError):
            continue
        functions = inference.infer(np.eye(X.shape[1]))
        values["estimate"][b] = functions.estimate
        values["std_error"][b] = np.sqrt(np.diagonal(functions.vcov))
        values["df"][b] = functions.df
        values["log_likelihood"][b] = engine.loglik
        values["theta"][b] = engine.theta
        values["converged"][b] = engine.certificate.converged
    return OutcomeFits(found.names, **values)
