"""The oracle itself is checked against what R packages and R formulas reported."""

from functools import cache

import dense
import dense_clusters
import mmrm_parameters
import numpy as np
import pandas as pd
import peer_models
import pytest
import textbook_covariances as tc
from neighbours import stored, tol

# mmrm differentiates automatically and the oracle by complex steps, five points beyond the
# first; at the same theta and in the same parameters only rounding is left of 1e-10.
SAME_THETA = 1e-9
# Two coordinates are outside what aibmd fits.
LEFT_OUT = {"mmrm_spatial"}
VISIT_MODELS = [
    (dataset, key)
    for dataset in ("orthodont", "fev")
    for key in peer_models.keys(dataset, "mmrm_")
    if key not in LEFT_OUT
]
REML = [pair for pair in VISIT_MODELS if not pair[1].endswith("_ml")]
SANDWICHED = [("fev", "mmrm_us_reml"), ("fev", "mmrm_cs_reml"), ("fev", "mmrm_us_weights")]
DIRECT = [(dataset, code) for dataset in ("fev", "orthodont") for code in ("us", "cs")]
KINDS = ("observed", "expected")
visit_models = pytest.mark.parametrize(("dataset", "key"), VISIT_MODELS)


@cache
def in_mmrm_parameters(dataset, key):
    """The peer's model evaluated at its own theta, in its own parameters."""
    peer = peer_models.visit_model(dataset, key)
    structure, n_groups = peer_models.structure_of(key), 2 if "by_arm" in key else 1
    model = dense.DenseModel(
        peer.model.X,
        peer.model.y,
        lambda t: peer.model.V(mmrm_parameters.our_theta(structure, t, n_groups)),
        peer.model.method,
    )
    return peer, model.at(peer.numbers["theta"])


@visit_models
def test_likelihood_estimates_and_errors_are_those_of_mmrm(dataset, key):
    peer = peer_models.visit_model(dataset, key)
    at = peer.model.at(peer.theta)
    want, _ = peer.tables("Satterthwaite", "Asymptotic")
    L = peer.rows(want["name"])
    assert at.llf == pytest.approx(peer.numbers["loglik"], abs=1e-9)
    np.testing.assert_allclose((L @ at.beta - want["estimate"]) / want["se"], 0, atol=1e-10)
    np.testing.assert_allclose(
        np.sqrt(np.diag(L @ at.Phi @ L.T)), want["se"], rtol=tol.SAME_FORMULA
    )


@visit_models
def test_mmrm_stopped_where_the_score_of_our_parameters_is_nothing(dataset, key):
    peer = peer_models.visit_model(dataset, key)
    at = peer.model.at(peer.theta, "expected")
    score = peer.model.score(peer.theta)
    # Twice the log-likelihood a scoring step would gain.
    assert abs(score @ at.W @ score) < 1e-10


@visit_models
def test_satterthwaite_equals_mmrm_in_its_own_parameters(dataset, key):
    peer, at = in_mmrm_parameters(dataset, key)
    want, tests = peer.tables("Satterthwaite", "Asymptotic")
    _, _, df, *_ = dense.satterthwaite(at, peer.rows(want["name"]))
    scale = np.sqrt(np.outer(np.diag(at.W), np.diag(at.W)))
    np.testing.assert_allclose((at.W - peer.numbers["theta_vcov"]) / scale, 0, atol=SAME_THETA)
    np.testing.assert_allclose(df, want["df"], rtol=SAME_THETA)
    for test in tests:
        *_, F, q, df_joint = dense.satterthwaite(at, peer.hypothesis(test["term"]))
        assert q == test["num_df"]
        assert pytest.approx(test["F"], rel=tol.SAME_FORMULA_F) == F, test["term"]
        assert df_joint == pytest.approx(test["den_df"], rel=tol.SAME_FORMULA_F), test["term"]


