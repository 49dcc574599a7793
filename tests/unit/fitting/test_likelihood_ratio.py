"""Likelihood ratios: stored tests, nesting told from what structures can make, and refusals."""

import dataclasses
import sys
import warnings
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import optimize, stats

import aibmd
from aibmd.errors import AibmdError, ConvergenceError
from aibmd.inference.nesting import is_structure_nested
from aibmd.model.covariance import STRUCTURES

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))
from stored_models import load_model

STORED = load_model("random_slopes", "likelihood_ratios").numbers["tests"]
FEV = load_model("fev_dense", "us_reml")


def fit_random(key):
    """A stored model with random effects by subject, nested ones inside."""
    model = load_model("random_slopes", key)
    parts = [part.strip("() ") for part in model.random.split(") + (")]
    pieces = [[side.strip() for side in part.split("|")] for part in parts]
    by_grouping = {}
    for right, grouping in pieces:
        by_grouping.setdefault(grouping, []).append(right.removeprefix("0 + "))
    random = {grouping: " + ".join(rights) for grouping, rights in by_grouping.items()}
    is_diagonal = len(by_grouping) < len(pieces)
    return aibmd.fit_lmm(
        model.formula,
        model.data,
        subject="subject",
        random=random,
        random_covariance="diagonal" if is_diagonal else "full",
        method=model.method,
    )


@pytest.mark.parametrize("stored", STORED, ids=lambda t: f"{t['small']}-{t['large']}")
def test_random_effects_are_tested_as_stored(stored):
    ours = aibmd.likelihood_ratio_test(fit_random(stored["small"]), fit_random(stored["large"]))
    assert ours.statistic == pytest.approx(stored["statistic"], abs=1e-6)
    assert ours.df == stored["added_parameters"]
    # A covariance between effects that both models have is no boundary matter.
    adds_variance = "diag" not in stored["small"]
    expected = stored["p_half_mixture" if adds_variance else "p_chi_square"]
    assert ours.p_value == pytest.approx(expected, rel=1e-6)
    assert ours.reference.startswith("50:50 mixture" if adds_variance else "chi-square")


@pytest.mark.parametrize(
    ("small", "large", "df"),
    [("cs_reml", "us_reml", 8), ("ar1h_reml", "us_reml", 5), ("csh_reml", "csh_by_arm_reml", 5)],
)
def test_visit_covariances_are_tested_by_chi_square(small, large, df):
    one, other = (load_model("fev_dense", key) for key in (small, large))
    fits = [
        aibmd.fit_mmrm(
            m.formula,
            m.data,
            subject="usubjid",
            visit="avisit",
            covariance=m.structure,
            group="armcd" if "by_arm" in m.key else None,
        )
        for m in (one, other)
    ]
    ours = aibmd.likelihood_ratio_test(*fits)
    assert ours.statistic == pytest.approx(2 * (other.loglik - one.loglik), abs=1e-6)
    assert ours.df == df
    assert ours.p_value == pytest.approx(stats.chi2.sf(ours.statistic, df), rel=1e-12)


def test_fixed_effects_of_independent_rows_are_tested_by_the_log_of_sums_of_squares():
    table = make_trial(4).query("visit == 'v1'")
    small, large = (
        fit(f, table, covariance="cs", method="ml") for f in ("y ~ base", "y ~ base + arm + x")
    )
    ours = aibmd.likelihood_ratio_test(small, large)
    sums = [(one.resid**2).sum() for one in (small, large)]
    assert ours.statistic == pytest.approx(len(table) * np.log(sums[0] / sums[1]), rel=1e-9)
    assert ours.df == 2


SCHEDULED = [name for name, structure in STRUCTURES.items() if structure.is_scheduled]


@pytest.mark.parametrize(("small", "large"), list(permutations(SCHEDULED, 2)))
def test_a_structure_lies_in_another_exactly_where_that_can_make_its_matrices(small, large):
    m, positions = 4, np.arange(4.0)
    thetas = {
        "un": np.array([1.0, 0.5, 0.1, 0.3, 1.3, 0.4, 0.6, 1.7, 0.2, 0.9]),
        "cs": np.array([1.3, 0.5]),
        "csh": np.array([1.0, 1.3, 1.7, 0.9, 0.4]),
        "toep": np.array([1.3, 0.5, 0.4, 0.1]),
        "toeph": np.array([1.0, 1.3, 1.7, 0.9, 0.4, 0.3, 0.1]),
        "ar1": np.array([1.3, 0.5]),
        "ar1h": np.array([1.0, 1.3, 1.7, 0.9, 0.5]),
        "ad": np.array([1.3, 0.5, 0.2, 0.7]),
        "adh": np.array([1.0, 1.3, 1.7, 0.9, 0.5, 0.2, 0.7]),
    }
    Sigma = STRUCTURES[small].value(thetas[small], positions)
    wide = STRUCTURES[large]
    start = wide.start(Sigma, np.ones((m, m)))
    best = optimize.least_squares(
        lambda theta: (wide.value(theta, positions) - Sigma).ravel(),
        start,
        bounds=(np.where(wide.is_variance(m), 1e-6, -0.999 if small != "un" else -5.0), 5.0),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    can_make_it = np.abs(best.fun).max() < 1e-6
    assert is_structure_nested(small, large) == can_make_it


def test_a_product_lies_in_un_over_all_cells_and_in_wider_products():
    rng = np.random.default_rng(3)
    n = 60
    table = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), 4),
            "site": np.tile(["hip", "hip", "spine", "spine"], n),
            "visit": np.tile(["v1", "v2"], 2 * n),
        }
    )
    table["y"] = rng.normal(size=4 * n) + np.repeat(rng.normal(size=n), 4)
    cs, un, cells = (
        fit("y ~ site * visit", table, covariance=c, repeated="site")
        for c in ("cs@cs", "un@un", "un")
    )
    assert aibmd.likelihood_ratio_test(un, cells).df == 10 - 5
    assert aibmd.likelihood_ratio_test(cs, un).df == 5 - 3
    assert aibmd.likelihood_ratio_test(cs, cells).reference == "chi-square on 7 df"


