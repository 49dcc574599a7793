"""`fit_mmrm`: specification, design, engine, inference, in four steps."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from aibmd.cohort import Cohort
from aibmd.errors import AibmdError, ConvergenceWarning, DataWarning, SingularFitWarning
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference import build_inference
from aibmd.inference.coefficients import choose_df_method
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import Coding
from aibmd.model.covariance import get_structure
from aibmd.model.design import build_design
from aibmd.model.engine import EngineFit, fit_engine
from aibmd.model.formula import guard_formula
from aibmd.model.spec import ModelSpec
from aibmd.vocabulary import SUBJECT, VISIT, DfMethod, Information, Method


def fit_mmrm(
    formula: str,
    data: "pd.DataFrame | Cohort",
    *,
    subject: str | None = None,
    visit: str | None = None,
    time: str | None = None,
    covariance: str = "un",
    group: str | None = None,
    repeated: str | None = None,
    weights: str | None = None,
    sampling_weights: str | None = None,
    method: Method = "reml",
    df_method: DfMethod | None = None,
    vcov: str = "model",
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
    covariance : {"un", "cs"}
        Visit covariance, see ``aibmd.model.covariance.STRUCTURES``.
    method : {"reml", "ml"}
    df_method : {"kenward_roger", "satterthwaite", "residual", "normal"}, optional
        None means Kenward-Roger for REML and Satterthwaite for ML.
    information : {"observed", "expected"}
        Information of the covariance parameters; observed as in mmrm, lmerTest and SAS,
        expected as in pbkrtest.
    time, group, repeated, weights, sampling_weights, vcov
        Reserved; values other than the default are refused for now.

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
    _refuse_reserved(time, group, repeated, weights, sampling_weights, vcov)
    frame, subject, visit = _resolve_data(data, subject, visit)
    spec = ModelSpec(formula, subject, visit, covariance, method, df_method, information)
    structure = get_structure(covariance)
    choose_df_method(df_method, method)
    guarded = guard_formula(formula, frame.columns)
    # 2. The design: complete rows, coded, summed to cross-products.
    design = build_design(frame, guarded, subject, visit)
    # 3. The engine: the maximum of the likelihood, certified.
    engine = fit_engine(design.cross, structure, design.rows.visits, method)
    # 4. Inference for any linear function of the coefficients.
    inference = build_inference(engine, df_method, information)
    _warn(engine, design.coding, design.rows.visits)
    return MixedFit(spec, design, engine, inference)


def _refuse_reserved(
    time: Any, group: Any, repeated: Any, weights: Any, sampling_weights: Any, vcov: str
) -> None:
    reserved = {
        "time": time,
        "group": group,
        "repeated": repeated,
        "weights": weights,
        "sampling_weights": sampling_weights,
        "vcov": None if vcov == "model" else vcov,
    }
    for name, value in reserved.items():
        if value is not None:
            raise AibmdError(f"{name}={value!r}: this version fits without {name}; leave it out")


def _resolve_data(
    data: "pd.DataFrame | Cohort", subject: str | None, visit: str | None
) -> tuple[pd.DataFrame, Any, Any]:
    """A table and its subject and visit columns."""
    if isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, Cohort):
        _refuse_several_sites(data)
        frame, subject, visit = data.to_frame(), subject or SUBJECT, visit or VISIT
    else:
        raise AibmdError(f"data is a {type(data).__name__}; give a DataFrame or a Cohort")
    for role, name in (("subject", subject), ("visit", visit)):
        if name is None:
            raise AibmdError(f"{role}= is missing: name the column that holds the {role}")
        if name not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise AibmdError(f"{role}={name!r} is not a column; the columns are {known}")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise AibmdError(f"two columns are called {twice!r}; rename one")
    if not len(frame):
        raise AibmdError("the table has no rows")
    return frame, subject, visit


def _refuse_several_sites(cohort: Cohort) -> None:
    sites = cohort.skeletal_sites
    if len(sites) > 1:
        raise AibmdError(
            f"the cohort has {len(sites)} skeletal sites ({', '.join(sites)}) and one model takes "
            "one: fit each on its own, for example "
            f"fit_mmrm(formula, cohort.select(skeletal_site={sites[0]!r})), and adjust over sites"
        )


def _warn(engine: EngineFit, coding: Coding, visits: tuple[str, ...]) -> None:
    certificate, dropped = engine.certificate, coding.dropped_columns
    if certificate.singular:
        warnings.warn(
            "the covariance is singular: " + "; ".join(certificate.messages),
            SingularFitWarning,
            stacklevel=3,
        )
    elif not certificate.converged:
        warnings.warn(
            "not certified as a maximum: " + "; ".join(certificate.messages),
            ConvergenceWarning,
            stacklevel=3,
        )
    if dropped:
        warnings.warn(
            f"columns that repeat earlier ones were dropped: {', '.join(dropped)}",
            DataWarning,
            stacklevel=3,
        )
    for name in (name for name, levels in coding.levels.items() if len(levels) == 1):
        warnings.warn(
            f"factor {name!r} has one level in the rows used ({coding.levels[name][0]}); its terms "
            "add nothing to the model",
            DataWarning,
            stacklevel=3,
        )
    _warn_undetermined(engine.Sigma, visits)


def _warn_undetermined(Sigma: FloatArray, visits: tuple[str, ...]) -> None:
    pairs = zip(*np.nonzero(np.triu(np.isnan(Sigma))), strict=True)
    unseen = [f"{visits[j]} with {visits[k]}" for j, k in pairs]
    if unseen:
        warnings.warn(
            f"no subject has both visits of: {', '.join(unseen)}; their covariance is not "
            "estimated, and nothing printed depends on it",
            DataWarning,
            stacklevel=4,
        )
