"""Intervals of covariance parameters: stored profiles, closed forms, and laws for any data."""

import sys
import warnings
from pathlib import Path

import dense
import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import optimize, stats

import aibmd
from aibmd.errors import AibmdError, ConvergenceError

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))
from stored_models import load_model, model_keys

Z = stats.norm.ppf(0.975)


def fit_stored(model):
    """A stored model with one random part."""
    data = model.data.rename(columns={"yield": "y"})
    right, grouping = (part.strip() for part in model.random.strip("()").split("|"))
    subject = grouping if grouping in data else data.columns[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", aibmd.SingularFitWarning)
        return aibmd.fit_lmm(
            model.formula.replace("yield", "y"),
            data,
            subject=subject,
            random=right,
            method=model.method,
        )


def limits_of(found, method="profile", **options):
    return aibmd.covariance_intervals(found, method, **options).set_index("parameter")


@pytest.mark.parametrize("key", model_keys("profile"))
def test_profile_limits_are_those_of_root_finding_on_the_exact_profile(key):
    model = load_model("profile", key)
    stored = pd.DataFrame(model.numbers["profile"])
    stored = stored[stored["parameter"].isin(model.numbers["theta_names"])]
    ours = limits_of(fit_stored(model))
    ours = ours[ours.index.str.startswith(("var", "residual"))]
    width = (stored["upper"] - stored["lower"]).to_numpy()
    # The stored limits carry 15 digits of a root found to 1e-11.
    assert np.abs((ours["conf_low"] - stored["lower"].to_numpy()) / width).max() < 1e-9
    assert np.abs((ours["conf_high"] - stored["upper"].to_numpy()) / width).max() < 1e-9


@pytest.mark.parametrize("key", ["sleepstudy_ri_ml", "sleepstudy_rs_ml", "orthodont_ri_ml"])
def test_profile_limits_of_ml_fits_are_those_of_lme4(key):
    model = load_model("profile", key)
    stored = pd.DataFrame(model.numbers["lme4_profile"])
    stored = stored[stored["parameter"].isin(model.numbers["theta_names"])]
    ours = limits_of(fit_stored(model))
    ours = ours[ours.index.str.startswith(("var", "residual"))]
    # lme4 reads its limits off a spline; the reference README says how far that carries.
    width = (stored["upper"] - stored["lower"]).to_numpy()
    assert np.abs((ours["conf_low"] - stored["lower"].to_numpy()) / width).max() < 1e-6
    assert np.abs((ours["conf_high"] - stored["upper"].to_numpy()) / width).max() < 1e-6


def test_profile_limits_of_a_correlation_of_random_effects_are_those_of_lme4():
    model = load_model("profile", "sleepstudy_rs_ml")
    row = limits_of(fit_stored(model)).loc["cor(intercept, days | subject)"]
    ours = [row["conf_low"], row["conf_high"]]
    np.testing.assert_allclose(ours, model.numbers["lme4_correlation_interval"], atol=1e-5)


def complete_pairs(n=25):
    """Two visits each, nothing missing: Sigma-hat is the covariance of the residuals."""
    rng = np.random.default_rng(4)
    y = rng.normal(size=(n, 2)) @ np.array([[1.0, 0.7], [0.0, 1.4]])
    return pd.DataFrame(
        {"who": np.repeat(np.arange(n), 2), "visit": ["v1", "v2"] * n, "y": y.ravel()}
    )


def test_wald_limits_of_complete_data_follow_the_wishart_distribution():
    table = complete_pairs()
    found = limits_of(fit("y ~ visit", table), "wald")
    S = np.cov(table["y"].to_numpy().reshape(-1, 2).T)
    df = len(table) / 2 - 1
    r = S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])
    assert found.loc["var(v1)", "std_error"] == pytest.approx(S[0, 0] * np.sqrt(2 / df), rel=1e-8)
    assert found.loc["cor(v1, v2)", "std_error"] == pytest.approx(
        (1 - r**2) / np.sqrt(df), rel=1e-8
    )
    # Twice the log SD is the log variance, of standard error sqrt(2/df).
    limits = found.loc["var(v1)", ["conf_low", "conf_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(
        limits, S[0, 0] * np.exp(np.array([-Z, Z]) * np.sqrt(2 / df)), rtol=1e-8
    )
    # Fisher's z has standard error 1/sqrt(df) here.
    limits = found.loc["cor(v1, v2)", ["conf_low", "conf_high"]].to_numpy(dtype=float)
    np.testing.assert_allclose(
        limits, np.tanh(np.arctanh(r) + np.array([-Z, Z]) / np.sqrt(df)), rtol=1e-8
    )
    covariance = found.loc["cov(v1, v2)"]
    assert covariance["conf_high"] - covariance["estimate"] == pytest.approx(
        Z * np.sqrt((S[0, 0] * S[1, 1] + S[0, 1] ** 2) / df), rel=1e-8
    )


def test_profile_limits_of_one_variance_solve_its_own_equation():
    table = complete_pairs().query("visit == 'v1'")
    found = limits_of(fit("y ~ 1", table, covariance="cs")).loc["variance"]
    s2, df = table["y"].var(), len(table) - 1

    def drop(v):
        return df * (np.log(v / s2) + s2 / v - 1) - stats.chi2.ppf(0.95, 1)

    assert found["conf_low"] == pytest.approx(optimize.brentq(drop, 1e-3 * s2, s2), rel=1e-8)
    assert found["conf_high"] == pytest.approx(optimize.brentq(drop, s2, 1e3 * s2), rel=1e-8)


@pytest.mark.parametrize("other", ["csh", "toeph", "ar1h", "adh"])
def test_profile_limits_do_not_depend_on_the_parameters_of_a_model(other):
    trial = make_trial(3, n_visits=2)
    un, same = (limits_of(fit("y ~ arm * visit", trial, covariance=c)) for c in ("un", other))
    for name, own in (("var(v1)", "var(v1)"), ("cor(v1, v2)", same.index[-1])):
        for limit in ("conf_low", "conf_high"):
            assert same.loc[own, limit] == pytest.approx(un.loc[name, limit], rel=1e-7)


def test_profile_limits_of_a_random_intercept_are_those_of_the_covariance_in_cs():
    trial = make_trial(3, n_subjects=60)
    trial["y"] += trial.groupby("who")["x"].transform("sum")
    cs = limits_of(fit("y ~ arm * visit", trial, covariance="cs")).loc["covariance"]
    lmm = aibmd.fit_lmm("y ~ arm * visit", trial, subject="who", random="1")
    effect = limits_of(lmm).loc["var(intercept | who)"]
    assert effect["conf_low"] > 0
    for limit in ("conf_low", "conf_high"):
        assert effect[limit] == pytest.approx(cs[limit], rel=1e-7)


@pytest.mark.parametrize("method", ["wald", "profile"])
@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_limits_carry_the_unit_of_the_response_and_correlations_none(method, factor):
    trial = make_trial(5, n_visits=3)
    one = limits_of(fit("y ~ arm * visit", trial), method)
    other = limits_of(fit("y ~ arm * visit", trial.assign(y=factor * trial["y"])), method)
    is_correlation = one.index.str.startswith("cor")
    unit = np.where(is_correlation, 1.0, factor**2)
    for column in ("conf_low", "conf_high"):
        np.testing.assert_allclose(other[column], unit * one[column], rtol=1e-6)


def dense_random_slopes(table, method):
    """V of random intercept and slope from scratch, by (log su, atanh rho, log sv, log s)."""
    y, time = table["y"].to_numpy(), table["time"].to_numpy(dtype=float)
    same = table["who"].to_numpy()[:, None] == table["who"].to_numpy()
    Z = np.column_stack([np.ones(len(time)), time])

    def V(p):
        su, rho, sv, s = np.exp(p[0]), np.tanh(p[1]), np.exp(p[2]), np.exp(p[3])
        G = np.array([[su * su, rho * su * sv], [rho * su * sv, sv * sv]])
        return (Z @ G @ Z.T) * same + s * s * np.eye(len(time))

    return dense.DenseModel(Z, y, V, method)


def best_loglik(model, top, place, held):
    """The likelihood maximised over all but one coordinate, by a general optimiser."""
    free = [i for i in range(len(top)) if i != place]

    def minus(q):
        p = np.empty(len(top))
        p[free], p[place] = q, held
        return -model.loglik(p)

    return -optimize.minimize(minus, top[free], method="BFGS", options={"gtol": 1e-7}).fun


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_at_each_limit_the_dense_likelihood_has_dropped_by_half_the_chi_square_quantile(method):
    trial = make_trial(8, n_subjects=24, n_visits=4, gaps=0.1)
    trial["time"] = trial["visit"].str[1:].astype(float)
    rng = np.random.default_rng(2)
    b = rng.normal(size=(24, 2)) @ np.array([[2.0, 0.3], [0.0, 1.0]])
    errors = 0.5 * rng.normal(size=len(trial))
    trial["y"] = b[trial["who"], 0] + b[trial["who"], 1] * trial["time"] + errors
    lmm = aibmd.fit_lmm("y ~ time", trial, subject="who", random="1 + time", method=method)
    model, ours = dense_random_slopes(trial, method), limits_of(lmm)
    own = [lambda v: np.log(v) / 2, np.arctanh, lambda v: np.log(v) / 2, lambda v: np.log(v) / 2]
    rows = ours.iloc[[0, 4, 2, 3]]
    top = np.array([f(v) for f, v in zip(own, rows["estimate"], strict=True)])
    for place, limits in enumerate(rows[["conf_low", "conf_high"]].to_numpy()):
        for limit in limits:
            dropped = model.loglik(top) - best_loglik(model, top, place, own[place](limit))
            assert 2 * dropped == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-6)


