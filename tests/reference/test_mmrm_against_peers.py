"""Every model of R mmrm: all structures, by arm, weighted, by time, every kind of inference."""

import model_comparison as mc
import peer_fits
import pytest
import stored
from compared import agree

PEER = "R mmrm"
MODELS = [(f, k) for f in ("fev", "orthodont") for k in stored.model_keys(f)
          if k.startswith("mmrm_") and (f, k) not in peer_fits.NOT_EXPRESSIBLE]  # fmt: skip
# mmrm's own second order is in parameters of its own: see the README.
OTHER_PARAMETERS = "kenward_roger_second_mmrm"
BLOCKS = [(f, k, i) for f, k in MODELS for i, b in enumerate(stored.load_model(f, k).blocks)]
models = pytest.mark.parametrize(("file", "key"), MODELS, ids=["-".join(m) for m in MODELS])


def name(file, key, i):
    block = stored.load_model(file, key).blocks[i]
    return f"{file}-{key}-{block.df_method}-{block.vcov_method}"


blocks = pytest.mark.parametrize(("file", "key", "i"), BLOCKS, ids=[name(*b) for b in BLOCKS])


@models
def test_the_same_optimum(file, key):
    model = stored.load_model(file, key)
    assert mc.fit_of(model).converged
    mc.compare_loglik(PEER, "PEER", model)
    if model.structure != "sp_exp":
        mc.compare_covariance(PEER, "PEER", model)


@models
def test_information_criteria_and_counts(file, key):
    model = stored.load_model(file, key)
    fit = mc.fit_of(model)
    assert (fit.n_obs, fit.n_subjects) == (model.numbers["n_obs"], model.numbers["n_subjects"])
    assert fit.n_covariance_parameters == model.numbers["n_cov_parameters"]
    limit = 2 * mc.tolerance("PEER", "LOGLIK")
    agree(PEER, "AIC", abs(fit.aic - model.numbers["aic"]), limit)
    agree(PEER, "BIC", abs(fit.bic - model.numbers["bic"]), limit)


@blocks
def test_coefficients(file, key, i):
    model = stored.load_model(file, key)
    block = model.blocks[i]
    fit = mc.fit_of(model, block)
    table = block.table("coefficients")
    if block.vcov_method == OTHER_PARAMETERS:
        at = mc.positions(model, fit, table["name"])
        agree(PEER, mc.WORDS["DF"], mc.relative(fit.df.iloc[at], table["df"]), mc.tol.PEER_DF)
        return
    kind = "SANDWICH" if block.vcov_method.startswith("CR") else "PEER"
    peer = f"{PEER} {block.vcov_method}" if kind == "SANDWICH" else PEER
    mc.compare_coefficients(peer, kind, model, fit, table)
    mc.compare_vcov(peer, kind, model, fit, block.vcov, table["name"])


SAME = [b for b in BLOCKS if OTHER_PARAMETERS not in name(*b)]
BETWEEN_WITHIN = [b for b in SAME if "between_within" in name(*b)]


@pytest.mark.parametrize(("file", "key", "i"), SAME, ids=[name(*b) for b in SAME])
def test_means_contrasts_and_type_three(file, key, i):
    model = stored.load_model(file, key)
    block = model.blocks[i]
    fit = mc.fit_of(model, block)
    if block.table("emmeans") is not None:
        mc.compare_means(PEER, "PEER", fit, block.table("emmeans"), block.table("contrasts"))
    with_df = block.df_method != "between_within"
    mc.compare_type3(PEER, "PEER", fit, block.table("type3"), with_df)


@pytest.mark.parametrize(
    ("file", "key", "i"), BETWEEN_WITHIN, ids=[name(*b) for b in BETWEEN_WITHIN]
)
def test_between_within_df_of_type_three(file, key, i):
    model = stored.load_model(file, key)
    block = model.blocks[i]
    mc.compare_type3(PEER, "PEER", mc.fit_of(model, block), block.table("type3"))
