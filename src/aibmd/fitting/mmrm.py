"""`fit_mmrm`: specification, design, engine, inference, in four steps."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from aibmd.cohort import Cohort
from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.attempts import Attempt, describe_attempts
from aibmd.fitting.caution import warn_about, warn_uneven
from aibmd.fitting.columns import check_options, cohort_time, resolve_data
from aibmd.fitting.equal_times import refuse_equal_times
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference import build_inference
from aibmd.inference.options import choose_df_method
from aibmd.model.covariance.build import (
    CovarianceChoice,
    build_visit_term,
    check_choice,
    parse_covariance,
)
from aibmd.model.criteria import pattern_criterion, subject_criterion
from aibmd.model.design import Design, Layout, build_design
from aibmd.model.engine import EngineFit, fit_engine
from aibmd.model.features import build_features
from aibmd.model.formula import guard_formula
from aibmd.model.identification import refuse_constant_visit, refuse_hopeless
from aibmd.model.rows import FurtherColumns
from aibmd.model.spec import ModelSpec
from aibmd.vocabulary import DfMethod, Information, Method, VcovMethod


def fit_mmrm(
    formula: str,
    data: "pd.DataFrame | Cohort",
    *,
    subject: str | None = None,
    visit: str | None = None,
    time: str | None = None,
    covariance: str | Sequence[str] = "un",
    group: str | None = None,
    repeated: str | None = None,
    weights: str | None = None,
    sampling_weights: str | None = None,
    method: Method = "reml",
    df_method: DfMethod | None = None,
    vcov: VcovMethod = "model",
    information: Information = "observed",
) -> MixedFit:
    """Fit a mixed model for repeated measures: correlated visits, any of them missing.

    Answers how a mean changes over visits, by group and covariates, when the visits of one
    subject are correlated and some are missing at random given the observed ones.

    Parameters
    ----------
    formula : str
        Two-sided, for example ``"bmd_pct_change ~ arm * visit + baseline_bmd * visit"``.
        Formulas run no code; see ``docs/methods/formulas.md``.
    data : DataFrame or Cohort
        Long form, one row per subject and visit. A Cohort supplies subject and visit.
    subject, visit : str
        Columns. Visits are ordered by category, else naturally (VIS2 before VIS10).
    covariance : str or sequence of str
        ``un toep toeph ar1 ar1h cs csh ad adh sp_exp``, see
        ``aibmd.model.covariance.STRUCTURES`` for when to choose which; a product such as
        ``"un@ar1"``: levels of `repeated` left of @, visits (or times) right of it. A list is
        a pre-specified path: the next is fitted only where the one before was not certified as
        a maximum, never for a better AIC or p-value; ``fit.attempts`` tells.
    time : str, optional
        Column of times for ``sp_exp``; correlation is ``rho ** distance`` in its unit.
    group : str, optional
        Column, constant within subjects; each level gets covariance parameters of its own.
    repeated : str, optional
        Second repeated factor, such as ``"skeletal_site"``. With ``covariance="un"`` every
        combination with a visit has its own variance and covariances.
    weights : str, optional
        Precision weights: a row's variance is divided by its weight.
    sampling_weights : str, optional
        Weights of subjects (propensity, censoring). They ask for a sandwich, because model-based
        standard errors would take them for data. Scaled to a mean of one.
    method : {"reml", "ml"}
    df_method : str, optional
        ``kenward_roger kenward_roger_second_order satterthwaite between_within residual
        normal``. None means Kenward-Roger for REML, Satterthwaite for ML and for a sandwich.
    vcov : {"model", "CR0", "CR2", "CR3"}
        Model-based, or the cluster-robust sandwich by subject.
    information : {"observed", "expected"}
        Information of the covariance parameters; observed as in mmrm, lmerTest and SAS,
        expected as in pbkrtest.

    Returns
    -------
    MixedFit

    Raises
    ------
    FormulaError, RankDeficientError, ConvergenceError, AibmdError
        With what was found, and what to do.

    Warns
    -----
    ConvergenceWarning, SingularFitWarning, DataWarning

    Notes
    -----
    Model and criterion are (M1) of ``docs/methods/mmrm.md``; Kenward-Roger is the 1997
    formula without its second-derivative term, as SAS ``DDFM=KR(FIRSTORDER)``.

    The result misleads when dropout depends on what was not seen, and when a coefficient
    of an interaction is read as an overall effect: use `aibmd.emmeans` for that.

    Examples
    --------
    >>> import aibmd
    >>> cohort = aibmd.load_cohort("brex")
    >>> scans = cohort.to_frame().query("skeletal_site == 'total_hip'")
    >>> fit = aibmd.fit_mmrm("bmd ~ arm * visit", scans, subject="subject_id", visit="visit")
    >>> fit.converged
    True
    """
    # 1. The specification: what was asked for, refused early where it cannot be had.
    path = _read_path(covariance)
    choices = [parse_covariance(name) for name in path]
    frame, subject, visit = resolve_data(data, subject, visit, may_repeat=repeated is not None)
    time = cohort_time(data, time)
    for choice in choices:
        check_choice(choice, repeated, time)
    has_visits = any(choice.is_scheduled for choice in choices)
    if has_visits and visit is None:
        raise AibmdError("visit= is missing: name the column that holds the visit")
    check_options(
        frame,
        visit=visit,
        group=group,
        repeated=repeated,
        weights=weights,
        sampling_weights=sampling_weights,
    )
    spec = ModelSpec(
        formula,
        subject,
        visit,
        path[0],
        method,
        df_method,
        information,
        time=None if all(choice.is_scheduled for choice in choices) else time,
        group=group,
        repeated=repeated,
        weights=weights,
        sampling_weights=sampling_weights,
        vcov=vcov,
        fallback=path[1:],
    )
    check_options(frame, time=spec.time)
    choose_df_method(df_method, method, vcov, sampling_weights is not None)
    # 2. to 4. for the first covariance that is certified.
    attempts: list[Attempt] = []
    designs: dict[Layout, Design] = {}
    for choice in choices:
        layout: Layout = "cells" if choice.is_scheduled else "rows"
        if layout not in designs:
            designs[layout] = _build(frame, spec, layout)
        try:
            fit = _fit_choice(designs[layout], choice, spec, tuple(attempts))
        except ConvergenceError as failure:
            if len(choices) == 1:
                raise
            attempts.append(Attempt(choice.text, False, True, (str(failure),)))
            continue
        if fit.converged or len(choices) == 1:
            warn_about(fit)
            warn_uneven(fit, data)
            return fit
        attempts.append(fit.attempts[-1])
    raise ConvergenceError(
        "no covariance of the list was certified as a maximum:\n" + describe_attempts(attempts)
    )


def _read_path(covariance: str | Sequence[str]) -> tuple[str, ...]:
    """The covariances to fit, in order."""
    if not isinstance(covariance, str | list | tuple):
        raise AibmdError(f"covariance={covariance!r} is not a name or a list of names")
    path = (covariance,) if isinstance(covariance, str) else tuple(covariance)
    if not path:
        raise AibmdError("covariance= is an empty list; name at least one structure")
    return path


def _build(frame: pd.DataFrame, spec: ModelSpec, layout: Layout) -> Design:
    """The design: complete rows, coded, summed to cross-products."""
    guarded = guard_formula(spec.formula, frame.columns)
    further = FurtherColumns(
        time=spec.time if layout == "rows" else None,
        repeated=spec.repeated,
        group=spec.group,
        weights=spec.weights,
        sampling_weights=spec.sampling_weights,
    )
    design = build_design(frame, guarded, spec.subject, spec.visit, further=further, layout=layout)
    if layout == "rows":
        refuse_equal_times(design.rows, frame, spec)
    return design


def _fit_choice(
    design: Design, choice: CovarianceChoice, spec: ModelSpec, before: tuple[Attempt, ...]
) -> MixedFit:
    """The engine: the maximum of the likelihood, certified; then its inference."""
    rows = design.rows
    refuse_hopeless(design.least_squares)
    term = build_visit_term(
        choice,
        rows.visits,
        None if rows.repeated is None else rows.repeated.labels,
        None if rows.group is None else rows.group.labels,
    )
    features = build_features(rows, choice)
    engine = _run_engine(design, choice, term, features, spec.method)
    certificate = engine.certificate
    attempt = Attempt(
        choice.text, certificate.converged, certificate.singular, certificate.messages
    )
    if not certificate.converged and spec.fallback:
        raise ConvergenceError("; ".join(certificate.messages) or "not certified as a maximum")
    inference = build_inference(
        engine, spec.df_method, spec.information, spec.vcov, design, features
    )
    return MixedFit(spec, design, features, engine, inference, choice, (*before, attempt))


def _run_engine(
    design: Design, choice: CovarianceChoice, term: Any, features: Any, method: Method
) -> EngineFit:
    if not choice.is_scheduled:
        return fit_engine(*subject_criterion(design, term, features, method))
    criterion, start = pattern_criterion(design, term, choice, method)
    if choice.right.has_own_variances and choice.left is None:
        cells = [str(cell) for cell in range(len(start.moments))]
        labels = design.rows.visits if len(cells) == len(design.rows.visits) else tuple(cells)
        refuse_constant_visit(start.moments, start.counts, labels)
    return fit_engine(criterion, start)
