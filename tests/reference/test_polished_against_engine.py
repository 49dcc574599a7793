"""Every model that dense.R polished, to the last digits: structures, products, random effects."""

import model_comparison as mc
import numpy as np
import peer_fits
import pytest
import stored

PEER = "dense.R"
FILES = ("fev_dense", "orthodont_dense", "random_slopes", "residual_structures", "products",
         "sandwiches")  # fmt: skip
MODELS = [(f, k) for f in FILES for k in stored.model_keys(f)
          if k != "likelihood_ratios" and (f, k) not in peer_fits.NOT_EXPRESSIBLE]  # fmt: skip
BLOCKS = [(f, k, i) for f, k in MODELS for i, b in enumerate(stored.load_model(f, k).blocks)]
models = pytest.mark.parametrize(("file", "key"), MODELS, ids=["-".join(m) for m in MODELS])


def name(file, key, i):
    block = stored.load_model(file, key).blocks[i]
    return f"{file}-{key}-{block.df_method}-{block.vcov_method}-{block.information}"


@models
def test_the_same_optimum(file, key):
    model = stored.load_model(file, key)
    assert mc.fit_of(model).converged
    assert not mc.fit_of(model).singular
    mc.compare_loglik(PEER, "EXACT", model)
    if "theta_names" in model.numbers:
        mc.compare_theta(PEER, model, mc.tol.EXACT_THETA_IN_SE)
    if model.covariance is not None:
        mc.compare_covariance(PEER, "EXACT", model)
    if model.random_covariance is not None:
        mc.compare_effects(PEER, "EXACT", model)
    if "residual_theta" in model.numbers:
        want = list(model.numbers["residual_theta"].values())
        got = mc.fit_of(model).covariance_parameters.iloc[-len(want) :]
        words = "residual parameters, relative"
        mc.agree(PEER, words, mc.relative(got, want), mc.tol.EXACT_COVARIANCE)


@models
@pytest.mark.parametrize("which", ["observed", "expected"])
def test_information_of_the_covariance_parameters(file, key, which):
    model = stored.load_model(file, key)
    mc.compare_information(PEER, model, which, mc.tol.EXACT_INFORMATION)


@pytest.mark.parametrize(("file", "key", "i"), BLOCKS, ids=[name(*b) for b in BLOCKS])
def test_inference(file, key, i):
    model = stored.load_model(file, key)
    block = model.blocks[i]
    fit = mc.fit_of(model, block)
    table = block.table("coefficients")
    peer = f"{PEER} {block.vcov_method}".removesuffix(" model")
    mc.compare_coefficients(peer, "EXACT", model, fit, table)
    if block.vcov is not None:
        mc.compare_vcov(peer, "EXACT", model, fit, block.vcov, table["name"])
    if block.table("type3") is not None:
        mc.compare_type3(peer, "EXACT", fit, block.table("type3"))


# The models of the SAS listings: two coordinates are no time, SAS's second order for sp_exp is in
# the range, and its joint df are in a basis of its own.
def _is_ours(key):
    model = stored.load_model("sas_dense", key)
    one_time = len(stored.load("sas")["models"][key].get("coordinates", [1])) == 1
    return one_time and model.loglik is not None and "sp_exp_kenward_roger_second" not in key


# An interaction without its main effects: R and formulaic span one space by other columns.
OTHER_COLUMNS = ("anova_2", "residuals_un_reml")
LISTED = [k for k in stored.model_keys("sas_dense") if _is_ours(k)]


@pytest.mark.parametrize("key", LISTED)
def test_models_of_the_sas_listings(key):
    model = stored.load_model("sas_dense", key)
    mc.compare_loglik(PEER, "EXACT", model)
    if model.structure != "sp_exp":  # SAS's range
        want = np.asarray(model.numbers["theta"], dtype=float)
        got = mc.fit_of(model).covariance_parameters.to_numpy()
        words = "covariance parameters, of the largest"
        difference = mc.largest(got - want) / mc.largest(want)
        mc.agree(PEER, words, difference, mc.tol.EXACT_COVARIANCE)
    for block in model.blocks:
        fit, table = mc.fit_of(model, block), block.table("coefficients")
        peer = f"{PEER} {block.vcov_method}".removesuffix(" model")
        if key not in OTHER_COLUMNS:
            mc.compare_coefficients(peer, "EXACT", model, fit, table)
        if block.vcov is not None and key not in OTHER_COLUMNS:
            mc.compare_vcov(peer, "EXACT", model, fit, block.vcov, table["name"])
        if block.table("type3") is not None:
            mc.compare_type3(peer, "EXACT", fit, block.table("type3"), with_df=False)
