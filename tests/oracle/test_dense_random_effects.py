"""Random effects in the oracle: against lme4 and its companions, and Henderson's equations."""

import dense
import dense_clusters
import numpy as np
import peer_models
import pytest
import textbook_covariances as tc
from neighbours import tol
from small_designs import make_model, make_rows

# Optimisers stop within this of twice the log-likelihood's top.
NOTHING_TO_GAIN = 1e-7
LME4 = [
    (dataset, key)
    for dataset in ("orthodont", "sleepstudy")
    for key in [
        *peer_models.keys(dataset, "lmer_"),
        *peer_models.keys(dataset, "unbal_lmer_"),
    ]
]
# REML only: a likelihood to compare, and standard errors without nlme's ML factor.
NLME = [("sleepstudy", "lme_ri_ar1_reml"), ("sleepstudy", "lme_rs_ar1_reml")]
PREDICTED = [pair for pair in LME4 if "visit" not in pair[1]]
lme4_models = pytest.mark.parametrize(("dataset", "key"), LME4)


@pytest.mark.parametrize(("dataset", "key"), LME4 + NLME)
def test_the_likelihood_is_the_one_reported(dataset, key):
    peer = peer_models.random_effects_model(dataset, key)
    assert peer.model.loglik(peer.theta) == pytest.approx(peer.numbers["loglik"], abs=1e-9)


@pytest.mark.parametrize(("dataset", "key"), NLME)
def test_estimates_and_errors_with_autoregressive_residuals_are_those_of_nlme(dataset, key):
    peer = peer_models.random_effects_model(dataset, key)
    at = peer.model.at(peer.theta)
    for row, want in zip(np.eye(2), peer.numbers["coefficients"], strict=True):
        assert row @ at.beta == pytest.approx(want["estimate"], rel=1e-9)
        assert np.sqrt(row @ at.Phi @ row) == pytest.approx(want["se"], rel=1e-9)


@lme4_models
def test_lme4_stopped_where_the_score_is_nothing(dataset, key):
    peer = peer_models.random_effects_model(dataset, key)
    at = peer.model.at(peer.theta, "expected")
    score = peer.model.score(peer.theta)
    assert abs(score @ at.W @ score) < NOTHING_TO_GAIN


@lme4_models
def test_satterthwaite_with_observed_information_is_that_of_lmertest(dataset, key):
    peer = peer_models.random_effects_model(dataset, key)
    want, _ = peer.tables("Satterthwaite")
    estimate, se, df, *_ = dense.satterthwaite(peer.model.at(peer.theta), peer.rows(want["name"]))
    np.testing.assert_allclose((estimate - want["estimate"]) / want["se"], 0, atol=1e-9)
    np.testing.assert_allclose(se, want["se"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(df, want["df"], rtol=tol.PEER_DF)


@pytest.mark.parametrize(("dataset", "key"), [pair for pair in LME4 if "_ml" not in pair[1]])
def test_kenward_roger_with_expected_information_is_that_of_pbkrtest(dataset, key):
    peer = peer_models.random_effects_model(dataset, key)
    at = peer.model.at(peer.theta, "expected")
    want, tests = peer.tables("Kenward-Roger")
    _, se, df, *_ = dense.kenward_roger(at, peer.rows(want["name"]))
    np.testing.assert_allclose(se, want["se"], rtol=1e-8)
    np.testing.assert_allclose(df, want["df"], rtol=1e-7)
    for test in tests:
        *_, F, df, scale = dense.kenward_roger(at, peer.hypothesis(test["term"]))
        assert pytest.approx(test["F"], rel=1e-7) == F, test["term"]
        assert df == pytest.approx(test["den_df"], rel=1e-7), test["term"]
        assert scale == pytest.approx(test["F_scaling"], rel=1e-7), test["term"]


@pytest.mark.parametrize(("dataset", "key"), PREDICTED)
def test_predicted_random_effects_are_those_of_lme4(dataset, key):
    peer = peer_models.random_effects_model(dataset, key)
    Z, G = tc.stack_terms(peer.terms, peer.theta)
    b, given_beta, _ = dense_clusters.predict_random_effects(peer.model.at(peer.theta), Z, G)
    stored = peer.numbers["blups"]["subject"]
    want = np.array(stored["values"], dtype=float).ravel()
    np.testing.assert_allclose(b, want, rtol=0, atol=1e-8 * np.max(np.abs(want)))
    if stored["cond_cov"] is not None:
        q = len(b) // len(stored["level"])
        blocks = np.array(stored["cond_cov"], dtype=float).reshape(-1, q, q)
        for level, block in enumerate(blocks):
            mine = given_beta[level * q : level * q + q, level * q : level * q + q]
            np.testing.assert_allclose(mine, block, rtol=1e-8)


@pytest.mark.parametrize("shape", ["full", "diagonal"])
def test_prediction_and_its_error_solve_hendersons_equations(shape):
    """[X'R^-1X, X'R^-1Z; Z'R^-1X, Z'R^-1Z + G^-1]: solution and inverse, with AR(1) residuals."""
    rows = make_rows(7, 9, 1, 4)
    slope = np.column_stack([np.ones(len(rows.time)), rows.time])
    terms = [(rows.subject, slope, shape)]
    R = tc.residuals("ar1", rows.subject, rows.visit)
    G_theta = [0.9, -0.2, 0.3] if shape == "full" else [0.9, 0.3]
    theta = np.array([*G_theta, 1.2, 0.3])
    model = make_model(rows, tc.mixed(terms, R), theta)
    at = model.at(theta)
    Z, G = tc.stack_terms(terms, theta)
    W, R_inverse = np.hstack([model.X, Z]), np.linalg.inv(R(theta[-2:]))
    coefficients = W.T @ R_inverse @ W
    p = model.X.shape[1]
    coefficients[p:, p:] += np.linalg.inv(G)
    solution = np.linalg.solve(coefficients, W.T @ R_inverse @ model.y)
    inverse = np.linalg.inv(coefficients)

    b, given_beta, error = dense_clusters.predict_random_effects(at, Z, G)
    np.testing.assert_allclose(np.append(at.beta, b), solution, atol=1e-10)
    np.testing.assert_allclose(at.Phi, inverse[:p, :p], rtol=1e-9)
    np.testing.assert_allclose(error, inverse[p:, p:], atol=1e-10)
    np.testing.assert_allclose(given_beta, np.linalg.inv(coefficients[p:, p:]), atol=1e-10)
