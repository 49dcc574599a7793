"""`influence`: what one woman does to estimates, contrasts and the covariance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aibmd.fitting.left_out import LeftOut, leave_out
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.wald import as_matrix, reduce_to_kept
from aibmd.linalg.symmetric import FloatArray


@dataclass(frozen=True, slots=True)
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
    """

    by_subject: pd.DataFrame
    coefficients: pd.DataFrame
    coefficients_one_step: pd.DataFrame
    covariance_parameters_one_step: pd.DataFrame
    contrasts: pd.DataFrame | None
    contrasts_one_step: pd.DataFrame | None
    contrast_std_errors: pd.DataFrame | None

    def to_frame(self) -> pd.DataFrame:
        """The table by subject, most influential first."""
        return self.by_subject.sort_values("cooks_distance", ascending=False, kind="stable")


def influence(fit: MixedFit, L: Any = None) -> SubjectInfluence:
    """Leave out each subject: what happens to coefficients, contrasts and covariance.

    Answers whether a finding hangs on one woman. All her visits are left out together.

    Parameters
    ----------
    fit : MixedFit
    L : array (r, p) or DataFrame, optional
        Linear functions of the coefficients as in `aibmd.wald_test`; the index of a DataFrame
        names them, for example the ``L`` of marginal means.

    Returns
    -------
    SubjectInfluence

    Raises
    ------
    NotEstimableError, AibmdError
        `L` is not estimable or of another shape.

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
    )


def _read_functions(fit: MixedFit, L: Any) -> tuple[FloatArray, pd.Index]:
    """L over the estimated coefficients, and what its rows are called."""
    if L is None:
        return np.empty((0, len(fit.inference.beta))), pd.RangeIndex(0)
    matrix = reduce_to_kept(fit, as_matrix(fit, L))
    return matrix, L.index if isinstance(L, pd.DataFrame) else pd.RangeIndex(len(matrix))


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
