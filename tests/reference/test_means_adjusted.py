"""Adjustments, slopes and averages over people against R emmeans, mvtnorm and lm.

Numbers: scripts/means_adjusted.R. Least squares have one df and no iteration, so what is compared
there is the adjustment; the random intercept brings a df to each contrast.
"""

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import stored
import tolerances as tol
from means_least_squares import fit_by_least_squares, read_fev

import aibmd
from aibmd.inference.largest_t import build_multivariate_t

PEER = stored.load("means_adjusted")
CASES, TRENDS, AVERAGES = PEER["cases"], PEER["trends"], PEER["averages"]
# p-values of ptukey and of the largest t are integrals; R documents no bound, both agree to this.
TUKEY_P = 1e-8
# qtukey stops when its steps are below 1e-4, on the scale of sqrt(2) t.
TUKEY_QUANTILE = 1e-4
# Ours are good to 1e-5; mvtnorm states its own error beside each number.
MVT_P = 1e-5
MVT_QUANTILE = 1e-4
# The formula of emmeans for dunnettx is an approximation; so is its own mvt at default accuracy.
DUNNETTX_P = 0.02
EMMEANS_MVT_P = 2e-3
OURS = {"BH": "bh", "dunnettx": "dunnett"}
families = pytest.mark.parametrize("name", CASES)


def read(name):
    fev = read_fev()
    return fev.assign(time=fev["avisit"].astype(str).str[3:].astype(float))


@cache
def fit(data, formula, kind):
    formula = formula.replace("^", "**").replace("c(35, 45)", "[35, 45]")
    if kind == "lm":
        return fit_by_least_squares(formula, read(data))
    return aibmd.fit_mmrm(
        formula, read(data), subject="usubjid", visit="avisit", covariance="cs",
        df_method="satterthwaite",
    )  # fmt: skip


def listed(value):
    return [value] if isinstance(value, str) else list(value)


def contrasts(name, adjust, method=None):
    case = CASES[name]
    means = aibmd.emmeans(
        fit(case["data"], case["formula"], case["kind"]), listed(case["over"]),
        listed(case["by"]) or None, weights=case["weights"],
    )  # fmt: skip
    return aibmd.contrast(means, case["method"], adjust=adjust, family=case["family"])


def quantile(table):
    return (table["conf_high"] - table["estimate"]) / table["std_error"]


def plain(labels):
    return [re.sub(r"[()]", "", str(label)) for label in labels]


@families
def test_the_contrasts_before_adjustment(name):
    want = pd.DataFrame(CASES[name]["unadjusted"])
    got = contrasts(name, "none").to_frame()
    is_lm = CASES[name]["kind"] == "lm"
    assert plain(got["contrast"]) == plain(want["contrast"])
    far = np.abs(got["estimate"] - want["estimate"]) / want["std_error"]
    assert far.max() <= (1e-9 if is_lm else tol.PEER_ESTIMATE_IN_SE)
    for column, limit in (("std_error", tol.PEER_SE), ("df", tol.PEER_DF)):
        np.testing.assert_allclose(got[column], want[column], rtol=1e-9 if is_lm else limit)


STEPWISE = [
    (name, adjust)
    for name, case in CASES.items()
    for adjust in ("bonferroni", "holm", "BH")
    if adjust in case["adjusted"]
]


@pytest.mark.parametrize(("name", "adjust"), STEPWISE)
def test_stepwise_adjustments(name, adjust):
    want = pd.DataFrame(CASES[name]["adjusted"][adjust])
    got = contrasts(name, OURS.get(adjust, adjust)).to_frame()
    rtol = 1e-6 if CASES[name]["kind"] == "lm" else tol.PEER_P_VALUE
    np.testing.assert_allclose(got["p_value"], want["p_value"], rtol=rtol, atol=1e-12)
    if adjust == "bonferroni":
        np.testing.assert_allclose(quantile(got), quantile(want), rtol=1e-7)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if "tukey" in c["adjusted"]])
def test_tukey(name):
    want = pd.DataFrame(CASES[name]["adjusted"]["tukey"])
    got = contrasts(name, "tukey").to_frame()
    loose = 1.0 if CASES[name]["kind"] == "lm" else 100.0
    np.testing.assert_allclose(got["p_value"], want["p_value"], atol=loose * TUKEY_P)
    np.testing.assert_allclose(quantile(got), quantile(want), atol=TUKEY_QUANTILE)


