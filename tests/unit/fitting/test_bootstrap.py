"""Refits, draws and the parametric bootstrap: the same whoever computes them, nothing lost."""

import operator
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import stats

import aibmd
from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.bootstrap import quantile_std_error
from aibmd.fitting.outcome_draws import prepare_draws
from aibmd.fitting.refit import refit
from aibmd.fitting.replicates import _result_of


@pytest.fixture(scope="module")
def trial():
    table = make_trial(9, n_subjects=50)
    rng = np.random.default_rng(1)
    table["y"] += rng.normal(size=50)[table["who"]]
    table["w"] = rng.uniform(0.5, 2.0, len(table))
    table["s"] = rng.uniform(0.5, 2.0, 50)[table["who"]]
    table["time"] = table["visit"].str[1:].astype(float)
    return table


MODELS = {
    "un": lambda t: fit("y ~ arm * visit + x", t),
    "weights": lambda t: fit("y ~ arm * visit", t, covariance="ar1h", weights="w"),
    "sampling": lambda t: fit("y ~ arm * visit", t, sampling_weights="s", vcov="CR2"),
    "group": lambda t: fit("y ~ arm * visit", t, covariance="cs", group="arm", method="ml"),
    "times": lambda t: fit("y ~ arm * time", t, covariance="sp_exp", visit=None, time="time"),
    "effects": lambda t: aibmd.fit_lmm("y ~ arm * time", t, subject="who", random="1", weights="w"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_refit_is_the_fit_of_a_table_with_the_new_outcomes(trial, name):
    found = MODELS[name](trial)
    y = trial["y"].to_numpy() + np.random.default_rng(2).normal(size=len(trial))
    ours, fresh = refit(found, y), MODELS[name](trial.assign(y=y))
    assert ours.llf == pytest.approx(fresh.llf, rel=1e-11)
    for attribute in ("params", "bse", "covariance_parameters", "fittedvalues"):
        one, other = getattr(ours, attribute), getattr(fresh, attribute)
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ours.df, fresh.df, rtol=1e-6)


class UnitVector:
    """Not random at all: a column of the identity, so that draws are the columns of a root of V."""

    def __init__(self, place):
        self.place = place

    def standard_normal(self, n):
        return np.eye(n)[self.place]


def textbook_covariance(found, table, name):
    """V of all rows from what the fit prints."""
    visit = table["visit"].str[1:].astype(int).to_numpy() - 1
    same = table["who"].to_numpy()[:, None] == table["who"].to_numpy()
    w = table["w"].to_numpy() if name in ("weights", "effects") else np.ones(len(table))
    if name == "times":
        variance, rho = found.covariance_parameters
        return same * variance * rho ** np.abs(np.subtract.outer(*[table["time"].to_numpy()] * 2))
    if name == "effects":
        intercept, residual = found.covariance_parameters
        return same * intercept + np.diag(residual / w)
    if name == "group":
        Sigmas = np.stack([one.to_numpy() for one in found.covariance.values()])
        arm = (table["arm"] == "b").to_numpy().astype(int)
        return same * Sigmas[arm[:, None], visit[:, None], visit]
    return same * found.covariance.to_numpy()[visit[:, None], visit] / np.sqrt(np.outer(w, w))


@pytest.mark.parametrize("name", MODELS)
def test_draws_have_the_covariance_of_the_fit(trial, name):
    found = MODELS[name](trial)
    sampler = prepare_draws(found)
    root = np.stack([sampler.draw(UnitVector(i)) for i in range(len(trial))], axis=1)
    root -= found.fittedvalues.to_numpy()[:, None]
    expected = textbook_covariance(found, trial, name)
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-10 * expected.max())


def test_a_refit_takes_one_finite_outcome_for_each_row(trial):
    found = MODELS["un"](trial)
    for y in (np.ones(3), np.full(found.n_obs, np.nan)):
        with pytest.raises(AibmdError, match="finite numbers, one for each row"):
            refit(found, y)


def test_replicates_do_not_depend_on_the_number_of_processes(trial):
    found, params, seen = MODELS["un"](trial), operator.attrgetter("params"), []
    one = aibmd.bootstrap(found, params, 60, rng=4)
    two = aibmd.bootstrap(
        found, params, 60, rng=4, n_jobs=2, progress=lambda done, total: seen.append((done, total))
    )
    pd.testing.assert_frame_equal(one.replicates, two.replicates, check_exact=False, rtol=1e-10)
    assert sorted(seen)[-1] == (60, 60)
    assert len(seen) == 3
    other = aibmd.bootstrap(found, params, 60, rng=np.random.default_rng(5))
    assert not np.allclose(other.replicates, one.replicates)


def test_the_scatter_of_coefficients_is_their_standard_error(trial):
    found = fit("y ~ arm * visit + x", trial, df_method="residual")
    result = aibmd.bootstrap(found, operator.attrgetter("params"), 400, rng=6).to_frame()
    # The SD of 400 normal values has a standard error of 1/sqrt(800) of itself.
    ratio = result["std_error"].to_numpy() / found.bse.to_numpy()
    assert np.abs(ratio - 1).max() < 4 / np.sqrt(800)
    assert (np.abs(result["bias"]) < 4 * result["std_error"] / np.sqrt(400)).all()


