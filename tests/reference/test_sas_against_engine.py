"""SAS PROC MIXED, as far as its listings print and where it stops: see the README, section SAS.

A number is compared after the rounding of its last digit is taken off: what is left must be no
more than what SAS's early stop costs (its -2 log-likelihood lies up to 2.6e-5 above the optimum).
"""

import re

import model_comparison as mc
import numpy as np
import pandas as pd
import pytest
import stored
from compared import agree

from aibmd.inference.build import compute_theta_vcov

PEER = "SAS PROC MIXED, printed"
tol = mc.tol
MODELS = stored.load("sas")["models"]
# Two coordinates are no time. Residuals and predictions have tests of their own.
LISTINGS = [k for k, m in MODELS.items()
            if "coefficients" in m and len(m.get("coordinates", [1])) == 1]  # fmt: skip
TESTED = [k for k in LISTINGS if "type3" in MODELS[k]]
WITH_MEANS = [k for k in LISTINGS if "emmeans" in MODELS[k]]
# SAS: 350 df where mmrm, nlme and we have 147, see the README.
WITHOUT_DF = ("full_un_weights_reml",)
# Coefficients against VIS4; the means and tests of this listing are compared.
OTHER_REFERENCE = ("full_un_weights_reml",)
# ddfm=kr takes second derivatives in the range, ours is rho.
OTHER_PARAMETER = ("armcd_sp_exp_kenward_roger_second",)


def left(got, text, scale):
    """How far we are from a printed number beyond its rounding, in units of `scale`."""
    value, half_unit = stored.printed(text)
    return max(0.0, abs(got - value) - half_unit) / scale


def fit_of(key):
    return mc.fit_of(stored.load_model("sas", key), stored.load_model("sas", key).blocks[0])


@pytest.mark.parametrize("key", LISTINGS)
def test_sas_stops_at_most_3e_5_above_our_minimum(key):
    value, half_unit = stored.printed(MODELS[key]["minus2_loglik"])
    short = value + 2 * fit_of(key).llf
    assert short >= -2 * half_unit
    agree(PEER, "-2 log-likelihood, SAS above ours", max(short, 0.0), tol.SAS_MINUS2_LOGLIK)


@pytest.mark.parametrize("key", [k for k in LISTINGS if k not in OTHER_REFERENCE])
def test_coefficients(key):
    fit, model = fit_of(key), stored.load_model("sas", key)
    rows = [r for r in MODELS[key]["coefficients"] if r["df"] is not None]
    at = mc.positions(model, fit, [r["name"] for r in rows])
    for i, row in zip(at, rows, strict=True):
        # SAS counts the intercept between subjects, R mmrm and we within.
        other_df = fit.spec.df_method == "between_within" and row["name"] == "(Intercept)"
        compare_row(key, row, fit.params.iloc[i], fit.bse.iloc[i], fit.df.iloc[i], other_df)


def compare_row(key, row, estimate, se, df, other_df=False):
    words = "estimates beyond the printed digits, in standard errors"
    agree(PEER, words, left(estimate, row["estimate"], se), tol.SAS_ESTIMATE_IN_SE)
    if key not in OTHER_PARAMETER:
        words = "standard errors beyond the printed digits, relative"
        agree(PEER, words, left(se, row["se"], se), tol.SAS_SE)
    if key not in WITHOUT_DF and not other_df:
        words = "degrees of freedom beyond the printed digits, relative"
        agree(PEER, words, left(df, row["df"], df), tol.SAS_DF)


@pytest.mark.parametrize("key", TESTED)
def test_type_three(key):
    got = mc.aibmd.anova(fit_of(key)).set_index("term")
    got.index = [":".join(sorted(t.split(":"))) for t in got.index]
    for row in MODELS[key]["type3"]:
        ours = got.loc[":".join(sorted(row["term"].split(":")))]
        F, df = ours["statistic"], ours["df_denom"]
        if key not in OTHER_PARAMETER:
            agree(PEER, "F beyond the printed digits, relative", left(F, row["F"], F), tol.SAS_F)
        if key not in WITHOUT_DF and row["num_df"] == "1":  # several df: another basis
            words = "degrees of freedom beyond the printed digits, relative"
            agree(PEER, words, left(df, row["den_df"], df), tol.SAS_DF)


