"""Predicted random effects against lme4, dense formulas in R, and the dense oracle."""

import dense
import dense_clusters
import numpy as np
import pandas as pd
import pytest
import stored
import textbook_covariances as tc
from made_trials import fit as fit_marginal
from made_trials import make_trial

import aibmd
from aibmd.errors import AibmdError

# lme4 stops at slightly different covariance parameters; of the largest element.
LME4 = 1e-6
POLISHED = 1e-8
NESTED = {"subject": "1 + time", "subject:site": "1"}
MODELS = [
    ("sleepstudy", "lmer_rs_reml", "reaction ~ days", {"random": "1 + days"}, LME4),
    ("sleepstudy", "lmer_ri_ml", "reaction ~ days", {"random": "1"}, LME4),
    ("sleepstudy", "unbal_lmer_rs_reml", "reaction ~ days", {"random": "1 + days"}, LME4),
    (
        "sleepstudy",
        "lmer_rs_uncorrelated_reml",
        "reaction ~ days",
        {"random": "1 + days", "random_covariance": "diagonal"},
        LME4,
    ),
    ("orthodont", "lmer_rs_reml", "distance ~ age * sex", {"random": "1 + age"}, LME4),
    ("orthodont", "lmer_ri_ml", "distance ~ age * sex", {"random": "1"}, LME4),
    (
        "random_slopes",
        "irregular_rs_weights_reml",
        "bmd ~ arm * time + age",
        {"random": "1 + time", "weights": "repeats"},
        POLISHED,
    ),
    (
        "random_slopes",
        "three_sites_nested_slope_reml",
        "bmd ~ site * time + group",
        {"random": NESTED},
        POLISHED,
    ),
    (
        "residual_structures",
        "ri_sp_exp_weights_reml",
        "hip ~ arm * time + age",
        {"random": "1", "residual": "sp_exp", "time": "time", "weights": "repeats"},
        POLISHED,
    ),
]


def as_lme4_has_it(table, grouping, levels, columns):
    """Rows of one grouping by lme4's label of the level."""
    own = table.loc[grouping] if "grouping" in table.index.names else table
    effects = ["intercept" if name == "(Intercept)" else name for name in np.atleast_1d(columns)]
    keys = own.index.to_frame(index=False).astype(str)
    keys = keys.drop(columns=[name for name in keys if name == "effect"])
    label = keys.apply(lambda row: ":".join(value for value in row if value), axis=1)
    order = pd.Series(range(len(label))).groupby(label.to_numpy()).apply(list)
    rows = [row for level in levels for row in order[str(level)]]
    return own[effects].to_numpy()[rows]


@pytest.mark.parametrize(("file", "key", "formula", "options", "tolerance"), MODELS)
def test_effects_and_their_covariances_are_those_of_r(file, key, formula, options, tolerance):
    model = stored.load_model(file, key)
    found = aibmd.fit_lmm(formula, model.data, subject="subject", method=model.method, **options)
    for grouping, blups in model.numbers["blups"].items():
        levels = blups.get("levels", blups.get("level"))
        want = np.array(blups["values"], dtype=float).reshape(len(levels), -1)
        got = as_lme4_has_it(found.random_effects, grouping, levels, blups["columns"])
        np.testing.assert_allclose(got, want, atol=tolerance * np.abs(want).max(), rtol=0)
        for name, ours in (("cond_cov", "conditional"), ("prediction_cov", "prediction")):
            if blups.get(name) is None:
                continue
            matrices = np.array(blups[name], dtype=float).reshape(-1, want.shape[1])
            table = aibmd.random_effects_covariance(found, ours)
            got = as_lme4_has_it(table, grouping, levels, blups["columns"])
            np.testing.assert_allclose(got, matrices, atol=tolerance * matrices.max(), rtol=0)


@pytest.fixture(scope="module")
def serial():
    """Random slopes beside a serial residual, rows shuffled."""
    table = make_trial(5, 30, 4, gaps=0.1)
    table["time"] = table["visit"].str[1:].astype(float)
    rng = np.random.default_rng(2)
    level, slope = rng.normal(size=(2, 30))
    table["y"] += 2 * level[table["who"]] + slope[table["who"]] * table["time"]
    return table.sample(frac=1.0, random_state=3)


def test_with_a_serial_residual_they_are_those_of_the_dense_oracle(serial):
    found = aibmd.fit_lmm(
        "y ~ arm * time", serial, subject="who", random="1 + time", residual="ar1", visit="visit"
    )
    subject, time = serial["who"].to_numpy(), serial["time"].to_numpy()
    Z = np.column_stack([np.ones(len(time)), time])
    V = tc.mixed([(subject, Z, "full")], tc.residuals("ar1", subject, time.astype(int) - 1))
    X = found.coding.code(found.coding.frame)
    at = dense.DenseModel(X, serial["y"].to_numpy(), V).at(found.engine.theta)
    labels, level = np.unique(subject, return_inverse=True)
    wide = np.zeros((len(time), 2 * len(labels)))
    wide[np.arange(len(time)), 2 * level], wide[np.arange(len(time)), 2 * level + 1] = Z.T
    G = np.kron(np.eye(len(labels)), found.random_covariance.to_numpy())
    effects, conditional, prediction = dense_clusters.predict_random_effects(at, wide, G)
    got = found.random_effects.loc[labels]
    np.testing.assert_allclose(got.to_numpy().ravel(), effects, rtol=1e-9, atol=1e-10)
    for name, want in (("conditional", conditional), ("prediction", prediction)):
        table = aibmd.random_effects_covariance(found, name).loc[labels]
        own = [want[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] for i in range(len(labels))]
        np.testing.assert_allclose(table.to_numpy(), np.vstack(own), rtol=1e-8, atol=1e-10)


def test_unit_of_the_response_multiplies_the_effects(serial):
    options = {"subject": "who", "random": "1 + time"}
    plain = aibmd.fit_lmm("y ~ time", serial, **options).random_effects
    fine = aibmd.fit_lmm("y ~ time", serial.assign(y=1000 * serial["y"]), **options).random_effects
    np.testing.assert_allclose(fine, 1000 * plain, rtol=1e-6, atol=1e-6)


def test_knowing_beta_makes_effects_more_certain(serial):
    found = aibmd.fit_lmm("y ~ arm * time", serial, subject="who", random="1 + time")
    more = aibmd.random_effects_covariance(found, "prediction").to_numpy().reshape(-1, 2, 2)
    less = aibmd.random_effects_covariance(found, "conditional").to_numpy().reshape(-1, 2, 2)
    assert np.linalg.eigvalsh(more - less).min() > -1e-12
    assert (np.trace(more - less, axis1=1, axis2=2) > 1e-4).all()


def test_what_has_no_effects_is_refused(serial):
    marginal = fit_marginal("y ~ visit", serial)
    with pytest.raises(AibmdError, match="no random effects; use fit_lmm"):
        _ = marginal.random_effects
    found = aibmd.fit_lmm("y ~ time", serial, subject="who", random="1")
    with pytest.raises(AibmdError, match="'sd' is not 'prediction' or 'conditional'"):
        aibmd.random_effects_covariance(found, "sd")
