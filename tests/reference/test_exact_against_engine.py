"""Balanced designs have exact tests from mean squares; Kenward-Roger must return them."""

import model_comparison as mc
import numpy as np
import pandas as pd
import peer_fits
import pytest
import stored
from compared import WORDS, agree, compare_tests, relative

PEER = "mean squares"
MODELS = stored.model_keys("exact")


@pytest.mark.parametrize("key", MODELS)
def test_variances_are_those_of_the_mean_squares(key):
    model = stored.load_model("exact", key)
    fit = peer_fits.fit("exact", key)
    got = fit.random_covariance
    for grouping, want in model.random_covariance.items():
        name = "block:variety" if grouping == "plot" else grouping
        ours = got[name] if isinstance(got, dict) else got
        difference = relative(ours.to_numpy(), want)
        agree(PEER, "variance of the random effects, relative", difference, mc.tol.EXACT_COVARIANCE)
    difference = relative(fit.residual_variance, model.residual_variance)
    agree(PEER, "residual variance, relative", difference, mc.tol.EXACT_COVARIANCE)
    agree(
        "lme4", WORDS["LOGLIK"], abs(fit.llf - model.numbers["lmer"]["loglik"]), mc.tol.PEER_LOGLIK
    )
    if model.loglik is not None:
        agree(PEER, WORDS["LOGLIK"], abs(fit.llf - model.loglik), mc.tol.EXACT_LOGLIK)


def test_compound_symmetry_has_the_moments():
    model = stored.load_model("exact", "orthodont")
    options = {"subject": "subject", "visit": "agef", "covariance": "cs"}
    got = mc.aibmd.fit_mmrm(model.formula, model.data, **options).covariance.to_numpy()
    want = [model.numbers["variance"], model.numbers["covariance"]]
    words = "variance and covariance, relative"
    agree(PEER, words, relative(got[0, :2], want), mc.tol.EXACT_COVARIANCE)


@pytest.mark.parametrize("information", ["observed", "expected"])
@pytest.mark.parametrize("key", ["oats", "orthodont"])
def test_kenward_roger_is_the_exact_test(key, information):
    want = pd.DataFrame(stored.load_model("exact", key).numbers["type3"])
    fit = peer_fits.fit("exact", key, "kenward_roger", information)
    compare_tests(PEER, mc.aibmd.anova(fit), want, "EXACT")


@pytest.mark.parametrize("factor", ["variety", "nitro"])
def test_split_plot_differences_have_their_own_errors(factor):
    numbers = stored.load_model("exact", "oats").numbers
    fit = peer_fits.fit("exact", "oats", "kenward_roger")
    means = mc.aibmd.emmeans(fit, over=[factor])
    want = pd.Series(numbers[f"{factor}_means"])
    got = means.to_frame().set_index(factor)["estimate"].loc[list(want.index)]
    agree(PEER, "means, relative", relative(got, want), mc.tol.EXACT_ESTIMATE_IN_SE)
    differences = mc.aibmd.contrast(means, "pairwise").to_frame()
    difference = numbers[f"{factor}_difference"]
    agree(PEER, WORDS["SE"], relative(differences["std_error"], difference["se"]), mc.tol.EXACT_SE)
    agree(PEER, WORDS["DF"], relative(differences["df"], difference["df"]), mc.tol.EXACT_DF)


def test_one_way_random_effects():
    numbers = stored.load_model("exact", "dyestuff").numbers
    fit = peer_fits.fit("exact", "dyestuff", "kenward_roger")
    agree(PEER, WORDS["SE"], relative(fit.bse, numbers["se"]), mc.tol.EXACT_SE)
    agree(PEER, WORDS["DF"], relative(fit.df, numbers["df"]), mc.tol.EXACT_DF)
    np.testing.assert_allclose(fit.params, numbers["beta"], rtol=1e-12)
