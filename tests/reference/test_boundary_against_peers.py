"""Optima on the boundary: converged, singular, and as high as closed forms and lme4 get."""

import model_comparison as mc
import numpy as np
import peer_fits
import pytest
import stored
from compared import WORDS, agree, largest, relative

import aibmd

KEYS = stored.model_keys("singular")
keys = pytest.mark.parametrize("key", KEYS)
PEER = "closed form and dense.R"


@keys
def test_the_boundary_optimum_is_certified_and_said_to_be_singular(key):
    fit = peer_fits.fit("singular", key)
    assert fit.converged
    assert fit.singular


@keys
def test_a_singular_fit_warns_once(key):
    model = stored.load_model("singular", key)
    function, options = peer_fits.arguments(model)
    with pytest.warns(aibmd.SingularFitWarning) as seen:
        function(model.formula, peer_fits.data_of(model), df_method="satterthwaite", **options)
    assert len(seen) == 1


@keys
def test_the_boundary_optimum_is_the_stored_one(key):
    model = stored.load_model("singular", key)
    fit = peer_fits.fit("singular", key)
    mc.compare_loglik(PEER, "EXACT", model)
    mc.compare_loglik("lme4", "PEER", model, model.numbers["lmer"]["loglik"])
    got, want = fit.covariance_parameters.to_numpy(), np.array(model.numbers["theta"], dtype=float)
    words = "covariance parameters on the boundary, of the largest"
    agree(PEER, words, largest(got - want) / largest(want), mc.tol.EXACT_COVARIANCE)
    vcov = np.atleast_2d(model.numbers["vcov"])
    names = stored.listed(model.numbers["names"])
    mc.compare_vcov(PEER, "EXACT", model, fit, vcov, names)
    at = mc.positions(model, fit, names)
    difference = (fit.params.iloc[at] - model.numbers["beta"]) / np.sqrt(np.diag(vcov))
    agree(PEER, WORDS["ESTIMATE_IN_SE"], largest(difference), mc.tol.EXACT_ESTIMATE_IN_SE)


# The other singular fit keeps a variance and a slope.
VARIANCE_ZERO = ("dyestuff2_ri_reml", "negative_correlation_ri_reml")


@pytest.mark.parametrize("key", VARIANCE_ZERO)
def test_a_variance_of_zero_leaves_the_df_of_a_linear_model(key):
    model, fit = stored.load_model("singular", key), peer_fits.fit("singular", key)
    agree(PEER, WORDS["DF"], relative(fit.df, model.numbers["residual_df"]), mc.tol.EXACT_DF)


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_nlme_stops_below_our_optimum_on_the_boundary(method):
    """Slope and intercept beside AR(1) residuals: the best correlation is one."""
    key = f"lme_rs_ar1_{method}"
    model = stored.load_model("sleepstudy", key)
    with pytest.warns(aibmd.SingularFitWarning):
        fit = peer_fits.fit("sleepstudy", key)
    assert fit.converged
    assert 0 < fit.llf - model.loglik < mc.tol.NLME_LOGLIK
    G = fit.random_covariance.to_numpy()
    assert G[0, 1] / np.sqrt(G[0, 0] * G[1, 1]) == pytest.approx(1.0, abs=1e-9)
