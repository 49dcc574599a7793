"""`influence`: what one woman does to estimates, contrasts and the covariance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.influence_table import format_influence
from aibmd.fitting.left_out import LeftOut, leave_out
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.wald import as_matrix, reduce_to_kept
from aibmd.inference.estimates import LinearEstimates
from aibmd.linalg.symmetric import FloatArray


@dataclass(frozen=True, slots=True, repr=False)
class SubjectInfluence:
    """Every subject left out once. One row per subject, her label as index.

    Attributes
    ----------
    by_subject : DataFrame
        ``n_rows``; ``leverage`` tr H_i, adding up to the number of coefficients;
        ``cooks_distance`` (I5); ``covariance_ratio`` |Phi without her| / |Phi|. Exact at fixed
        covariance parameters; NaN, and an infinite ratio, where she alone determines a
        coefficient. ``cooks_distance_one_step`` lets the covariance move too, approximately.
    coefficients : DataFrame
        Estimates without her at fixed covariance parameters: exact.
    coefficients_one_step : DataFrame
        The same with the covariance parameters moved by one scoring step: approximate.
    covariance_parameters_one_step : DataFrame
        Covariance parameters without her by that step: approximate; NaN where the
        information without her is not positive definite.
    contrasts, contrasts_one_step : DataFrame or None
        ``L beta`` without her, likewise.
    contrast_std_errors : DataFrame or None
        Model-based standard error of each, exact at fixed covariance parameters.
    estimates : DataFrame
        With all women, a row for each column of `contrasts`, or of `coefficients` where there
        are none: ``estimate`` and the fit's own ``std_error``, in which shifts are printed.
    """

    by_subject: pd.DataFrame
    coefficients: pd.DataFrame
    coefficients_one_step: pd.DataFrame
    covariance_parameters_one_step: pd.DataFrame
    contrasts: pd.DataFrame | None
    contrasts_one_step: pd.DataFrame | None
    contrast_std_errors: pd.DataFrame | None
    estimates: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """The table by subject, largest ``cooks_distance`` first.

        Women who alone determine a coefficient have none and stand before all; ties stay in
        the order of the data.
        """
        return self.by_subject.sort_values(
            "cooks_distance", ascending=False, kind="stable", na_position="first"
        )

    def summary(self) -> str:
        """A few lines: each function with all women and without those who move it most."""
        return format_influence(self)

    def __repr__(self) -> str:
        return self.summary()


def influence(fit: MixedFit, L: Any = None) -> SubjectInfluence:
    """Leave out each subject: what happens to coefficients, contrasts and covariance.

    Answers whether a finding hangs on one woman. All her visits are left out together.

    Parameters
    ----------
    fit : MixedFit
    L : array (r, p), DataFrame or LinearEstimates, optional
        Linear functions of the coefficients as in `aibmd.wald_test`, named by the index of a
        DataFrame; or marginal means or contrasts of this fit, named by their identifier
        columns (several make a MultiIndex). Rows of those that are not estimable hold NaN.
        Functions are on the linear scale, also where the estimates print percent.

    Returns
    -------
    SubjectInfluence
        Prints the women who move each function most.

    Raises
    ------
    NotEstimableError, AibmdError
        `L` is not estimable, of another shape, or estimates of another fit.

    Notes
    -----
    Labels (I1) to (I6) of ``docs/methods/influence.md``. What is called exact is a refit
    without her at the covariance parameters of the full fit, from sums in one pass. What is
    called one-step is a scoring step from there on the likelihood without her (Newton's with
    the expected information) with its exact score; the note tells how far it was from true
    refits. Cook's distance is b' Phi^-1 b / p, b her effect on the coefficients, with
    model-based, unadjusted Phi. Christensen, Pearson and Johnson 1992 (Technometrics
    34:38-45).

    It misleads where two women mask each other, and near a boundary of the covariance
    parameters, where such a step can be far from a refit. An influential woman is a reason
    to look at her scans, not to leave her out.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_mmrm("bmd ~ arm * visit", hip)
    >>> found = aibmd.influence(fit)
    >>> bool(abs(found.by_subject["leverage"].sum() - len(fit.params)) < 1e-8)
    True
    >>> means = aibmd.emmeans(fit, "arm", by="visit")
    >>> list(aibmd.influence(fit, means).contrasts.columns.names)
    ['arm', 'visit']
    """
    matrix, rows = _read_functions(fit, L)
    found = _collect(fit, matrix)
    labels = pd.Index(fit.design.rows.subjects, name=fit.spec.subject)
    names = list(fit.coding.kept_columns)

    def table(values: FloatArray, columns: Any) -> pd.DataFrame:
        return pd.DataFrame(values, index=labels, columns=columns)

    beta, moved = _to_user(fit, found["change"]), _to_user(fit, found["moved"])
    theta = fit.engine.theta + found["step"] * fit.engine.theta_units
    asked = L is not None
    return SubjectInfluence(
        by_subject=pd.DataFrame(
            {
                "n_rows": found["n_rows"],
                "leverage": found["leverage"],
                "cooks_distance": _cooks_distance(fit, found["change"]),
                "covariance_ratio": np.exp(found["log_ratio"]),
                "cooks_distance_one_step": _cooks_distance(fit, found["moved"]),
            },
            index=labels,
        ),
        coefficients=table(beta, names),
        coefficients_one_step=table(moved, names),
        covariance_parameters_one_step=table(theta, list(fit.engine.parameter_names)),
        contrasts=table(beta @ matrix.T, rows) if asked else None,
        contrasts_one_step=table(moved @ matrix.T, rows) if asked else None,
        contrast_std_errors=table(np.sqrt(found["variance"]), rows) if asked else None,
        estimates=_estimate(fit, matrix, rows)
        if asked
        else _estimate(fit, np.eye(len(names)), pd.Index(names)),
    )


def _read_functions(fit: MixedFit, L: Any) -> tuple[FloatArray, pd.Index]:
    """L over the estimated coefficients, and what its rows are called."""
    if L is None:
        return np.empty((0, len(fit.inference.beta))), pd.RangeIndex(0)
    if isinstance(L, LinearEstimates):
        return _functions_of(fit, L)
    matrix = reduce_to_kept(fit, as_matrix(fit, L))
    return matrix, L.index if isinstance(L, pd.DataFrame) else pd.RangeIndex(len(matrix))


def _functions_of(fit: MixedFit, estimates: LinearEstimates) -> tuple[FloatArray, pd.Index]:
    theirs, ours = estimates.inference.beta, fit.inference.beta
    if len(theirs) != len(ours) or not np.allclose(theirs, ours, rtol=1e-6):
        raise AibmdError(
            "L holds estimates of another fit: its coefficients are not those of this one; "
            "compute them from this fit"
        )
    labels = estimates.labels
    several = labels.shape[1] > 1
    index = pd.MultiIndex.from_frame(labels) if several else pd.Index(labels.iloc[:, 0])
    return estimates.L, index


def _estimate(fit: MixedFit, matrix: FloatArray, names: pd.Index) -> pd.DataFrame:
    """With all women, by the covariance that the fit's tests use."""
    variance = np.einsum("rp,pq,rq->r", matrix, fit.inference.vcov, matrix)
    columns = {"estimate": matrix @ fit.inference.beta, "std_error": np.sqrt(variance)}
    return pd.DataFrame(columns, index=names)