@families
def test_multivariate_t_is_the_exact_one_of_mvtnorm(name):
    """At the whole df that mvtnorm allows; the correlation and the t are those of our fit."""
    case, found = CASES[name], contrasts(name, "mvt")
    table, vcov, family = found.to_frame(), found.vcov(), found.family
    limit = MVT_P + case["exact"]["error"]
    for row, whole in enumerate(np.atleast_1d(case["exact"]["whole_df"])):
        rows = np.flatnonzero(family == family[row])
        V = vcov[np.ix_(rows, rows)]
        joint = build_multivariate_t(V / np.sqrt(np.outer(np.diagonal(V), np.diagonal(V))))
        got = joint.compute_tail(abs(table["statistic"][row]), whole)
        assert got == pytest.approx(case["exact"]["p_value"][row], abs=limit)
        if row == 0:
            want = case["exact"]["quantile_first"][0]
            assert joint.find_quantile(0.95, whole) == pytest.approx(want, abs=MVT_QUANTILE)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c["kind"] == "lm"])
def test_p_values_and_limits_of_the_table_are_the_exact_ones(name):
    got = contrasts(name, "mvt").to_frame()
    exact = CASES[name]["exact"]
    limit = MVT_P + exact["error"]
    np.testing.assert_allclose(got["p_value"], exact["p_value"], atol=limit)
    assert quantile(got)[0] == pytest.approx(exact["quantile_first"][0], abs=MVT_QUANTILE)


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if "dunnettx" in c["adjusted"]])
def test_dunnett_is_near_the_approximation_of_emmeans_and_nearer_to_mvtnorm(name):
    case = CASES[name]
    got = contrasts(name, "dunnett").to_frame()["p_value"]
    approximate = pd.DataFrame(case["adjusted"]["dunnettx"])["p_value"]
    emmeans_mvt = pd.DataFrame(case["adjusted"]["mvt"])["p_value"]
    np.testing.assert_allclose(got, approximate, atol=DUNNETTX_P)
    np.testing.assert_allclose(got, emmeans_mvt, atol=EMMEANS_MVT_P)
    if case["kind"] == "lm":
        limit = MVT_P + case["exact"]["error"]
        np.testing.assert_allclose(got, case["exact"]["p_value"], atol=limit)


@pytest.mark.parametrize("name", TRENDS)
def test_slopes(name):
    case = TRENDS[name]
    found = aibmd.emtrends(
        fit(case["data"], case["formula"], case["kind"]), case["var"], listed(case["over"]),
        listed(case["by"]) or None, at=case.get("at") or None, weights=case["weights"],
    )  # fmt: skip
    compare_slopes(case, found.to_frame(), pd.DataFrame(case["slopes"]))
    compare_slopes(
        case, aibmd.contrast(found, "revpairwise").to_frame(), pd.DataFrame(case["contrasts"])
    )


def compare_slopes(case, got, want):
    # R's slope is a difference over a step of 1e-4: rounding 1e-11 and step squared 1e-8.
    limit = 1e-7 if case["kind"] == "lm" else tol.PEER_SE
    far = np.abs(got["estimate"] - want["estimate"]) / want["std_error"]
    assert far.max() <= limit
    np.testing.assert_allclose(got["std_error"], want["std_error"], rtol=limit)
    np.testing.assert_allclose(got["df"], want["df"], rtol=limit)


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_over_people(name):
    """One row is one person in lm, so the rows are numbered as subjects."""
    case = AVERAGES[name]
    means = aibmd.emmeans(
        fit(case["data"], case["formula"], "lm"), case["over"], weights="counterfactual"
    )
    conditional, people = np.array(case["conditional"]), np.array(case["people"])
    table = means.to_frame()
    assert list(table[case["over"]]) == case["levels"]
    np.testing.assert_allclose(table["estimate"], case["estimate"], rtol=1e-9)
    np.testing.assert_allclose(means.vcov(), conditional + people, rtol=1e-7)
    np.testing.assert_allclose(means.covariate_vcov, people, rtol=1e-7)
