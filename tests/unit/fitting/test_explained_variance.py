"""Shares of variance: published values, definitions, and refusals."""

import numpy as np
import pandas as pd
import pytest
import stored
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError


def fit_sleepstudy(random="1 + days"):
    data = stored.load_model("sleepstudy", "lmer_rs_reml").data
    return aibmd.fit_lmm("reaction ~ days", data, subject="subject", random=random)


def test_sleepstudy_has_the_published_shares():
    """README of R package performance (easystats/performance), model_performance of lme4's fit."""
    shares = aibmd.r_squared(fit_sleepstudy())
    assert shares["marginal"] == pytest.approx(0.279, abs=5e-4)
    assert shares["conditional"] == pytest.approx(0.799, abs=5e-4)
    of_the_rest = (shares["conditional"] - shares["marginal"]) / (1 - shares["marginal"])
    assert of_the_rest == pytest.approx(0.722, abs=5e-4)  # its ICC


def test_random_slopes_enter_with_the_mean_of_their_variance_over_rows():
    found = fit_sleepstudy()
    days = found.coding.frame["days"].to_numpy()
    z = np.column_stack([np.ones(len(days)), days])
    random = np.einsum("nu,uv,nv->n", z, found.random_covariance.to_numpy(), z).mean()
    fixed = np.var(found.fittedvalues, ddof=1)
    whole = fixed + random + found.residual_variance
    shares = aibmd.r_squared(found)
    assert shares["marginal"] == pytest.approx(fixed / whole, rel=1e-9)
    assert shares["conditional"] == pytest.approx((fixed + random) / whole, rel=1e-9)


def test_a_marginal_model_has_the_marginal_share_alone():
    trial = make_trial(31, 30, 3)
    found = fit("y ~ arm * visit + base", trial, weights=None)
    variances = np.diag(found.covariance)[trial["visit"].str[1:].astype(int) - 1]
    fixed = np.var(found.fittedvalues, ddof=1)
    shares = aibmd.r_squared(found)
    assert list(shares.index) == ["marginal"]
    assert shares["marginal"] == pytest.approx(fixed / (fixed + variances.mean()), rel=1e-9)


def test_icc_of_a_random_intercept_is_the_correlation_of_compound_symmetry():
    model = stored.load_model("orthodont", "lmer_ri_reml")
    mixed = aibmd.fit_lmm("distance ~ age * sex", model.data, subject="subject", random="1")
    marginal = aibmd.fit_mmrm(
        "distance ~ age * sex", model.data, subject="subject", visit="agef", covariance="cs"
    )
    Sigma = marginal.covariance.to_numpy()
    assert aibmd.icc(mixed) == pytest.approx(Sigma[0, 1] / Sigma[0, 0], rel=1e-6)


def test_icc_of_random_slopes_is_asked_at_a_time():
    found = fit_sleepstudy()
    G, error = found.random_covariance.to_numpy(), found.residual_variance
    z = np.array([1.0, 4.0])
    want = z @ G @ z / (z @ G @ z + error)
    assert aibmd.icc(found, at={"days": 4}) == pytest.approx(want, rel=1e-9)
    assert aibmd.icc(found, at={"days": 0}) == pytest.approx(G[0, 0] / (G[0, 0] + error), rel=1e-9)
    with pytest.raises(AibmdError, match=r"depend on days; .*at=\{'days': 0\}"):
        aibmd.icc(found)


def test_icc_of_nested_groupings_says_what_two_scans_share():
    model = stored.load_model("random_slopes", "three_sites_nested_reml")
    found = aibmd.fit_lmm(
        "bmd ~ site * time + group", model.data, subject="subject",
        random={"subject": "1", "subject:site": "1"},
    )  # fmt: skip
    woman, site, error = model.theta
    got = aibmd.icc(found)
    assert got["subject"] == pytest.approx(woman / (woman + site + error), rel=1e-6)
    assert got["subject:site"] == pytest.approx((woman + site) / (woman + site + error), rel=1e-6)


def test_icc_is_told_for_each_residual_variance():
    model = stored.load_model("residual_structures", "orthodont_ri_residual_group_reml")
    found = aibmd.fit_lmm(
        "distance ~ age * sex", model.data, subject="subject", random="1",
        residual_group=model.numbers["residual_group"],
    )  # fmt: skip
    between = found.random_covariance.iloc[0, 0]
    want = between / (between + found.residual_variance)
    np.testing.assert_allclose(aibmd.icc(found)[want.index], want, rtol=1e-9)