@pytest.mark.parametrize("key", WITH_MEANS)
def test_means_and_differences_of_arms(key):
    rows = MODELS[key]["emmeans"]
    by = ["avisit"] if "avisit" in rows[0] else None
    means = mc.aibmd.emmeans(fit_of(key), over=["armcd"], by=by)
    keys = ["armcd", *(by or [])]
    got = means.to_frame().astype(dict.fromkeys(keys, str)).set_index(keys)
    for row in rows:
        ours = got.loc[tuple(row[k] for k in keys) if by else row["armcd"]]
        other_df = fit_of(key).spec.df_method == "between_within"  # a mean holds the intercept
        compare_row(key, row, ours["estimate"], ours["std_error"], ours["df"], other_df)
    contrasts = mc.aibmd.contrast(means, "revpairwise").to_frame()
    for row in MODELS[key]["differences"]:
        ours = _difference(contrasts, row, by)
        if ours is not None:
            sign = 1.0 if row["first"]["armcd"] == "TRT" else -1.0
            compare_row(key, row, sign * ours["estimate"], ours["std_error"], ours["df"])


def _difference(contrasts, row, by):
    """The row of arms at one visit; SAS prints all pairs of cells."""
    first, second = row["first"], row["second"]
    if first["armcd"] == second["armcd"]:
        return None
    if not by:
        return contrasts.iloc[0]
    if first["avisit"] != second["avisit"]:
        return None
    return contrasts[contrasts["avisit"].astype(str) == first["avisit"]].iloc[0]


@pytest.mark.parametrize("key", [k for k in LISTINGS if MODELS[k]["structure"] != "sp_exp"])
def test_covariance_parameters(key):
    names = list(stored.load("sas_dense")["models"][key]["theta_names"])
    fit = fit_of(key)
    theta = fit.covariance_parameters.to_numpy()
    se = np.sqrt(np.diagonal(compute_theta_vcov(fit.engine, "observed")))
    se = se * fit.engine.theta_units
    groups = re.findall(r"\w+", MODELS[key].get("group") or "")
    for row in MODELS[key]["covariance_parameters"]:
        if groups or row["is"] not in names:
            continue
        i = names.index(row["is"])
        words = "covariance parameters beyond the printed digits, in standard errors"
        agree(PEER, words, left(theta[i], row["estimate"], se[i]), tol.SAS_THETA_IN_SE)


@pytest.mark.parametrize("key", [k for k in LISTINGS if "vcov_15_digits" in MODELS[k]])
def test_sandwich_to_fifteen_digits(key):
    want = np.array(MODELS[key]["vcov_15_digits"], dtype=float)
    fit = fit_of(key)
    sd = np.sqrt(np.diagonal(want))
    difference = mc.largest((fit.cov_params().to_numpy() - want) / np.outer(sd, sd))
    agree("SAS PROC MIXED CR0, 15 digits", mc.WORDS["VCOV"], difference, 2 * tol.SAS_SE)


@pytest.mark.parametrize("type_", ["II", "III"])
@pytest.mark.parametrize("key", ["anova_1", "anova_2"])
def test_terms_to_fifteen_digits(key, type_):
    want = pd.DataFrame(MODELS[key][f"type{len(type_)}_15_digits"])
    want = want.astype(dict.fromkeys(("num_df", "den_df", "F", "p"), float))
    got = mc.aibmd.anova(fit_of(key), type=type_)
    mc.compared.compare_tests("SAS PROC MIXED, 15 digits", got, want, "SAS")
