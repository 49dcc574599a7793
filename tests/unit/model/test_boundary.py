"""Random effects at their boundary: certified as such, left where the likelihood rises inwards."""

import dense
import made_criteria as made
import numpy as np
import pandas as pd
import pytest
import textbook_covariances as tc
from made_covariances import differentiate_numerically
from scipy.optimize import minimize
from statsmodels.api import OLS

import aibmd
from aibmd.errors import AibmdError, ConvergenceError, SingularFitWarning
from aibmd.model import engine as module
from aibmd.model.boundary import examine_boundary
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RandomPart
from aibmd.model.covariance.terms import IndependentTerm
from aibmd.model.criteria import subject_criterion
from aibmd.model.engine import fit_engine
from aibmd.model.features import build_features
from aibmd.model.optimiser import maximise

DF_METHODS = ["kenward_roger", "satterthwaite"]


def make_slopes(G, seed=1, n_subjects=30, n_times=4, noise=1.0):
    """Random intercepts and slopes with covariance G (any rank), gaps in the rows."""
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(np.asarray(G, dtype=float))
    effects = rng.normal(size=(n_subjects, 2)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    who, step = np.indices((n_subjects, n_times)).reshape(2, -1)
    time = step + rng.uniform(0, 0.5, len(who))
    arm = np.where(who % 2 == 0, "a", "b")
    y = 1 + 0.3 * time + effects[who, 0] + effects[who, 1] * time
    table = pd.DataFrame({"who": who, "time": time, "arm": arm, "visit": step})
    table["y"] = y + noise * rng.normal(size=len(who))
    return table[rng.uniform(size=len(who)) > 0.1].reset_index(drop=True)


def without_between(table, share=0.95):
    """Subjects differ less than their own errors allow: the variance estimate is zero."""
    residual = table["y"] - table.groupby("who")["y"].transform("mean") * share
    return table.assign(y=residual)


def fit_lmm(table, random="1 + time", **options):
    return aibmd.fit_lmm("y ~ arm * time", table, subject="who", random=random, **options)


def oracle(table, random):
    """Dense model of the same rows: intercepts, or intercepts and slopes."""
    n = len(table)
    time, b = table["time"].to_numpy(), (table["arm"] == "b").to_numpy(float)
    X = np.column_stack([np.ones(n), b, time, b * time])
    Z = np.column_stack([np.ones(n), time])[:, : 1 if random == "1" else 2]
    V = tc.mixed([(table["who"].to_numpy(), Z, "full")], tc.independent(n))
    return dense.DenseModel(X, table["y"].to_numpy(), V, "reml")


@pytest.fixture(scope="module")
def flat():
    return without_between(make_slopes(np.zeros((2, 2))))


@pytest.mark.parametrize("df_method", DF_METHODS)
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e3])
def test_a_variance_of_zero_is_a_certified_maximum_and_least_squares(df_method, unit, flat):
    table = flat.assign(y=unit * flat["y"])
    with pytest.warns(SingularFitWarning, match="a variance is zero"):
        found = fit_lmm(table, "1", df_method=df_method)
    assert found.singular
    assert found.converged
    assert found.random_covariance.iloc[0, 0] == pytest.approx(0.0, abs=1e-9 * unit**2)
    model = oracle(table, "1")
    want = OLS(table["y"].to_numpy(), model.X).fit()
    names = ["Intercept", "arm[T.b]", "time", "arm[T.b]:time"]
    np.testing.assert_allclose(found.params[names], want.params, rtol=1e-7)
    np.testing.assert_allclose(found.bse[names], want.bse, rtol=1e-7)
    np.testing.assert_allclose(found.df, want.df_resid, rtol=1e-7)
    np.testing.assert_allclose(found.pvalues[names], want.pvalues, rtol=1e-6)
    assert found.residual_variance == pytest.approx(want.mse_resid, rel=1e-7)


def test_the_likelihood_does_rise_towards_zero_there(flat):
    """What makes it a maximum: the score for the variance itself, by the dense oracle."""
    model = oracle(flat, "1")
    sigma2 = OLS(flat["y"].to_numpy(), model.X).fit().mse_resid
    assert model.score([0.0, sigma2])[0] < 0


def test_effects_without_variance_in_two_dimensions_are_lost_both():
    table = without_between(make_slopes(np.zeros((2, 2)), seed=3))
    table["y"] -= 0.9 * table.groupby("who").apply(_own_line, include_groups=False).droplevel(0)
    with pytest.warns(SingularFitWarning, match="lose 2 of their dimensions"):
        found = fit_lmm(table)
    assert found.converged
    want = OLS(table["y"].to_numpy(), oracle(table, "1").X).fit()
    np.testing.assert_allclose(found.df, want.df_resid, rtol=1e-7)
    np.testing.assert_allclose(
        found.bse[["Intercept", "arm[T.b]", "time", "arm[T.b]:time"]], want.bse, rtol=1e-7
    )


