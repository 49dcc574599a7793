"""One trial to what the study counts: is the truth inside, is the true null rejected.

The engine is called on arrays, as `fit_mmrm` calls it after reading the formula; a test
holds the two against each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from calibration.design import CONF_LEVEL, EFFECT, VISITS, Cell
from calibration.trial import N_VISITS, Trial
from scipy.special import stdtrit

from aibmd.errors import AibmdError
from aibmd.inference import CoefficientInference, build_inference
from aibmd.inference.sandwich import compute_sandwich
from aibmd.model.covariance.build import build_visit_term, parse_covariance
from aibmd.model.covariance.features import RowFeatures, cell_features
from aibmd.model.cross_products import collect_cross_products
from aibmd.model.engine import EngineFit, fit_engine
from aibmd.model.pattern_likelihood import PatternCriterion, residual_moments
from aibmd.model.patterns import VisitPatterns, find_patterns
from aibmd.model.start import StartMoments
from aibmd.model.subject_rows import SubjectRows

_ALPHA = 1.0 - CONF_LEVEL
_CELLS = cell_features(1, 1, N_VISITS)
_DIFFERENCES = np.eye(2 * N_VISITS)[N_VISITS:]
# Difference at the last visit, its change from the first visit, and its linear trend.
LINEAR = np.stack(
    [
        _DIFFERENCES[-1],
        _DIFFERENCES[-1] - _DIFFERENCES[0],
        np.array([-3.0, -1.0, 1.0, 3.0]) @ _DIFFERENCES,
    ]
)
TRUE_VALUES = np.array([EFFECT, 0.0, 0.0])
# Group by visit: the difference is the same at every visit.
INTERACTION = _DIFFERENCES[1:] - _DIFFERENCES[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one method made of one trial.

    Attributes
    ----------
    failed : bool
        No certified maximum, or no degrees of freedom; everything then counts as missed.
    missed : (4,) bool array
        Interval without the truth: difference at the last visit, its change; test that
        rejects a true null: linear trend, group by visit.
    error, se : float
        Difference at the last visit, estimate minus truth, and its standard error; zero where
        failed.
    """

    failed: bool
    missed: np.ndarray
    error: float = 0.0
    se: float = 0.0


_FAILED = Outcome(True, np.ones(4, dtype=bool))


def judge_trial(trial: Trial, cell: Cell) -> list[Outcome]:
    """Fit once and judge every method of the cell."""
    patterns = find_patterns(trial.subject, trial.visit, N_VISITS)
    fit = fit_trial(trial, patterns, cell.fitted)
    if fit is None:
        return [_FAILED] * len(cell.methods)
    return [_judge(trial, patterns, fit, method) for method in cell.methods]


def fit_trial(trial: Trial, patterns: VisitPatterns, structure: str) -> EngineFit | None:
    """The fit by REML, or None unless it is certified and no visit of a group is empty."""
    cross = collect_cross_products(trial.X, trial.y, patterns)
    term = build_visit_term(parse_covariance(structure), VISITS, None, None)
    try:
        fit = fit_engine(
            PatternCriterion(cross, term, _CELLS, "reml"),
            StartMoments(_CELLS, *residual_moments(cross)),
        )
    except AibmdError:
        return None
    is_complete = cross.n_coefficients == trial.X.shape[1]
    return fit if is_complete and fit.certificate.converged else None


def infer(
    trial: Trial, patterns: VisitPatterns, fit: EngineFit, method: str
) -> CoefficientInference:
    """Equip the fit with a method of the study."""
    if not method.startswith("CR"):
        return build_inference(fit, method, "observed")
    sandwich = compute_sandwich(_group_subjects(trial, patterns, fit), fit.at.Phi, method)
    return replace(
        build_inference(fit, "normal", "observed"),
        vcov=fit.least_squares.to_user_vcov(sandwich.vcov),
        vcov_method=method,
        df_method="satterthwaite" if method == "CR2" else "normal",
        sandwich=sandwich,
    )


def _group_subjects(trial: Trial, patterns: VisitPatterns, fit: EngineFit) -> Iterator[SubjectRows]:
    """Subjects of a pattern share their covariance."""
    scale = fit.least_squares
    residual = (trial.y - trial.X @ fit.beta) / scale.scale
    Sigma = fit.criterion.sigma(fit.theta_scaled)
    for seen, rows in zip(patterns.observed, patterns.rows, strict=True):
        V = Sigma[np.ix_(seen, seen)]
        yield SubjectRows(
            rows=rows,
            Q=trial.X[rows] @ scale.basis.transform,
            residual=residual[rows],
            V=np.broadcast_to(V, (len(rows), *V.shape)),
            features=RowFeatures(),
            count=np.ones(len(rows)),
            root_weight=np.ones(rows.shape),
        )


def _judge(trial: Trial, patterns: VisitPatterns, fit: EngineFit, method: str) -> Outcome:
    try:
        inference = infer(trial, patterns, fit, method)
        found = inference.infer(LINEAR)
        joint = inference.test_jointly(INTERACTION)
    except AibmdError:
        return _FAILED
    se = np.sqrt(np.diagonal(found.vcov))
    error = found.estimate - TRUE_VALUES
    # Written as "not inside" so that a NaN anywhere counts as missed.
    inside = np.abs(error) <= -stdtrit(found.df, _ALPHA / 2.0) * se
    kept = joint.p_value > _ALPHA
    return Outcome(False, ~np.append(inside, kept), float(error[0]), float(se[0]))