@pytest.mark.parametrize("second_order", [False, True], ids=["first", "second"])
@pytest.mark.parametrize(("dataset", "key"), REML)
def test_kenward_roger_equals_mmrm_in_its_own_parameters(dataset, key, second_order):
    peer, at = in_mmrm_parameters(dataset, key)
    vcov = "Kenward-Roger" if second_order else "Kenward-Roger-Linear"
    want, tests = peer.tables("Kenward-Roger", vcov)
    _, se, df, *_ = dense.kenward_roger(at, peer.rows(want["name"]), second_order)
    np.testing.assert_allclose(se, want["se"], rtol=SAME_THETA)
    np.testing.assert_allclose(df, want["df"], rtol=SAME_THETA)
    for test in tests:
        *_, F, df, _ = dense.kenward_roger(at, peer.hypothesis(test["term"]), second_order)
        assert pytest.approx(test["F"], rel=tol.SAME_FORMULA_F) == F, test["term"]
        assert df == pytest.approx(test["den_df"], rel=tol.SAME_FORMULA_F), test["term"]


@pytest.mark.parametrize(("dataset", "key"), [p for p in REML if p[0] == "orthodont"])
def test_first_order_inference_in_our_parameters_equals_mmrm(dataset, key):
    peer = peer_models.visit_model(dataset, key)
    at = peer.model.at(peer.theta)
    want, _ = peer.tables("Kenward-Roger", "Kenward-Roger-Linear")
    _, se, df, *_ = dense.kenward_roger(at, peer.rows(want["name"]))
    np.testing.assert_allclose(se, want["se"], rtol=tol.PEER_SE)
    np.testing.assert_allclose(df, want["df"], rtol=tol.PEER_DF)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("CR0", "Empirical"), ("CR2", "Empirical-Bias-Reduced"), ("CR3", "Empirical-Jackknife")],
)
@pytest.mark.parametrize(("dataset", "key"), SANDWICHED)
def test_sandwich_and_its_df_equal_mmrm(dataset, key, kind, name):
    peer = peer_models.visit_model(dataset, key)
    at = peer.model.at(peer.theta)
    want, _ = peer.tables("Satterthwaite", name)
    L = peer.rows(want["name"])
    U = dense_clusters.sandwich(at, peer.subject, kind)
    df = dense_clusters.bell_mccaffrey_df(at, peer.subject, kind, L)
    np.testing.assert_allclose(np.sqrt(np.diag(L @ U @ L.T)), want["se"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(df, want["df"], rtol=tol.SAME_FORMULA)


def direct(dataset, code, kind):
    """R's own evaluation of the formulas, at the covariance it names."""
    numbers = stored.load(dataset)["models"][f"direct_{code}"]
    peer = peer_models.visit_model(dataset, f"mmrm_{code}_reml")
    theta = tc.theta_of(peer_models.structure_of(f"mmrm_{code}_reml"), numbers["cov"])
    return peer, peer.model.at(theta, kind), numbers["by_information"][kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dataset", "code"), DIRECT)
def test_df_and_adjusted_se_equal_the_stored_direct_formulas(dataset, code, kind):
    peer, at, block = direct(dataset, code, kind)
    want = pd.DataFrame(block["coefficients"])
    L = peer.rows(want["name"])
    _, se, df, *_ = dense.satterthwaite(at, L)
    _, se_kr, df_kr, *_ = dense.kenward_roger(at, L)
    np.testing.assert_allclose(se, want["se_model"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(df, want["df_satterthwaite"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(se_kr, want["se_kr"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(df_kr, want["df_kr"], rtol=tol.SAME_FORMULA)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dataset", "code"), DIRECT)
def test_kenward_roger_f_equals_the_stored_direct_formula(dataset, code, kind):
    peer, at, block = direct(dataset, code, kind)
    for want in block["type3_kr"]:
        *_, F, df, scale = dense.kenward_roger(at, peer.hypothesis(want["term"]))
        assert pytest.approx(want["F"], rel=tol.SAME_FORMULA_F) == F, want["term"]
        assert df == pytest.approx(want["den_df"], rel=tol.SAME_FORMULA_F), want["term"]
        assert scale == pytest.approx(want["F_scaling"], rel=tol.SAME_FORMULA_F), want["term"]
