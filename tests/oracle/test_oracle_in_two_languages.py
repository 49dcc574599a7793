"""The oracle in Python against tests/reference/scripts/dense.R: two texts of one set of formulas.

Both evaluate in the parameters of tests/reference/README.md, at the theta that R polished, so
second-order Kenward-Roger and both kinds of information are pinned in aibmd's own parameters.
"""

from functools import cache

import dense
import dense_clusters
import numpy as np
import pandas as pd
import peer_models
import pytest
from neighbours import stored, tol

# Second derivatives are Richardson differences on both sides.
SAME_CURVATURE = 1e-8
LEFT_OUT = {"spatial"}  # two coordinates are outside what aibmd fits
MODELS = [
    (dataset, key)
    for dataset in ("orthodont", "fev")
    for key in stored.load(f"{dataset}_dense")["models"]
    if key not in LEFT_OUT
]
KINDS = ("observed", "expected")
models = pytest.mark.parametrize(("dataset", "key"), MODELS)


@cache
def written_in_r(dataset, key):
    """The rows, the dense model at R's theta, and R's numbers."""
    peer = peer_models.visit_model(dataset, f"mmrm_{key}")
    numbers = stored.load(f"{dataset}_dense")["models"][key]
    return peer, peer.model.at(numbers["theta"]), numbers


def blocks(numbers, df_method, vcov_methods):
    """(vcov_method, information, coefficients, type III tests) of one df method."""
    for block in numbers["inference"]:
        if block["df_method"] == df_method and block["vcov_method"] in vcov_methods:
            table = pd.DataFrame(block["coefficients"])
            yield block["vcov_method"], block["information"], table, block.get("type3", [])


@models
def test_likelihood_estimates_and_both_kinds_of_information_agree(dataset, key):
    peer, at, numbers = written_in_r(dataset, key)
    L = peer.rows(numbers["names"])
    se = np.sqrt(np.diag(L @ at.Phi @ L.T))
    assert at.llf == pytest.approx(numbers["loglik"], abs=1e-9)
    np.testing.assert_allclose((L @ at.beta - numbers["beta"]) / se, 0, atol=1e-9)
    scale = np.sqrt(np.outer(np.diag(at.expected), np.diag(at.expected)))
    for kind in KINDS:
        want = np.array(numbers[f"theta_information_{kind}"])
        np.testing.assert_allclose((getattr(at, kind) - want) / scale, 0, atol=SAME_CURVATURE)


@models
def test_satterthwaite_agrees_in_our_parameters(dataset, key):
    peer, here, numbers = written_in_r(dataset, key)
    for _, kind, want, tests in blocks(numbers, "satterthwaite", {"model"}):
        at = here.using(kind)
        _, se, df, *_ = dense.satterthwaite(at, peer.rows(want["name"]))
        np.testing.assert_allclose(se, want["se"], rtol=tol.SAME_FORMULA)
        np.testing.assert_allclose(df, want["df"], rtol=SAME_CURVATURE)
        for test in tests:
            *_, F, _, df_joint = dense.satterthwaite(at, peer.hypothesis(test["term"]))
            assert pytest.approx(test["F"], rel=tol.SAME_FORMULA_F) == F, test["term"]
            assert df_joint == pytest.approx(test["den_df"], rel=SAME_CURVATURE), test["term"]


@pytest.mark.parametrize(("dataset", "key"), [p for p in MODELS if not p[1].endswith("_ml")])
def test_first_and_second_order_kenward_roger_agree_in_our_parameters(dataset, key):
    peer, here, numbers = written_in_r(dataset, key)
    orders = {"kenward_roger": False, "kenward_roger_second": True}
    for order, kind, want, tests in blocks(numbers, "kenward_roger", orders):
        at = here.using(kind)
        L = peer.rows(want["name"])
        _, se, df, *_ = dense.kenward_roger(at, L, orders[order])
        np.testing.assert_allclose(se, want["se"], rtol=SAME_CURVATURE)
        np.testing.assert_allclose(df, want["df"], rtol=SAME_CURVATURE)
        for test in tests:
            *_, F, df, _ = dense.kenward_roger(at, peer.hypothesis(test["term"]), orders[order])
            assert pytest.approx(test["F"], rel=tol.SAME_FORMULA_F) == F, test["term"]
            assert df == pytest.approx(test["den_df"], rel=SAME_CURVATURE), test["term"]


@models
def test_sandwiches_agree(dataset, key):
    peer, at, numbers = written_in_r(dataset, key)
    kinds = {"CR0", "CR2", "CR3"}
    for kind, _, want, _ in blocks(numbers, "satterthwaite", kinds):
        L = peer.rows(want["name"])
        U = dense_clusters.sandwich(at, peer.subject, kind)
        df = dense_clusters.bell_mccaffrey_df(at, peer.subject, kind, L)
        np.testing.assert_allclose(np.sqrt(np.diag(L @ U @ L.T)), want["se"], rtol=1e-9)
        np.testing.assert_allclose(df, want["df"], rtol=1e-9)
