"""The likelihood of a made-up trial in each of its forms, without a fit."""

import made_trials
import numpy as np

from aibmd.model.covariance.build import build_visit_term, parse_covariance
from aibmd.model.criteria import order_by_subject, pattern_criterion, subject_criterion
from aibmd.model.design import build_design
from aibmd.model.engine import fit_engine
from aibmd.model.features import build_features
from aibmd.model.formula import guard_formula
from aibmd.model.rows import NOTHING_FURTHER
from aibmd.model.subject_likelihood import SubjectCriterion, make_blocks


def make_sites(seed=1, n_subjects=25, n_visits=3, gaps=0.15):
    """Two sites a subject, times that are not whole, precision and sampling weights."""
    table = made_trials.make_trial(seed, 2 * n_subjects, n_visits, gaps)
    rng = np.random.default_rng(seed)
    table["site"] = np.where(table["who"] % 2 == 0, "hip", "spine")
    table["who"] //= 2
    own = np.random.default_rng(seed + 1).normal(size=n_subjects)
    table["y"] += own[table["who"]]
    table["arm"] = np.where(table["who"] % 3 == 0, "a", "b")
    table["time"] = table["visit"].str[1:].astype(float) + rng.uniform(0, 0.6, len(table))
    table["w"] = rng.uniform(0.5, 2.0, len(table))
    table["s"] = rng.uniform(0.5, 2.0, n_subjects)[table["who"]]
    return table


def make_design(table, formula, layout="cells", further=NOTHING_FURTHER):
    guarded = guard_formula(formula, table.columns)
    return build_design(table, guarded, "who", "visit", further=further, layout=layout)


def make_term(rows, covariance):
    return build_visit_term(
        parse_covariance(covariance),
        rows.visits,
        None if rows.repeated is None else rows.repeated.labels,
        None if rows.group is None else rows.group.labels,
    )


def by_pattern(table, formula, covariance, method="reml", further=NOTHING_FURTHER):
    """Criterion from cross-products, and its start."""
    design = make_design(table, formula, "cells", further)
    term = make_term(design.rows, covariance)
    return pattern_criterion(design, term, parse_covariance(covariance), method)


def by_subject(table, formula, covariance, method="reml", further=NOTHING_FURTHER):
    """Criterion from the rows of each subject, and its start."""
    design = make_design(table, formula, "rows", further)
    features = build_features(design.rows, parse_covariance(covariance))
    return subject_criterion(design, make_term(design.rows, covariance), features, method)


def effects_by_subject(design, term, parts, method="reml"):
    """Random effects with the full V_i of each subject, whatever the residual."""
    rows = design.rows
    features = build_features(rows, random=parts)
    if rows.weights is not None:
        features = features.scale_random(np.sqrt(rows.weights))
    blocks = order_by_subject(rows.subject).blocks
    made = make_blocks(design.Z, features, blocks, rows.sampling_weights)
    return SubjectCriterion(design.least_squares, made, term, method)


def run_engine(table, formula, covariance="un", method="reml"):
    """Design and engine fit of scheduled visits."""
    design = make_design(table, formula)
    term = make_term(design.rows, covariance)
    made = pattern_criterion(design, term, parse_covariance(covariance), method)
    return design, fit_engine(*made)