def test_percentile_limits_follow_a_monotone_function_and_basic_limits_mirror_them(trial):
    found = MODELS["un"](trial)
    # With 199 replicates the limits at 95 % are the 5th and the 195th value.
    plain = aibmd.bootstrap(found, lambda f: f.params.iloc[1], 199, rng=7)
    curved = aibmd.bootstrap(found, lambda f: np.exp(f.params.iloc[1]), 199, rng=7)
    one, other = plain.to_frame().iloc[0], curved.to_frame().iloc[0]
    ordered = np.sort(plain.replicates["statistic"])
    assert one["percentile_low"] == pytest.approx(ordered[4], rel=1e-12)
    assert one["percentile_high"] == pytest.approx(ordered[194], rel=1e-12)
    assert other["percentile_low"] == pytest.approx(np.exp(one["percentile_low"]), rel=1e-12)
    assert one["basic_low"] == pytest.approx(2 * one["estimate"] - one["percentile_high"])
    assert one["basic_high"] == pytest.approx(2 * one["estimate"] - one["percentile_low"])


def test_failed_replicates_stay_in_the_table_and_are_counted(trial):
    found = MODELS["un"](trial)

    def of_large_effects_only(one):
        value = one.params.iloc[1]
        if value < found.params.iloc[1] and one is not found:
            raise ConvergenceError("no answer for small effects")
        return {"effect": value}

    result = aibmd.bootstrap(found, of_large_effects_only, 60, rng=8)
    assert 10 < result.n_failed < 50
    assert result.replicates["effect"].isna().sum() == result.n_failed
    assert len(result.replicates) == 60
    assert result.to_frame().loc[0, "n_used"] == 60 - result.n_failed
    assert f"{result.n_failed} refits of 60 failed" in result.summary()
    assert f"{result.n_failed} x no answer for small effects" in repr(result)


def test_a_bootstrap_without_replicates_left_is_no_answer(trial):
    found = MODELS["un"](trial)

    def never(one):
        if one is not found:
            raise ConvergenceError("never")
        return 1.0

    with pytest.raises(ConvergenceError, match="20 of 20 refits failed: never"):
        aibmd.bootstrap(found, never, 20, rng=8)


def test_the_error_of_a_quantile_is_that_of_its_order_statistic():
    n, p = 999, 0.025
    uniform = np.arange(1, n + 1) / (n + 1)
    # The 25th of 999 uniform values is Beta(25, 975).
    assert quantile_std_error(uniform, p) == pytest.approx(stats.beta(25, 975).std(), rel=0.02)
    normal = stats.norm.ppf(uniform)
    large_sample = np.sqrt(p * (1 - p) / n) / stats.norm.pdf(stats.norm.ppf(p))
    assert quantile_std_error(normal, p) == pytest.approx(large_sample, rel=0.1)
    assert quantile_std_error(normal + 1e6, p) == pytest.approx(quantile_std_error(normal, p))


def test_a_number_is_named_after_its_function(trial):
    found = MODELS["un"](trial)

    def arm_effect(one):
        return one.params.iloc[1]

    result = aibmd.bootstrap(found, arm_effect, 20, rng=1)
    assert result.replicates.columns.tolist() == ["arm_effect"]
    assert result.to_frame()["statistic"].tolist() == ["arm_effect"]
    for nameless in (lambda one: one.llf, operator.attrgetter("llf")):
        result = aibmd.bootstrap(found, nameless, 20, rng=1)
        assert result.replicates.columns.tolist() == ["statistic"]


def test_progress_prints_nothing_where_there_is_no_terminal(trial, capsys):
    pytest.importorskip("rich")
    aibmd.bootstrap(MODELS["un"](trial), operator.attrgetter("llf"), 20, rng=1, progress=True)
    assert capsys.readouterr() == ("", "")


SCRIPT = """
import numpy as np, pandas as pd, aibmd

if __name__ == "__main__":
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    table["y"] = rng.normal(size=40)
    fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit", covariance="cs")

    def effect(fit):
        return fit.params.iloc[1]

    try:
        aibmd.bootstrap(fit, effect, 50, rng=1, n_jobs=2)
    except aibmd.AibmdError as error:
        print("refused:", error)
"""


def test_a_statistic_that_other_processes_cannot_find_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.startswith("refused: the statistic is not to be found")
    assert "define it at the top of an importable module" in ended.stdout
    assert "n_jobs=1" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_process_that_ends_is_an_error_with_a_remedy():
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        submitted = pool.submit(os._exit, 1)
    with pytest.raises(AibmdError, match=r"a process ended before its work was done.*n_jobs=1"):
        _result_of(submitted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rng": None}, "rng= is missing"),
        ({"rng": "seed"}, "not a whole number or a numpy Generator"),
        ({"n_replicates": 0}, "not a positive whole number"),
        ({"n_jobs": 0}, "not a positive number of processes"),
        ({"statistic": lambda f: "text"}, "statistic returned a str"),
        ({"statistic": lambda f: f.tidy()}, "statistic returned a DataFrame"),
        ({"n_jobs": 2}, "cannot be sent to other processes"),
        ({"conf_level": 95}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_bootstrapped_is_refused(trial, options, message):
    given = {"statistic": lambda f: f.llf, "n_replicates": 20, "rng": 1} | options
    with pytest.raises(AibmdError, match=message):
        aibmd.bootstrap(MODELS["un"](trial), **given)


def test_a_fit_that_is_not_certified_is_not_drawn_from(trial):
    found = MODELS["un"](trial)
    certificate = replace(found.engine.certificate, converged=False)
    doubtful = replace(found, engine=replace(found.engine, certificate=certificate))
    with pytest.raises(ConvergenceError, match="nothing to draw from"):
        aibmd.bootstrap(doubtful, operator.attrgetter("params"), 20, rng=1)
