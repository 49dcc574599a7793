"""The stored numbers themselves: each model hangs together, and peers agree where they should."""

import numpy as np
import pytest
import stored
from scipy import stats

FILES = (
    "fev", "fev_dense", "orthodont", "orthodont_dense", "sleepstudy", "random_slopes",
    "residual_structures", "sandwiches",
)  # fmt: skip
MODELS = [(f, k) for f in FILES for k in stored.model_keys(f) if k != "likelihood_ratios"]
ids = ["-".join(m) for m in MODELS]
models = pytest.mark.parametrize(("file", "key"), MODELS, ids=ids)
POLISHED = [
    (f, k)
    for f in ("fev", "orthodont")
    for k in stored.model_keys(f)
    if k.removeprefix("mmrm_") in stored.model_keys(f"{f}_dense")
]
POLISHED_BY_PEER = [(f, k) for f in ("random_slopes", "residual_structures")
                    for k in stored.model_keys(f) if k != "likelihood_ratios"]  # fmt: skip

SAS = stored.load("sas")["models"]
LISTINGS = [key for key, numbers in SAS.items() if "minus2_loglik" in numbers]


@models
def test_t_and_p_follow_from_estimate_se_and_df(file, key):
    for block in stored.load_model(file, key).blocks:
        table = block.table("coefficients")
        if table is None:
            continue
        np.testing.assert_allclose(table["t"], table["estimate"] / table["se"], rtol=1e-12)
        p = 2 * stats.t.sf(np.abs(table["t"]), table["df"])
        seen = table["p"].to_numpy() > 1e-290
        np.testing.assert_allclose(table["p"][seen], p[seen], rtol=1e-8)


@models
def test_the_stored_covariance_gives_the_standard_errors(file, key):
    for block in stored.load_model(file, key).blocks:
        if block.vcov is not None and block.table("coefficients") is not None:
            np.testing.assert_allclose(block.vcov, block.vcov.T, rtol=1e-9, atol=1e-12)
            se = block.table("coefficients")["se"]
            np.testing.assert_allclose(np.sqrt(np.diag(block.vcov)), se, rtol=1e-11)


@pytest.mark.parametrize(("file", "key"), POLISHED, ids=["-".join(m) for m in POLISHED])
def test_mmrm_stops_at_the_polished_optimum(file, key):
    peer = stored.load_model(file, key)
    exact = stored.load_model(f"{file}_dense", key.removeprefix("mmrm_"))
    assert peer.loglik == pytest.approx(exact.loglik, abs=1e-10)
    information = "observed" if peer.method == "reml" else None
    ours = exact.block("satterthwaite", information=information).table("coefficients")
    theirs = peer.block("satterthwaite").table("coefficients").set_index("name").loc[ours["name"]]
    np.testing.assert_allclose(theirs["df"], ours["df"], rtol=1e-6)
    np.testing.assert_allclose(theirs["se"], ours["se"], rtol=1e-6)


@pytest.mark.parametrize(
    ("file", "key"), POLISHED_BY_PEER, ids=["-".join(m) for m in POLISHED_BY_PEER]
)
def test_lme4_and_nlme_stop_at_the_polished_optimum(file, key):
    model = stored.load_model(file, key)
    peer = model.numbers["lmer" if file == "random_slopes" else "nlme"]
    assert peer["loglik"] == pytest.approx(model.loglik, abs=1e-9)
    assert model.numbers["max_score_in_sd"] < 1e-9


@pytest.mark.parametrize(
    "key", [k for k in stored.model_keys("random_slopes") if k.endswith("_reml")]
)
def test_conditional_modes_of_lme4_are_those_of_the_formula(key):
    numbers = stored.load_model("random_slopes", key).numbers
    scale = np.std(numbers["fitted"])
    np.testing.assert_allclose(numbers["lmer"]["fitted"], numbers["fitted"], atol=2e-5 * scale)
    for group, exact in numbers["blups"].items():
        peer = _same_columns(numbers["lmer"]["blups"], group, exact)
        at = [peer["levels"].index(level) for level in exact["levels"]]
        got, want = np.array(peer["values"])[at], np.array(exact["values"])
        assert np.max(np.abs(got - want)) <= 2e-5 * np.std(want)


def _same_columns(blups, group, exact):
    """lme4 names a crossed grouping the other way round and keeps the diagonal terms together."""
    return blups[group] if group in blups else blups[":".join(reversed(group.split(":")))]


@pytest.mark.parametrize("key", LISTINGS)
def test_sas_stops_just_below_the_optimum_and_never_above_it(key):
    value, half_unit = stored.printed(SAS[key]["minus2_loglik"])
    optimum = -2 * stored.load_model("sas_dense", key).loglik
    assert -2 * half_unit <= value - optimum <= 3e-5


def test_balanced_designs_have_the_exact_tests():
    for key in ("oats", "orthodont"):
        exact = stored.load_model("exact", key).numbers
        for want, got in zip(exact["type3"], exact["lmer"]["kenward_roger_type3"], strict=True):
            assert want["term"] == got["term"]
            assert got["F"] == pytest.approx(want["F"], rel=1e-7)
            assert got["den_df"] == pytest.approx(want["den_df"], rel=1e-9)


def test_printed_digits_know_their_rounding():
    assert stored.printed("44.6313") == (44.6313, pytest.approx(5e-5))
    assert stored.printed("171") == (171.0, 0.5)


def test_an_unknown_model_is_named_with_those_there_are():
    with pytest.raises(KeyError, match=r"no model 'mmrm_arma'.*mmrm_us_reml"):
        stored.load_model("fev", "mmrm_arma")