def _own_line(rows):
    if len(rows) < 3:
        return rows["y"]
    return pd.Series(np.polyval(np.polyfit(rows["time"], rows["y"], 1), rows["time"]), rows.index)


def maximise_rank_one(model, start):
    """The best G = l l' by a search that knows nothing of boundaries."""

    def theta(x):
        return np.array([x[0] ** 2, x[0] * x[1], x[1] ** 2, np.exp(x[2])])

    ends = [
        minimize(lambda x: -model.loglik(theta(x)), begin, method="BFGS", options={"gtol": 1e-8})
        for begin in start
    ]
    best = min(ends, key=lambda end: end.fun)
    return theta(best.x), -best.fun


@pytest.mark.parametrize("seed", [1, 2, 5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_correlation_of_one_is_certified(seed, sign):
    table = make_slopes([[1.0, sign * 0.4], [sign * 0.4, 0.16]], seed, 20, 4)
    model = oracle(table, "1 + time")
    theta, loglik = maximise_rank_one(model, [[1.0, sign * 0.4, 0.0], [0.5, -sign * 0.2, 0.0]])
    null = np.array([-theta[1], theta[0]])  # the direction that G = l l' leaves out
    null /= np.linalg.norm(null)
    score = model.score(theta)
    S = np.array([[score[0], score[1] / 2], [score[1] / 2, score[2]]])
    if null @ S @ null > 0:
        found = fit_lmm(table)
        assert not found.singular
        assert found.llf > loglik
        return
    with pytest.warns(SingularFitWarning, match="a correlation is one in size"):
        found = fit_lmm(table)
    assert found.converged
    assert found.singular
    assert found.llf == pytest.approx(loglik, abs=1e-6)
    G = found.random_covariance.to_numpy()
    correlation = G[0, 1] / np.sqrt(G[0, 0] * G[1, 1])
    assert abs(correlation) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(G[np.triu_indices(2)], theta[:3], rtol=1e-3, atol=1e-4)


def slope_criterion(table, effects=("intercept", "time"), diagonal=False):
    design = made.make_design(table, "y ~ arm * time", "rows")
    Z = np.column_stack([np.ones(len(table)), table["time"]])[:, : len(effects)]
    parts = (RandomPart(Z, np.zeros(len(table), dtype=np.intp)),)
    term = SumTerm((RandomEffectsTerm(0, "who", effects, diagonal), IndependentTerm()))
    features = build_features(design.rows, random=parts)
    return subject_criterion(design, term, features, "reml")


STUCK = {
    "no effect at all": [0.0, 0.0, 0.0, 1.0],
    "no slope": [0.5, 0.0, 0.0, 0.5],
    "no intercept": [0.0, 0.0, 0.5, 0.5],
    "correlation one": [0.5, 0.5, 0.5, 0.5],
}


@pytest.mark.parametrize("start", STUCK.values(), ids=list(STUCK))
def test_a_start_on_the_boundary_does_not_trap_the_search(start, monkeypatch):
    """A zero of L is stationary for any data: only the score for G tells it from a maximum."""
    table = make_slopes([[1.0, -0.1], [-0.1, 0.3]], seed=4)
    criterion, moments = slope_criterion(table)
    want = fit_engine(criterion, moments)
    assert not want.certificate.singular
    monkeypatch.setattr(module, "list_starts", lambda *_: [np.array(start)])
    found = fit_engine(criterion, moments)
    assert found.certificate.converged
    assert not found.certificate.singular
    assert found.loglik == pytest.approx(want.loglik, abs=1e-9)
    np.testing.assert_allclose(found.theta, want.theta, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", [1, 9, 14])
def test_a_start_without_an_effect_leaves_its_covariance_free_to_move(seed, monkeypatch):
    """The maximum has a correlation of minus one; from diag(0, g) only the covariance leads on."""
    table = make_slopes([[0.3, -0.3], [-0.3, 0.3]], seed, 20, 4)
    criterion, moments = slope_criterion(table)
    want = fit_engine(criterion, moments)
    assert want.certificate.singular
    monkeypatch.setattr(module, "list_starts", lambda *_: [np.array([0.0, 0.0, 0.5, 0.5])])
    found = fit_engine(criterion, moments)
    assert found.certificate.converged
    assert found.loglik == pytest.approx(want.loglik, abs=1e-8)


@pytest.mark.parametrize("seed", [1, 9, 14])
def test_at_a_correlation_of_one_the_information_is_that_of_one_effect(seed):
    """G = l l' has two parameters; the covariance of theta is theirs, by the delta method."""
    table = make_slopes([[0.3, -0.3], [-0.3, 0.3]], seed, 20, 4)
    with pytest.warns(SingularFitWarning):
        found = fit_lmm(table, df_method="satterthwaite")
    model, theta = oracle(table, "1 + time"), found.engine.theta
    length = np.sqrt(theta[0])
    x = np.array([length, theta[1] / length, theta[3]])

    def to_theta(x):
        return np.array([x[0] ** 2, x[0] * x[1], x[1] ** 2, x[2]])

    def jacobian(x):
        return differentiate_numerically(to_theta, x).T

    hessian = differentiate_numerically(lambda x: jacobian(x).T @ model.score(to_theta(x)), x)
    want = jacobian(x) @ np.linalg.inv(-0.5 * (hessian + hessian.T)) @ jacobian(x).T
    unit = found.engine.theta_units
    vcov = found.inference.theta_vcov * unit[:, None] * unit
    np.testing.assert_allclose(vcov / abs(want).max(), want / abs(want).max(), atol=1e-5)


def test_scoring_alone_would_stay_at_zero_and_the_boundary_says_which_way_out():
    table = make_slopes([[1.0, -0.1], [-0.1, 0.3]], seed=4)
    criterion, _ = slope_criterion(table)
    stuck = maximise(criterion, np.array(STUCK["no effect at all"]))
    np.testing.assert_array_equal(stuck.theta[:3], 0.0)
    effects = criterion.covariance.effects
    found = examine_boundary(
        stuck.theta, stuck.derivatives.score, stuck.derivatives.known_mean, effects
    )
    assert found.n_lost == 2
    step = 1e-4 * found.escape
    there = criterion.evaluate(stuck.theta + step)
    assert there.loglik > stuck.at.loglik
    assert stuck.derivatives.score @ found.escape > 0


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_unit_of_time_does_not_decide_what_is_on_the_boundary(unit):
    table = make_slopes([[1.0, 0.4], [0.4, 0.16]], 2, 20, 4)
    stretched = table.assign(time=unit * table["time"])
    found, reference = [], []
    for each, into in ((stretched, found), (table, reference)):
        criterion, start = slope_criterion(each)
        fit = fit_engine(criterion, start)
        into += [fit.certificate.singular, fit.boundary.n_lost, fit.certificate.converged]
        into.append(fit.loglik)
    assert found[:3] == reference[:3]
    # Two columns of X, time and arm by time, change their unit.
    assert found[3] == pytest.approx(reference[3] - 2 * np.log(unit), abs=1e-7)


@pytest.mark.parametrize("random", ["1 + nothing", "nothing"])
def test_an_effect_that_no_row_has_is_told_without_a_warning_of_arithmetic(random):
    table = make_slopes([[1.0, -0.1], [-0.1, 0.3]], seed=4).assign(nothing=0.0)
    with pytest.raises(AibmdError, match="nothing is zero in every row"):
        fit_lmm(table, random)


def test_an_effect_that_repeats_another_is_named():
    table = make_slopes([[1.0, -0.1], [-0.1, 0.3]], seed=4).assign(five=5.0)
    with pytest.raises(AibmdError, match=r"five repeats the columns before it \(Intercept\)"):
        fit_lmm(table, "1 + five")


def test_rows_without_company_say_nothing_of_a_correlation():
    table = make_slopes([[1.0, -0.1], [-0.1, 0.3]], seed=4).groupby("who").head(1)
    with pytest.raises(ConvergenceError, match="do not determine the covariance"):
        fit_lmm(table, "1")
    with pytest.raises(ConvergenceError, match="do not determine the covariance"):
        aibmd.fit_mmrm("y ~ arm", table, subject="who", covariance="sp_exp", time="time")


def test_inside_nothing_is_lost_and_every_direction_is_open():
    table = make_slopes([[1.0, -0.1], [-0.1, 0.3]], seed=4)
    fit = fit_engine(*slope_criterion(table))
    assert fit.boundary.n_lost == 0
    assert fit.boundary.escape is None
    assert np.linalg.matrix_rank(fit.boundary.tangent) == 4
    np.testing.assert_array_equal(fit.boundary.bend, 0.0)


def test_an_uncorrelated_effect_of_zero_leaves_the_fit_without_it():
    table = make_slopes([[1.0, 0.0], [0.0, 0.0]], seed=8, n_subjects=40)
    lines = table.groupby("who")["time"].transform("mean")
    # Slopes differ less than chance: take most of each subject's own slope away.
    own = table.groupby("who").apply(_own_slope, include_groups=False)
    table["y"] -= 0.9 * table["who"].map(own) * (table["time"] - lines)
    with pytest.warns(SingularFitWarning, match="lose 1 of their dimensions"):
        found = fit_lmm(table, random_covariance="diagonal", df_method="satterthwaite")
    lean = fit_lmm(table, "1", df_method="satterthwaite")
    assert found.converged
    assert found.llf == pytest.approx(lean.llf, abs=1e-8)
    np.testing.assert_allclose(found.params, lean.params, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(found.bse, lean.bse, rtol=1e-6)
    np.testing.assert_allclose(found.df, lean.df, rtol=1e-5)


def _own_slope(rows):
    return np.polyfit(rows["time"], rows["y"], 1)[0] if len(rows) > 2 else 0.0