def _collect(fit: MixedFit, matrix: FloatArray) -> dict[str, FloatArray]:
    """What is kept of each subject left out, in the order of the subjects' codes."""
    parts: list[dict[str, Any]] = []
    for part in leave_out(fit):
        step = _scoring_steps(fit, part)
        Phi = fit.engine.least_squares.to_user_vcov(part.Phi) if len(matrix) else part.Phi
        parts.append(
            {
                "subject": part.subject,
                "n_rows": part.n_rows,
                "leverage": part.leverage,
                "log_ratio": part.log_ratio,
                "change": part.change,
                "step": step,
                "moved": part.change + np.einsum("sh,shp->sp", step, part.drift),  # (I6)
                "variance": np.einsum("rp,spq,rq->sr", matrix, Phi, matrix),
            }
        )
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["subject"], kind="stable")
    return {name: values[order] for name, values in joined.items()}


def _to_user(fit: MixedFit, change: FloatArray) -> FloatArray:
    """(S, p) estimates without each subject, on the user's scale."""
    scale = fit.engine.least_squares
    return np.asarray(fit.engine.beta + change @ (scale.basis.transform.T * scale.scale))


def _cooks_distance(fit: MixedFit, change: FloatArray) -> FloatArray:
    """(I5)."""
    by_Phi = np.linalg.solve(fit.engine.at.Phi, change.T).T
    return np.asarray(np.einsum("sp,sp->s", change, by_Phi) / change.shape[1])


def _scoring_steps(fit: MixedFit, part: LeftOut) -> FloatArray:
    """(S, h): step of the scaled theta where the information allows it; along the boundary."""
    T = fit.engine.boundary.tangent
    information = T.T @ part.information @ T
    score = part.score @ T
    scale = np.sqrt(np.abs(information.diagonal(0, 1, 2)))
    relative = information / scale[:, :, None] / scale[:, None]
    fine = np.asarray(np.isfinite(relative).all(axis=(1, 2)) & np.isfinite(score).all(axis=1))
    fine[fine] = np.linalg.eigvalsh(relative[fine])[:, 0] > _POSITIVE
    steps = np.full(part.score.shape, np.nan)
    if fine.any():
        solved = np.linalg.solve(information[fine], score[fine][..., None])[..., 0]
        steps[fine] = solved @ T.T
    return steps


# Smallest eigenvalue of an information scaled to unit diagonal that counts as positive.
_POSITIVE = 1e-10
