"""Random effects: lme4 with lmerTest (observed) and pbkrtest (expected), nlme, glmmTMB."""

import model_comparison as mc
import numpy as np
import pandas as pd
import peer_fits
import pytest
import stored
from compared import WORDS, agree, compare_tests, largest, relative

LMER = "lme4"
OF_DF = {
    "satterthwaite": ("lme4 with lmerTest", "observed"),
    "kenward_roger": ("lme4 with pbkrtest", "expected"),
}
# Old files: one block a method. New file: tables beside the polished numbers.
CLASSIC = [(f, k) for f in ("fev", "orthodont", "sleepstudy") for k in stored.model_keys(f)
           if "lmer_" in k]  # fmt: skip
SLOPES = [k for k in stored.model_keys("random_slopes") if k != "likelihood_ratios"]
TABLES = [(k, d) for k in SLOPES for d in OF_DF
          if d in stored.load_model("random_slopes", k).numbers["lmer"]]  # fmt: skip
classic = pytest.mark.parametrize(("file", "key"), CLASSIC, ids=["-".join(c) for c in CLASSIC])


@classic
def test_lme4_has_the_same_optimum(file, key):
    model = stored.load_model(file, key)
    mc.compare_loglik(LMER, "PEER", model)
    mc.compare_effects(LMER, "PEER", model)
    fit, names = mc.fit_of(model), list(model.params.index)
    se = np.sqrt(np.diagonal(fit.cov_params()))
    difference = (fit.params.iloc[mc.positions(model, fit, names)] - model.params.to_numpy()) / se
    agree(LMER, WORDS["ESTIMATE_IN_SE"], largest(difference), mc.tol.PEER_ESTIMATE_IN_SE)
    # lme4 counts coefficients too; so do we with random effects.
    agree(LMER, "AIC", abs(fit.aic - model.numbers["aic"]), 2 * mc.tol.PEER_LOGLIK)
    agree(LMER, "BIC", abs(fit.bic - model.numbers["bic"]), 2 * mc.tol.PEER_LOGLIK)


@classic
@pytest.mark.parametrize("df_method", OF_DF)
def test_lmertest_and_pbkrtest(file, key, df_method):
    model = stored.load_model(file, key)
    if not any(b.df_method == df_method for b in model.blocks):
        assert (model.method, df_method) == ("ml", "kenward_roger")
        return
    peer, information = OF_DF[df_method]
    block = model.block(df_method, information=information)
    fit = mc.fit_of(model, block)
    table = block.table("coefficients")
    mc.compare_coefficients(peer, "PEER", model, fit, table)
    mc.compare_vcov(peer, "PEER", model, fit, block.vcov, table["name"])
    mc.compare_type3(peer, "PEER", fit, block.table("type3"))
    mc.compare_means(peer, "PEER", fit, block.table("emmeans"), block.table("contrasts"))


@pytest.mark.parametrize("key", SLOPES)
def test_slopes_of_lme4_have_the_same_optimum(key):
    model = stored.load_model("random_slopes", key)
    lmer, fit = model.numbers["lmer"], peer_fits.fit("random_slopes", key)
    mc.compare_loglik(LMER, "PEER", model, lmer["loglik"])
    got, want = fit.covariance_parameters.to_numpy(), np.array(lmer["theta"])
    words = "covariance of the random effects, of the largest element"
    agree(LMER, words, largest(got - want) / largest(want), mc.tol.PEER_COVARIANCE)


@pytest.mark.parametrize(("key", "df_method"), TABLES, ids=["-".join(t) for t in TABLES])
def test_slopes_of_lmertest_and_pbkrtest(key, df_method):
    model = stored.load_model("random_slopes", key)
    peer, information = OF_DF[df_method]
    lmer, fit = model.numbers["lmer"], peer_fits.fit("random_slopes", key, df_method, information)
    table = pd.DataFrame(lmer[df_method])
    mc.compare_coefficients(peer, "PEER", model, fit, table)
    vcov = stored_vcov(lmer, df_method)
    mc.compare_vcov(peer, "PEER", model, fit, vcov, table["name"])
    compare_tests(peer, mc.aibmd.anova(fit), pd.DataFrame(lmer[f"{df_method}_type3"]), "PEER")


def stored_vcov(lmer, df_method):
    return np.array(lmer["kenward_roger_vcov" if df_method == "kenward_roger" else "vcov"])


# --- nlme: 1e-4 ---------------------------------------------------------------------------------

NLME = [(f, k) for f in ("fev", "orthodont", "sleepstudy") for k in stored.model_keys(f)
        if k.startswith(("gls_", "lme_", "unbal_lme_"))]  # fmt: skip
# nlme stops inside, 2e-5 below the boundary optimum: see test_boundary_against_peers.py.
BOUNDARY = ("lme_rs_ar1_reml", "lme_rs_ar1_ml")
INSIDE = [m for m in NLME if m[1] not in BOUNDARY]


@pytest.mark.parametrize(("file", "key"), INSIDE, ids=["-".join(m) for m in INSIDE])
def test_nlme(file, key):
    model = stored.load_model(file, key)
    fit = peer_fits.fit(file, key)
    mc.compare_loglik("nlme", "NLME", model)
    table = pd.DataFrame(model.numbers["coefficients"])
    if key.startswith("gls_") and model.method == "ml":
        # summary(gls) inflates ML standard errors by sqrt(N / (N - p)): taken out here.
        table["se"] *= np.sqrt((fit.n_obs - len(table)) / fit.n_obs)
    mc.compare_coefficients("nlme", "NLME", model, fit, table, df=False)
    if model.random is None:
        mc.compare_covariance("nlme", "NLME", model)
    else:
        mc.compare_effects("nlme", "NLME", model)


@pytest.mark.parametrize("key", stored.model_keys("residual_structures"))
def test_nlme_with_residual_structures(key):
    model = stored.load_model("residual_structures", key)
    nlme, fit = model.numbers["nlme"], peer_fits.fit("residual_structures", key)
    mc.compare_loglik("nlme", "NLME", model, nlme["loglik"])
    at = mc.positions(model, fit, model.numbers["names"])
    difference = largest((fit.params.iloc[at] - nlme["beta"]) / nlme["se"])
    agree("nlme", WORDS["ESTIMATE_IN_SE"], difference, mc.tol.NLME_ESTIMATE_IN_SE)
    agree("nlme", WORDS["SE"], relative(fit.bse.iloc[at], nlme["se"]), mc.tol.NLME_SE)


# --- glmmTMB: the log-likelihood only -----------------------------------------------------------

TMB = [(f, k) for f in ("fev", "orthodont", "sleepstudy") for k in stored.model_keys(f)
       if k.startswith("tmb_")]  # fmt: skip


@pytest.mark.parametrize(("file", "key"), TMB, ids=["-".join(m) for m in TMB])
def test_glmmtmb_has_the_log_likelihood(file, key):
    model = stored.load_model(file, key)
    value = model.loglik
    twin = key.replace("tmb_rs", "lmer_rs")  # the same model under lme4's name
    twin = twin.replace("tmb_us", "mmrm_us")
    got = peer_fits.fit(file, twin).llf
    # Its unstructured model keeps a residual variance near zero beside Sigma.
    limit = mc.tol.TMB_LOGLIK if "us" in key else mc.tol.PEER_LOGLIK
    words = WORDS["LOGLIK"] + (", unstructured" if "us" in key else "")
    agree("glmmTMB", words, abs(got - value), limit)