def test_the_coding_of_factors_does_not_move_a_restricted_likelihood_ratio():
    trial = make_trial(7)
    small = fit("y ~ arm * visit", trial, covariance="cs")
    plain, coded = (
        fit(f, trial)
        for f in ("y ~ arm * visit", "y ~ C(arm, contr.sum) * C(visit, contr.helmert)")
    )
    assert abs(plain.llf - coded.llf) > 0.1
    one, other = (aibmd.likelihood_ratio_test(small, large) for large in (plain, coded))
    assert other.statistic == pytest.approx(one.statistic, abs=1e-8)


def test_restricted_likelihoods_of_different_fixed_effects_are_not_compared():
    trial = make_trial(7)
    with pytest.raises(AibmdError, match="refit both with method='ml'"):
        aibmd.likelihood_ratio_test(fit("y ~ visit", trial), fit("y ~ arm + visit", trial))


def test_likelihoods_of_different_data_are_not_compared():
    trial = make_trial(7)
    found = fit("y ~ visit", trial, covariance="cs")
    with pytest.raises(AibmdError, match=r"use \d+ and \d+ rows"):
        aibmd.likelihood_ratio_test(found, fit("y ~ visit", trial.iloc[:-1]))
    with pytest.raises(AibmdError, match="different outcomes"):
        aibmd.likelihood_ratio_test(found, fit("I(2 * y) ~ visit", trial))
    with pytest.raises(AibmdError, match="different columns as weights"):
        aibmd.likelihood_ratio_test(
            found, fit("y ~ visit", trial.assign(w=1.0 + trial["x"] ** 2), weights="w")
        )
    with pytest.raises(AibmdError, match="one fit is by 'reml', the other by 'ml'"):
        aibmd.likelihood_ratio_test(found, fit("y ~ visit", trial, method="ml"))


def test_models_that_are_not_nested_are_refused():
    trial = make_trial(7)
    un, cs, ad = (fit("y ~ visit", trial, covariance=c) for c in ("un", "cs", "ad"))
    with pytest.raises(AibmdError, match="wrong order"):
        aibmd.likelihood_ratio_test(un, cs)
    with pytest.raises(AibmdError, match=r"not known to be a special case|smaller log-likelihood"):
        aibmd.likelihood_ratio_test(cs, ad)
    with pytest.raises(AibmdError, match="not a special case of"):
        aibmd.likelihood_ratio_test(
            *(fit(f, trial, method="ml") for f in ("y ~ x", "y ~ arm + visit"))
        )
    with pytest.raises(AibmdError, match="parameters and the smaller"):
        aibmd.likelihood_ratio_test(cs, cs)


def test_sampling_weights_have_no_likelihood_ratio():
    trial = make_trial(7)
    trial["s"] = trial["who"] % 3 + 1.0
    weighted = fit("y ~ visit", trial, sampling_weights="s", vcov="CR0")
    with pytest.raises(AibmdError, match="use wald_test"):
        aibmd.likelihood_ratio_test(weighted, weighted)


def random_slopes(seed, n=25, slope_sd=0.0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"who": np.repeat(np.arange(n), 4), "time": np.tile(np.arange(4.0), n)})
    table["visit"] = "v" + table["time"].astype(str)
    table["z"] = rng.normal(size=4 * n)
    b = rng.normal(size=(n, 2)) * [1.0, slope_sd]
    table["y"] = b[table["who"], 0] + b[table["who"], 1] * table["time"] + rng.normal(size=4 * n)
    return table