def test_a_variance_of_zero_has_no_wald_limits_and_a_lower_profile_limit_of_zero():
    found = fit_stored(load_model("singular", "dyestuff2_ri"))
    wald = limits_of(found, "wald").iloc[0]
    assert np.isnan(wald[["std_error", "conf_low", "conf_high"]].to_numpy(dtype=float)).all()
    assert "boundary" in wald["note"]
    profile = limits_of(found)
    assert profile.iloc[0]["conf_low"] == 0.0
    assert "zero" in profile.iloc[0]["note"]
    # Balanced one-way layout: mean squares are all the likelihood knows.
    y = found.design.rows.y.reshape(6, 5)
    between = 5 * ((y.mean(axis=1) - y.mean()) ** 2).sum()
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()

    def deviance(a, e):
        return 24 * np.log(e) + 5 * np.log(e + 5 * a) + within / e + between / (e + 5 * a)

    def profiled(a):
        return optimize.minimize_scalar(
            lambda e: deviance(a, e), bounds=(1, 100), method="bounded", options={"xatol": 1e-10}
        ).fun

    drop = profiled(profile.iloc[0]["conf_high"]) - profiled(0.0)
    assert drop == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-6)


def test_a_correlation_of_one_is_its_own_upper_limit():
    row = limits_of(fit_stored(load_model("singular", "tied_slope_rs"))).iloc[-1]
    assert row["conf_high"] == 1.0
    assert -1.0 < row["conf_low"] < 1.0
    assert "+1" in row["note"]