def test_what_has_no_one_icc_is_refused():
    trial = make_trial(31, 80, 4, gaps=0.0)
    rng = np.random.default_rng(1)
    number = trial["visit"].str[1:].astype(float)
    trial["y"] = 2 * rng.normal(size=80)[trial["who"]] + number * rng.normal(size=len(trial))
    with pytest.raises(AibmdError, match="no random effects; use fit_lmm"):
        aibmd.icc(fit("y ~ visit", trial))
    found = aibmd.fit_lmm(
        "y ~ arm", trial, subject="who", random="1", residual="ar1h", visit="visit"
    )
    with pytest.raises(AibmdError, match="'ar1h' gives each visit a variance of its own"):
        aibmd.icc(found)


SITES = ("total_hip", "lumbar_spine")
ERROR_SD = {"total_hip": 0.5, "lumbar_spine": 2.0}


@pytest.fixture(scope="module")
def by_site():
    """Two sites a woman, the spine with larger errors and its own course over time."""
    rng = np.random.default_rng(17)
    who, time, site = (axis.ravel() for axis in np.meshgrid(range(60), range(4), [0, 1]))
    level, slope = 2 * rng.normal(size=(2, 60)), 1.5 * rng.normal(size=(2, 60))
    table = pd.DataFrame({"who": who, "time": time, "skeletal_site": np.array(SITES)[site]})
    errors = np.array([ERROR_SD[name] for name in table["skeletal_site"]])
    table["y"] = level[site, who] + slope[site, who] * time + errors * rng.normal(size=len(table))
    return aibmd.fit_lmm(
        "y ~ 0 + skeletal_site", table, subject="who",
        random="0 + skeletal_site + skeletal_site:time", residual_group="skeletal_site",
        df_method="residual",
    )  # fmt: skip


def icc_by_hand(found, site, time):
    """Rows and columns of G: hip, spine, hip by time, spine by time, in the fit's own order."""
    names = found.random_covariance.index
    z = np.array([(site in name) * (time if "time" in name else 1.0) for name in names])
    between = z @ found.random_covariance.to_numpy() @ z
    return between / (between + found.residual_variance[site])


@pytest.mark.parametrize("time", [0, 3])
@pytest.mark.parametrize("site", SITES)
def test_icc_at_a_level_takes_that_levels_own_residual_variance(by_site, site, time):
    got = aibmd.icc(by_site, at={"skeletal_site": site, "time": time})
    assert got == pytest.approx(icc_by_hand(by_site, site, time), rel=1e-9)


def test_icc_without_a_level_takes_each_levels_own_variances_on_both_sides(by_site):
    got = aibmd.icc(by_site, at={"time": 1})
    assert sorted(got.index) == sorted(SITES)
    for site in SITES:
        assert got[site] == pytest.approx(icc_by_hand(by_site, site, 1), rel=1e-9)


def test_a_level_of_the_residual_group_alone_selects_its_variance():
    model = stored.load_model("residual_structures", "orthodont_ri_residual_group_reml")
    name = model.numbers["residual_group"]
    found = aibmd.fit_lmm(
        "distance ~ age * sex", model.data, subject="subject", random="1", residual_group=name
    )
    between = found.random_covariance.iloc[0, 0]
    for level, error in found.residual_variance.items():
        got = aibmd.icc(found, at={name: level})
        assert got == pytest.approx(between / (between + error), rel=1e-9)
    with pytest.raises(AibmdError, match=f"residual group 'other' was not seen .*{level}"):
        aibmd.icc(found, at={name: "other"})


def test_a_missing_column_of_a_factor_is_suggested_with_a_level(by_site):
    with pytest.raises(AibmdError, match=r"at=\{'skeletal_site': 'lumbar_spine', 'time': 0\}"):
        aibmd.icc(by_site)
    with pytest.raises(AibmdError, match=r"at=\{'skeletal_site': 'total_hip', 'time': 0\}"):
        aibmd.icc(by_site, at={"skeletal_site": "total_hip"})