def fit_slopes(table, random="1", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", aibmd.SingularFitWarning)
        return aibmd.fit_lmm("y ~ time", table, subject="who", random=random, **options)


def test_several_added_variances_need_the_bootstrap():
    table = random_slopes(1, slope_sd=2.0)
    small, large = fit_slopes(table), fit_slopes(table, "1 + time + z")
    with pytest.raises(AibmdError, match=r"2 variances are zero.*reference='bootstrap'"):
        aibmd.likelihood_ratio_test(small, large)
    with pytest.raises(AibmdError, match="needs rng="):
        aibmd.likelihood_ratio_test(small, large, "bootstrap")
    once, again = (
        aibmd.likelihood_ratio_test(small, large, "bootstrap", n_replicates=39, rng=5)
        for _ in range(2)
    )
    assert once == again
    # The slopes are there: no replicate without them comes near.
    assert once.p_value == pytest.approx(1 / (40 - once.n_failed))
    assert "bootstrap, 39 replicates" in once.reference
    assert f"none of {39 - once.n_failed} draws reached {once.statistic:.4f}: p is" in repr(once)


def test_a_smaller_fit_on_its_boundary_needs_the_bootstrap():
    table = random_slopes(2)
    table["y"] -= table.groupby("who")["y"].transform("mean")
    small = fit_slopes(table)
    assert small.singular
    large = fit_slopes(table, residual="ar1", visit="visit")
    with pytest.raises(AibmdError, match="on the boundary"):
        aibmd.likelihood_ratio_test(small, large)


def test_a_residual_correlation_over_time_is_added_at_its_bound():
    table = random_slopes(3)
    with pytest.raises(AibmdError, match=r"correlation lies at its bound.*bootstrap"):
        aibmd.likelihood_ratio_test(
            fit_slopes(table), fit_slopes(table, residual="sp_exp", time="time")
        )


def test_an_added_variance_that_is_estimated_as_zero_has_a_p_value_of_one():
    fits = []
    for seed in range(20):
        table = random_slopes(seed)
        large = fit_slopes(table, "1 + time", random_covariance="diagonal")
        if large.singular:
            fits = [fit_slopes(table), large]
            break
    ours = aibmd.likelihood_ratio_test(*fits)
    assert ours.statistic == pytest.approx(0.0, abs=1e-6)
    assert ours.p_value > 0.49
    assert ours.reference.startswith("50:50 mixture of chi-squares on 0 and 1 df")


def test_groups_of_residual_variances_are_nested_in_none():
    table = random_slopes(4).assign(half=lambda t: np.where(t["time"] < 2, "early", "late"))
    ours = aibmd.likelihood_ratio_test(fit_slopes(table), fit_slopes(table, residual_group="half"))
    assert ours.reference == "chi-square on 1 df"


def test_a_fit_that_is_not_certified_is_refused():
    trial = make_trial(1, n_subjects=4, n_visits=3, gaps=0)
    trial.loc[trial["visit"] == "v2", "y"] = trial.loc[trial["visit"] == "v1", "y"].to_numpy()
    small = fit("y ~ visit", trial, covariance="cs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        large = fit("y ~ visit", trial, df_method="residual")
    assert not large.converged
    with pytest.raises(ConvergenceError, match="larger fit is not certified"):
        aibmd.likelihood_ratio_test(small, large)


@pytest.fixture
def printed():
    """A bootstrap in which 4 of 98 draws reached the statistic and one more failed."""
    return aibmd.fitting.likelihood_ratio.LikelihoodRatioTest(
        smaller="y ~ visit, covariance cs",
        larger="y ~ arm * visit, covariance toeph",
        loglik_smaller=-101.25,
        loglik_larger=-98.5,
        statistic=5.5,
        df=3,
        reference="parametric bootstrap",
        p_value=5 / 99,
        method="ml",
        n_replicates=99,
        n_failed=1,
    )


def test_log_likelihoods_stand_below_each_other(printed):
    _, smaller, larger, *_ = repr(printed).splitlines()
    assert smaller.endswith("log-likelihood -101.2500")
    assert larger.endswith("log-likelihood  -98.5000")
    assert len(smaller) == len(larger)


def test_a_bootstrap_prints_its_error_or_the_bound_that_no_draw_reached(printed):
    # sqrt(p (1 - p) / 98) with p = 5 / 99
    assert "p-value    0.0505   (Monte Carlo SE 0.0221)" in repr(printed)
    none = dataclasses.replace(printed, p_value=1 / 99)
    assert "p-value    none of 98 draws reached 5.5000: p is at most 0.01\n" in repr(none)
    assert "Monte Carlo" not in repr(none)
    one = dataclasses.replace(printed, p_value=2 / 99)
    assert "p-value    0.0202   (Monte Carlo SE" in repr(one)
    formula = dataclasses.replace(printed, n_replicates=0, n_failed=0, p_value=1e-6)
    assert "p-value    <0.0001" in repr(formula).splitlines()[-1]


def test_the_printed_test_names_its_reference():
    trial = make_trial(7)
    ours = aibmd.likelihood_ratio_test(
        *(fit("y ~ visit", trial, covariance=c) for c in ("cs", "un"))
    )
    assert "reference  chi-square on 4 df" in repr(ours)
    row = ours.to_frame().iloc[0]
    assert (row["statistic"], row["p_value"]) == (ours.statistic, ours.p_value)
