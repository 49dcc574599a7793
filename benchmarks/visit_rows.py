"""`un` over scheduled visits, up to 100,000 subjects."""

import sys

import designs
import numpy as np
from checks import check_engine, check_fit
from designs import BMD_FORMULA, TEN_VISITS_FORMULA
from formulaic import model_matrix
from from_arrays import call_mmrm, code_rows, fit_rows
from judge import judge, visit_blocks
from stopwatch import Row, compared, judged, medians, require

sys.path.insert(0, str(designs.ROOT / "tests" / "oracle"))
import dense
import textbook_covariances

SERIES, FLOOR = "aibmd", "X.T @ X"


def check_the_judge(n_subjects=40):
    """The judge of large data against the tests' dense oracle, on small data."""
    frame = designs.category_frame(designs.make_trial(n_subjects))
    X, y, subject, visit = code_rows(BMD_FORMULA, frame, "subject_id", "visit")
    engine, _ = fit_rows(X, y, subject, visit)
    verdict = judge(visit_blocks(X, y, subject, visit, engine.Sigma))
    V = textbook_covariances.residuals("un", subject, visit)
    at = dense.DenseModel(X, y, V).at(textbook_covariances.theta_of("un", engine.Sigma))
    _, se, df, *_ = dense.satterthwaite(at, np.eye(X.shape[1]))
    se_kr = dense.kenward_roger(at, np.eye(X.shape[1]))[1]
    require("judge's llf", abs(verdict.loglik - at.llf), 1e-8)
    require("judge's SE", np.max(np.abs(verdict.se / se - 1)), 1e-9)
    require("judge's df", np.max(np.abs(verdict.df / df - 1)), 1e-8)
    require("judge's KR SE", np.max(np.abs(verdict.se_kenward_roger / se_kr - 1)), 1e-9)


def trial_rows(n_subjects=372, rounds=41):
    """The size of a trial: engine, whole call, and what Kenward-Roger adds."""
    frame = designs.category_frame(designs.make_trial(n_subjects))
    arrays = code_rows(BMD_FORMULA, frame, "subject_id", "visit")
    verdict = judge(visit_blocks(*arrays, fit_rows(*arrays)[0].Sigma))
    equal = check_engine(*fit_rows(*arrays), verdict)
    equal_kr = check_engine(*fit_rows(*arrays, "kenward_roger"), verdict, adjusted=True)
    equal_call = check_fit(call_mmrm(BMD_FORMULA, frame)[0], verdict)
    check_fit(call_mmrm(BMD_FORMULA, frame, "kenward_roger")[0], verdict, adjusted=True)
    took = medians(
        {
            "matrix": lambda: model_matrix(BMD_FORMULA, frame),
            "engine": lambda: fit_rows(*arrays),
            "engine KR": lambda: fit_rows(*arrays, "kenward_roger"),
            "call": lambda: call_mmrm(BMD_FORMULA, frame),
            "call KR": lambda: call_mmrm(BMD_FORMULA, frame, "kenward_roger"),
        },
        rounds,
    )
    size = f"un, {n_subjects} x 5 visits, 18 columns"
    return [
        Row(f"{size}: formulaic model matrix alone", took["matrix"]),
        judged(f"{size}: engine from arrays, Satterthwaite", took["engine"], 3, "ms", equal=equal),
        compared(f"{size}: whole fit_mmrm call, Satterthwaite", took["call"], took["matrix"],
                 "formulaic model matrix", 2, equal=equal_call, series=SERIES, subjects=n_subjects),
        compared(f"{size}: engine from arrays, Kenward-Roger", took["engine KR"], took["engine"],
                 "engine, Satterthwaite", 2, equal=equal_kr),
        compared(f"{size}: whole fit_mmrm call, Kenward-Roger", took["call KR"], took["call"],
                 "whole call, Satterthwaite", 2, equal=equal_kr),
    ]  # fmt: skip


def ten_visit_rows(n_subjects=1000, rounds=7):
    """55 covariance parameters."""
    frame = designs.ten_visits(n_subjects)
    X, y, subject, visit = code_rows(TEN_VISITS_FORMULA, frame, "subject_id", "visit")
    fit = call_mmrm(TEN_VISITS_FORMULA, frame)[0]
    equal = check_fit(fit, judge(visit_blocks(X, y, subject, visit, fit.engine.Sigma)))
    took = medians({"call": lambda: call_mmrm(TEN_VISITS_FORMULA, frame)}, rounds)
    what = f"un, {n_subjects:,} x 10 visits: whole fit_mmrm call, Satterthwaite"
    return [judged(what, took["call"], 0.15, equal=equal)]


def many_subject_rows(n_subjects=100_000, rounds=7):
    """From data frames against the one product that any program must form."""
    trial = designs.make_trial(n_subjects)
    text, categories = designs.text_frame(trial), designs.category_frame(trial)
    X, y, subject, visit = code_rows(BMD_FORMULA, categories, "subject_id", "visit")
    if X.shape[1] != 18:
        raise ValueError(f"the design has {X.shape[1]} columns, not 18")
    equal = {}
    for name, frame in (("text", text), ("categories", categories)):
        fit = call_mmrm(BMD_FORMULA, frame)[0]
        verdict = judge(visit_blocks(X, y, subject, visit, fit.engine.Sigma), with_df=False)
        equal[name] = check_fit(fit, verdict)
    took = medians(
        {
            "gram": lambda: X.T @ X,
            "categories": lambda: call_mmrm(BMD_FORMULA, categories),
            "text": lambda: call_mmrm(BMD_FORMULA, text),
        },
        rounds,
    )
    size = f"un, {n_subjects:,} x 5 visits"
    return [
        Row(f"{size}: X.T @ X ({len(X):,} x 18)", took["gram"], series=FLOOR,
            subjects=n_subjects),
        compared(f"{size}: whole fit_mmrm call, int64 ids and categories", took["categories"],
                 took["gram"], "X.T @ X", 15, equal=equal["categories"], series=SERIES,
                 subjects=n_subjects),
        compared(f"{size}: the same, ids and factors as text", took["text"], took["gram"],
                 "X.T @ X", equal=equal["text"]),
    ]  # fmt: skip


def between_rows(sizes=(3000, 20_000), rounds=7):
    """Points of the plot between a trial and 100,000 subjects."""
    rows = []
    for n_subjects in sizes:
        frame = designs.category_frame(designs.make_trial(n_subjects))
        took = medians({"call": lambda frame=frame: call_mmrm(BMD_FORMULA, frame)}, rounds)
        arrays = code_rows(BMD_FORMULA, frame, "subject_id", "visit")
        fit = call_mmrm(BMD_FORMULA, frame)[0]
        equal = check_fit(fit, judge(visit_blocks(*arrays, fit.engine.Sigma), with_df=False))
        what = f"un, {n_subjects:,} x 5 visits: whole fit_mmrm call, int64 ids and categories"
        rows.append(Row(what, took["call"], equal=equal, series=SERIES, subjects=n_subjects))
    return rows