def test_where_a_variance_may_be_zero_a_correlation_may_be_anything():
    trial = make_trial(1, n_subjects=30, n_visits=4)
    trial["time"] = trial["visit"].str[1:].astype(float)
    levels = 2 * trial.groupby("who")["x"].transform("sum")
    trial["y"] = levels + np.random.default_rng(1).normal(size=len(trial))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", aibmd.SingularFitWarning)
        lmm = aibmd.fit_lmm("y ~ time", trial, subject="who", random="1 + time")
    ours = limits_of(lmm)
    assert ours.loc["var(time | who)", "conf_low"] == 0.0
    assert ours.iloc[-1][["conf_low", "conf_high"]].tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    "options", [{}, {"covariance": "toep"}, {"covariance": "cs"}, {"group": "arm"}]
)
def test_implied_correlations_are_those_of_the_covariance_matrix(options):
    found = fit("y ~ arm * visit", make_trial(6), **options)
    ours = limits_of(found, "wald")["estimate"]
    ours = ours[ours.index.str.startswith("cor")]
    tables = found.covariance if isinstance(found.covariance, dict) else {"": found.covariance}
    expected = []
    for Sigma in tables.values():
        R = (Sigma / np.sqrt(np.outer(np.diag(Sigma), np.diag(Sigma)))).to_numpy()
        expected += list(dict.fromkeys(np.round(R[np.triu_indices(3, 1)], 12)))
    assert sorted(np.round(ours, 12)) == sorted(expected)


def test_a_wider_level_gives_wider_limits_and_parameters_can_be_chosen():
    found = fit("y ~ visit", make_trial(2))
    names = ["cor(v1, v2)", "var(v2)"]
    narrow, wide = (limits_of(found, conf_level=c, parameters=names) for c in (0.5, 0.99))
    assert narrow.index.tolist() == names
    assert (wide["conf_low"] < narrow["conf_low"]).all()
    assert (wide["conf_high"] > narrow["conf_high"]).all()


def test_what_cannot_be_answered_is_refused():
    found = fit("y ~ visit", make_trial(2))
    with pytest.raises(AibmdError, match="'var\\(v9\\)' is no covariance parameter"):
        aibmd.covariance_intervals(found, parameters=["var(v9)"])
    with pytest.raises(AibmdError, match="'wald' or 'profile'"):
        aibmd.covariance_intervals(found, "bootstrap")
    with pytest.raises(AibmdError, match="between 0 and 1"):
        aibmd.covariance_intervals(found, conf_level=95)


@pytest.mark.filterwarnings("ignore::aibmd.errors.SingularFitWarning")
def test_a_fit_that_is_not_certified_has_no_intervals():
    table = complete_pairs(3)
    table.loc[table["visit"] == "v2", "y"] = table.loc[table["visit"] == "v1", "y"].to_numpy() * 2
    found = fit("y ~ visit", table, df_method="residual")
    assert not found.converged
    with pytest.raises(ConvergenceError, match="not certified"):
        aibmd.covariance_intervals(found)
