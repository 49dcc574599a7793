"""`fit_lmm`: random effects, with or without a residual structure."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.fitting.attempts import Attempt
from aibmd.fitting.caution import warn_about
from aibmd.fitting.columns import check_options, cohort_time, resolve_data
from aibmd.fitting.equal_times import refuse_equal_times
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference import build_inference
from aibmd.inference.options import choose_df_method
from aibmd.model.covariance.build import (
    build_effects_term,
    build_residual_term,
    parse_covariance,
)
from aibmd.model.criteria import subject_criterion
from aibmd.model.design import Design, build_design
from aibmd.model.effects_design import EffectsGrouping, code_effects, parse_random
from aibmd.model.engine import fit_engine
from aibmd.model.features import build_features
from aibmd.model.formula import GuardedFormula, guard_formula
from aibmd.model.identification import refuse_hopeless
from aibmd.model.row_refusals import refuse_repeats
from aibmd.model.rows import AnalysedRows, FurtherColumns
from aibmd.model.spec import ModelSpec
from aibmd.vocabulary import DfMethod, Information, Method, VcovMethod


def fit_lmm(
    formula: str,
    data: "pd.DataFrame | Cohort",
    *,
    subject: str | None = None,
    random: str | Mapping[str, str] = "1 + time",
    random_covariance: str = "full",
    residual: str = "independent",
    residual_group: str | None = None,
    visit: str | None = None,
    time: str | None = None,
    weights: str | None = None,
    method: Method = "reml",
    df_method: DfMethod | None = None,
    vcov: VcovMethod = "model",
    information: Information = "observed",
) -> MixedFit:
    """Fit a linear mixed model: each woman has her own level, slope, or both.

    Answers how a mean changes over continuous time, and how much women differ in it, when
    scans lie at times of their own.

    Parameters
    ----------
    formula : str
        Two-sided, the population's part, for example ``"bmd ~ time * prior_chemotherapy"``.
    data : DataFrame or Cohort
        Long form, one row per scan. A Cohort supplies the subject.
    subject : str
        Column; subjects are independent.
    random : str or mapping
        Right-hand side of the random effects of a subject, or a mapping from grouping to
        right-hand side: ``{"subject_id": "1 + time", "subject_id:skeletal_site": "1"}``.
    random_covariance : {"full", "diagonal"}
        Whether effects of one grouping may be correlated.
    residual : str
        ``"independent"``, or a structure of `fit_mmrm` over `visit`, or ``"sp_exp"`` over
        `time`, beside the random effects.
    residual_group : str, optional
        Column each level of which has residual parameters of its own, such as
        ``skeletal_site`` or ``scanner_id``.
    visit, time : str, optional
        Columns that a residual structure needs.
    weights : str, optional
        Precision weights: a row's residual variance is divided by its weight.
    method, df_method, vcov, information
        As in `fit_mmrm`.

    Returns
    -------
    MixedFit
        With ``random_covariance``, ``residual_variance`` and ``random_effects`` besides.

    Raises
    ------
    FormulaError, RankDeficientError, ConvergenceError, AibmdError
        With what was found, and what to do.

    Warns
    -----
    SingularFitWarning
        A variance of zero or a correlation of one in size: a legitimate maximum, whose
        parameters on the boundary drop out of the degrees of freedom.
    ConvergenceWarning, DataWarning

    Notes
    -----
    V_i = Z_i G Z_i' + R_i, labels (R1) to (R5) and (B1) to (B4) of
    ``docs/methods/random_effects.md``. Conventions of ``aic`` and ``bic`` are those of lme4.

    The result misleads when scans were taken because of what the last one showed, and when
    the spread of the predicted effects is read as the spread between women: they are shrunk.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_lmm("bmd ~ arm * time", hip, random="1 + time")
    >>> list(fit.random_covariance.index)
    ['intercept', 'time']
    """
    # 1. The specification.
    may_repeat = isinstance(random, Mapping) or residual_group is not None
    together = "random={'subject_id': '1 + time', 'subject_id:skeletal_site': '1'}"
    frame, subject, cohort_visit = resolve_data(data, subject, visit, may_repeat, together)
    needs_visit, needs_time = _residual_needs(residual)
    visit = (visit or cohort_visit) if needs_visit else None
    time = cohort_time(data, time) if needs_time else None
    if needs_visit and visit is None:
        raise AibmdError(f"residual={residual!r} needs visit=, the column of scheduled visits")
    if needs_time and time is None:
        raise AibmdError(f"residual={residual!r} needs time=, the column of scan times")
    check_options(frame, visit=visit, time=time, residual_group=residual_group, weights=weights)
    guarded = guard_formula(formula, frame.columns)
    groupings = parse_random(random, random_covariance, guarded.response, subject, frame.columns)
    choose_df_method(df_method, method, vcov)
    spec = ModelSpec(
        formula,
        subject,
        visit,
        residual,
        method,
        df_method,
        information,
        time=time,
        residual_group=residual_group,
        weights=weights,
        vcov=vcov,
        random=random,
        random_covariance=random_covariance,
        residual=residual,
    )
    # 2. The design.
    design = _build(frame, guarded, spec, groupings)
    refuse_hopeless(design.least_squares)
    parts, effects = code_effects(groupings, design.rows)
    levels = design.rows.residual_group
    term = build_effects_term(
        effects,
        build_residual_term(
            residual, design.rows.visits, None if levels is None else levels.labels
        ),
    )
    features = build_features(design.rows, random=parts)
    # 3. The engine, 4. inference.
    engine = fit_engine(*subject_criterion(design, term, features, method))
    inference = build_inference(engine, df_method, information, vcov, design, features)
    certificate = engine.certificate
    attempt = Attempt(residual, certificate.converged, certificate.singular, certificate.messages)
    fit = MixedFit(spec, design, features, engine, inference, None, (attempt,))
    warn_about(fit)
    return fit


def _residual_needs(residual: str) -> tuple[bool, bool]:
    """Whether the residual structure needs visits, and whether it needs times."""
    if residual == "independent":
        return False, False
    is_scheduled = parse_covariance(residual).is_scheduled
    return is_scheduled, not is_scheduled


def _build(
    frame: pd.DataFrame,
    guarded: GuardedFormula,
    spec: ModelSpec,
    groupings: tuple[EffectsGrouping, ...],
) -> Design:
    used = dict.fromkeys(name for grouping in groupings for name in grouping.columns)
    further = FurtherColumns(
        time=spec.time,
        residual_group=spec.residual_group,
        weights=spec.weights,
        effects=tuple(used),
    )
    design = build_design(frame, guarded, spec.subject, spec.visit, further=further, layout="rows")
    if spec.visit is not None:
        names = [spec.subject, spec.visit]
        refuse_repeats(design.rows, frame, _residual_cells(design.rows), names, "subject and visit")
    refuse_equal_times(design.rows, frame, spec)
    return design


def _residual_cells(rows: AnalysedRows) -> np.ndarray:
    """Rows that share errors must not repeat a visit; levels of residual_group share none."""
    if rows.residual_group is None:
        return rows.visit
    return rows.residual_group.codes * len(rows.visits) + rows.visit
