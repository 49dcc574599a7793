"""The engine without formulas or data frames, and the whole call with all it prints."""

import numpy as np
import pandas as pd
from designs import SLOPE_FORMULA
from formulaic import model_matrix

import aibmd
from aibmd.inference import build_inference
from aibmd.model.covariance.build import build_visit_term, parse_covariance
from aibmd.model.covariance.features import cell_features
from aibmd.model.cross_products import collect_cross_products
from aibmd.model.engine import fit_engine
from aibmd.model.pattern_likelihood import PatternCriterion, residual_moments
from aibmd.model.patterns import find_patterns
from aibmd.model.start import StartMoments
from aibmd.model.subject_coding import SubjectCoding
from aibmd.model.wide_products import collect_from_wide


def code_rows(formula, data, subject, visit):
    """X, y, subject and visit codes of the complete rows, by formulaic and pandas alone."""
    y, X = model_matrix(formula, data)
    rows = data.loc[X.index]
    return (
        np.ascontiguousarray(X, dtype=float),
        np.ravel(y).astype(float),
        pd.factorize(rows[subject])[0],
        pd.Categorical(rows[visit]).codes.astype(int),
    )


def fit_rows(X, y, subject, visit, df_method="satterthwaite"):
    """Design arrays in long form -> engine and inference of every coefficient, `un`."""
    m = int(visit.max()) + 1
    cross = collect_cross_products(X, y, find_patterns(subject, visit, m))
    return _finish(cross, m, df_method)


def fit_subjects(B, C, part, Y, df_method="satterthwaite"):
    """Subject-by-visit outcomes Y (n, m), NaN where missing; X = B[visit] * C[subject, part]."""
    seen = ~np.isnan(Y)
    columns = tuple(f"x{i}" for i in range(len(part)))
    coding = SubjectCoding(columns, None, B, C, part)
    cross = collect_from_wide(coding, np.where(seen, Y, 0.0), seen)
    if cross is None:
        raise ValueError("the columns of the benchmark's design are too nearly dependent")
    return _finish(cross, Y.shape[1], df_method)


def _finish(cross, m, df_method):
    cells = cell_features(1, 1, m)
    term = build_visit_term(parse_covariance("un"), tuple(map(str, range(m))), None, None)
    criterion = PatternCriterion(cross, term, cells, "reml")
    engine = fit_engine(criterion, StartMoments(cells, *residual_moments(cross)))
    p = cross.n_coefficients
    return engine, build_inference(engine, df_method, "observed").infer(np.eye(p))


def call_mmrm(formula, data, df_method="satterthwaite", covariance="un"):
    """A whole call: fit, standard errors, degrees of freedom and p-values."""
    fit = aibmd.fit_mmrm(
        formula,
        data,
        subject="subject_id",
        visit="visit",
        covariance=covariance,
        df_method=df_method,
    )
    return fit, fit.bse, fit.df, fit.pvalues


def call_slopes(data):
    """A whole call: random intercept and slope, with Satterthwaite degrees of freedom."""
    fit = aibmd.fit_lmm(
        SLOPE_FORMULA, data, subject="id", random="1 + t", df_method="satterthwaite"
    )
    return fit, fit.bse, fit.df, fit.pvalues
