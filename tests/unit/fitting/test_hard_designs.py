"""Designs that break engines: each is held to the dense oracle, a closed form, or R."""

from pathlib import Path

import dense
import numpy as np
import pandas as pd
import pytest
import textbook_covariances as tc
from formulaic import model_matrix
from made_trials import fit, make_trial

from aibmd.errors import ConvergenceWarning

# Relative, at the same covariance; df amplify what rounding leaves in it.
SAME = 1e-7


def judge(found, table, formula, structure):
    """The oracle at the covariance the fit returned; parameters nobody informs are left out."""
    y, X = model_matrix(formula, table)
    visit = np.array([found.visits.index(v) for v in table["visit"]])
    m = len(found.visits)
    theta = tc.theta_of(structure, found.covariance)
    B = np.array([tc.residuals(structure, np.zeros(m), range(m))(e) for e in np.eye(len(theta))])
    known = np.isfinite(theta)
    B, theta = B[known], theta[known]
    if structure == "cs":
        # By eigenvalues: near the bound the oracle's inverse would lose ten digits in the
        # variance and covariance, which Kenward-Roger, first order, does not depend on.
        B = np.array([np.eye(m) - 1 / m, np.full((m, m), 1 / m)])
        theta = np.array([theta[0] - theta[1], theta[0] + (m - 1) * theta[1]])
    model = dense.DenseModel(
        X[list(found.params.index)].to_numpy(float),
        y.to_numpy(float).ravel(),
        tc.linear(B, table["who"].to_numpy(), visit),
        found.spec.method,
    )
    return model, theta, model.at(theta)


def assert_agrees(found, table, formula, structure):
    model, theta, result = judge(found, table, formula, structure)
    rows = np.eye(len(found.params))
    score = model.score(theta)
    _, se, df, *_ = getattr(dense, found.inference.df_method)(result, rows)
    assert found.converged
    assert abs(score @ result.W @ score) < 1e-11
    assert found.llf == pytest.approx(result.llf, abs=1e-8)
    np.testing.assert_allclose((found.params - result.beta) / se, 0, atol=SAME)
    np.testing.assert_allclose(found.bse, se, rtol=SAME)
    np.testing.assert_allclose(found.df, df, rtol=SAME)


both = pytest.mark.parametrize("df_method", ["kenward_roger", "satterthwaite"])


@both
def test_a_pair_of_visits_that_nobody_has(df_method):
    table = make_trial(21, 60, 3, gaps=0.1)
    table = table[np.where(table["who"] % 2 == 0, table["visit"] != "v3", table["visit"] != "v1")]
    with pytest.warns(UserWarning, match="no subject has both visits of: v1 with v3"):
        found = fit("y ~ arm * visit", table, df_method=df_method)
    assert np.isnan(found.covariance.loc["v1", "v3"])
    assert "nan" not in found.tidy().to_string().lower()
    assert_agrees(found, table, "y ~ arm * visit", "un")


@both
@pytest.mark.parametrize("correlation", [-0.2, -0.32, -0.333])
def test_compound_symmetry_down_to_its_bound(df_method, correlation):
    """With four visits the bound is -1/3; a random intercept would stop at zero."""
    rng = np.random.default_rng(4)
    table = make_trial(22, 40, 4, gaps=0.0)
    Sigma = np.full((4, 4), correlation) + (1 - correlation) * np.eye(4)
    table["y"] = (rng.normal(size=(40, 4)) @ np.linalg.cholesky(Sigma).T).ravel()
    table = table[rng.uniform(size=len(table)) > 0.1]
    found = fit("y ~ arm * visit", table, covariance="cs", df_method=df_method)
    assert found.covariance.iloc[0, 1] < 0
    assert_agrees(found, table, "y ~ arm * visit", "cs")


@both
def test_hundreds_of_patterns(df_method):
    table = make_trial(23, 250, 9, gaps=0.4)
    found = fit("y ~ arm + visit", table, covariance="cs", df_method=df_method)
    assert len(found.design.cross.observed) > 150
    assert_agrees(found, table, "y ~ arm + visit", "cs")


@both
def test_a_small_study_with_many_gaps(df_method):
    table = make_trial(24, 16, 3, gaps=0.25)
    found = fit("y ~ arm + visit", table, df_method=df_method)
    assert_agrees(found, table, "y ~ arm + visit", "un")


@both
def test_seventy_visits_of_balanced_compound_symmetry_have_the_df_of_the_strata(df_method):
    rng = np.random.default_rng(5)
    n, m = 20, 70
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, m))
    table = pd.DataFrame(
        {
            "who": np.repeat(range(n), m),
            "visit": np.tile([f"day {j}" for j in range(m)], n),
            "arm": np.repeat(["a", "b"], n // 2 * m),
            "late": np.tile(np.arange(m) >= 35, n),
            "y": y.ravel(),
        }
    )
    found = fit("y ~ arm + late", table, covariance="cs", df_method=df_method)
    assert found.visits[:3] == ("day 0", "day 1", "day 2")
    assert found.df["arm[T.b]"] == pytest.approx(n - 2, rel=1e-6)
    # Everything between visits but one contrast is error, whose df are those of the stratum.
    assert found.df["late[T.True]"] == pytest.approx(n * (m - 1) - 1, rel=1e-6)


def test_one_subject_says_nothing_of_the_covariance_and_still_has_a_mean():
    table = make_trial(25, 30, 4, gaps=0.0)
    one = table[table["who"] == 3]
    with pytest.warns(ConvergenceWarning, match="do not determine the covariance"):
        found = fit("y ~ 1", one, covariance="cs", df_method="residual")
    assert not found.converged
    assert found.params["Intercept"] == pytest.approx(one["y"].mean())


def test_a_maximum_beside_a_ridge_is_found():
    """Made-up t-distributed data with a third of the visits missing (numpy, seed 80).

    R 4.2.2, nlme 3.1-162: gls(y ~ visit + arm, correlation = corSymm(form = ~v | id),
    weights = varIdent(form = ~1 | visit), control = glsControl(opt = "optim")). Scoring
    from the pairwise moments walks along a ridge where the restricted likelihood is lower.
    """
    table = pd.read_csv(Path(__file__).with_name("ridge_beside_maximum.csv"))
    found = fit("y ~ visit + arm", table, subject="id")
    assert found.converged
    assert found.llf == pytest.approx(-234.540111, abs=2e-6)


@both
@pytest.mark.parametrize("unit", [1e-6, 1.0])
def test_tiny_units_and_a_response_near_a_hundred_million(df_method, unit):
    table = make_trial(26, 40, 3)
    plain = fit("y ~ arm * visit", table, df_method=df_method)
    found = fit("y ~ arm * visit", table.assign(y=unit * (1e8 + table["y"])), df_method=df_method)
    # y is rounded to 1.5e-8 before the fit sees it.
    np.testing.assert_allclose(found.tvalues[1:], plain.tvalues[1:], atol=1e-5)
    np.testing.assert_allclose(found.df, plain.df, rtol=1e-6)


def test_visit_deviations_ten_thousandfold_apart():
    table = make_trial(27, 60, 3)
    factor = table["visit"].map({"v1": 1.0, "v2": 100.0, "v3": 0.01})
    formula = "y ~ 0 + visit + visit:arm"
    plain = fit(formula, table)
    found = fit(formula, table.assign(y=factor * table["y"]))
    np.testing.assert_allclose(found.tvalues, plain.tvalues, rtol=1e-5)
    np.testing.assert_allclose(found.df, plain.df, rtol=1e-5)
    assert found.converged
