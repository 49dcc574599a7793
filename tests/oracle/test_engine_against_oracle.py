"""Random designs: every number of a fit is recomputed densely at the covariance it returned.

The oracle has no optimiser. That the covariance is the optimum is judged by the oracle's own
score and information: the log-likelihood still to be gained must be nothing.
"""

from dataclasses import dataclass
from functools import cache

import dense
import numpy as np
import pandas as pd
import pytest
import textbook_covariances as tc
from formulaic import model_matrix

import aibmd

# Twice the log-likelihood that a further Newton step would gain.
NOTHING_TO_GAIN = 1e-11
# Relative, at the same covariance: other order of sums, other basis of X.
SAME_NUMBER = 1e-8
# Above this many rows the engine codes covariates once per subject.
FEW_ROWS = "aibmd.model.design._FEW_ROWS"
# The engine's derivatives are taken one rounding away from the returned covariance.
SAME_DF = 1e-7


@dataclass(frozen=True)
class Scenario:
    """A random trial: what is missing, how the response is scaled, which covariates."""

    seed: int
    n_subjects: int
    n_visits: int
    structure: str
    method: str
    missing: str = "mixed"
    formula: str = "y ~ arm * visit + base"
    offset: float = 0.0
    unit: float = 1.0
    by_subject: bool = False

    @property
    def id(self):
        size = f"{self.n_subjects}x{self.n_visits}"
        return f"{self.structure}-{self.method}-{size}-{self.missing}-seed{self.seed}"


SCENARIOS = [
    Scenario(1, 30, 3, "un", "reml"),
    Scenario(2, 30, 3, "un", "ml"),
    Scenario(3, 25, 4, "cs", "reml"),
    Scenario(4, 25, 4, "cs", "ml"),
    Scenario(5, 60, 5, "un", "reml", "dropout", unit=1e-3, offset=0.9),
    Scenario(6, 60, 5, "un", "reml", "none"),
    Scenario(7, 150, 5, "cs", "reml", "dropout", "y ~ arm * visit * base"),
    Scenario(8, 40, 2, "un", "reml", "mixed", "y ~ x * visit + arm"),
    Scenario(9, 40, 4, "un", "ml", "mixed", "y ~ x + arm * base + visit", unit=1e4, offset=-7e4),
    Scenario(10, 50, 3, "cs", "reml", "mixed", "y ~ 1"),
    Scenario(11, 45, 4, "un", "reml", "mixed", "y ~ 0 + visit + arm:visit + x"),
    Scenario(12, 40, 6, "un", "reml", "mixed", "y ~ arm * visit + x"),
    # Covariates constant within a subject are coded by subject, as in large tables.
    Scenario(13, 60, 4, "un", "reml", "mixed", by_subject=True),
    Scenario(14, 60, 4, "cs", "reml", "dropout", "y ~ arm * visit + base * visit", by_subject=True),
    Scenario(15, 60, 4, "cs", "ml", "mixed", "y ~ x + arm * visit", by_subject=True),
]
KINDS = ("observed", "expected")
scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.id)
kinds = pytest.mark.parametrize("kind", KINDS)


@cache
def simulate(scenario):
    rng = np.random.default_rng(scenario.seed)
    n, m = scenario.n_subjects, scenario.n_visits
    A = rng.normal(size=(m, m)) * 0.3 + np.eye(m)  # the oracle itself needs a fair condition
    common = np.full((m, m), 0.3) + 0.7 * np.eye(m)
    Sigma = A @ A.T if scenario.structure == "un" else common
    y = rng.normal(size=(n, m)) @ np.linalg.cholesky(Sigma).T + np.linspace(0, 1, m)
    long = pd.DataFrame(
        {
            "who": np.repeat(rng.permutation(n) + 1, m),
            "visit": np.tile([f"t{j + 1}" for j in range(m)], n),
            "arm": np.repeat(rng.choice(["a", "b", "c"], n), m),
            "base": np.repeat(rng.normal(1, 1, n), m),
            "x": rng.uniform(size=n * m),
            "y": scenario.offset + scenario.unit * y.ravel(),
        }
    )
    return long[_seen(rng, n, m, scenario.missing)].sample(frac=1, random_state=scenario.seed)


def _seen(rng, n, m, missing):
    seen = np.ones((n, m), dtype=bool)
    if missing == "dropout":
        seen = np.arange(m) < rng.integers(1, m + 1, size=n)[:, None]
    elif missing == "mixed":
        seen = rng.uniform(size=(n, m)) > 0.2
    return seen.ravel()


@cache
def fit(scenario, df_method="satterthwaite", kind="observed"):
    with pytest.MonkeyPatch.context() as patch:
        if scenario.by_subject:
            patch.setattr(FEW_ROWS, 0)
        return aibmd.fit_mmrm(
            scenario.formula,
            simulate(scenario),
            subject="who",
            visit="visit",
            covariance=scenario.structure,
            method=scenario.method,
            df_method=df_method,
            information=kind,
        )


@cache
def judge(scenario, kind="observed"):
    """The oracle at the covariance the fit returned."""
    data = simulate(scenario)
    y, X = model_matrix(scenario.formula, data)
    names = list(fit(scenario).params.index)
    visit = pd.Categorical(data["visit"]).codes
    V = tc.residuals(scenario.structure, data["who"], visit)
    model = dense.DenseModel(
        X[names].to_numpy(float), y.to_numpy(float).ravel(), V, scenario.method
    )
    theta = tc.theta_of(scenario.structure, fit(scenario).covariance)
    return model, theta, model.at(theta, kind)


def hypotheses(scenario):
    p = len(fit(scenario).params)
    rng = np.random.default_rng(scenario.seed)
    return [np.eye(p)[max(0, p - 3) :], rng.normal(size=(min(2, p), p))]


@scenarios
def test_nothing_is_left_to_gain(scenario):
    model, theta, result = judge(scenario)
    score = model.score(theta)
    assert fit(scenario).converged
    assert abs(score @ result.W @ score) <= NOTHING_TO_GAIN
    assert np.linalg.eigvalsh(result.W).min() > 0


@scenarios
def test_likelihood_estimates_and_errors_are_the_dense_ones(scenario):
    *_, result = judge(scenario)
    got = fit(scenario)
    se = np.sqrt(np.diag(result.Phi))
    assert got.llf == pytest.approx(result.llf, abs=SAME_NUMBER, rel=1e-11)
    np.testing.assert_allclose((got.params - result.beta) / se, 0, atol=SAME_NUMBER)
    np.testing.assert_allclose(got.bse, se, rtol=SAME_NUMBER)


@kinds
@scenarios
def test_satterthwaite_is_the_dense_one(scenario, kind):
    *_, result = judge(scenario, kind)
    got = fit(scenario, "satterthwaite", kind)
    _, _, df, *_ = dense.satterthwaite(result, np.eye(len(got.params)))
    np.testing.assert_allclose(got.df, df, rtol=SAME_DF)
    for L in hypotheses(scenario):
        *_, F, q, df_joint = dense.satterthwaite(result, L)
        test = aibmd.wald_test(got, L).iloc[0]
        assert test["df_num"] == q
        assert test["statistic"] == pytest.approx(F, rel=SAME_DF)
        assert test["df_denom"] == pytest.approx(df_joint, rel=SAME_DF)


@kinds
@pytest.mark.parametrize(
    "scenario", [s for s in SCENARIOS if s.method == "reml"], ids=lambda s: s.id
)
def test_kenward_roger_is_the_dense_one(scenario, kind):
    *_, result = judge(scenario, kind)
    got = fit(scenario, "kenward_roger", kind)
    _, se, df, *_ = dense.kenward_roger(result, np.eye(len(got.params)))
    np.testing.assert_allclose(got.bse, se, rtol=SAME_NUMBER)
    np.testing.assert_allclose(got.df, df, rtol=SAME_DF)
    adjusted = dense.adjusted_vcov(result)
    scale = np.sqrt(np.outer(np.diag(adjusted), np.diag(adjusted)))
    np.testing.assert_allclose((got.cov_params() - adjusted) / scale, 0, atol=SAME_NUMBER)
    for L in hypotheses(scenario):
        *_, F, df_joint, _ = dense.kenward_roger(result, L)
        test = aibmd.wald_test(got, L).iloc[0]
        assert test["statistic"] == pytest.approx(F, rel=SAME_DF)
        assert test["df_denom"] == pytest.approx(df_joint, rel=SAME_DF)


@pytest.mark.parametrize("structure", ["un", "cs"])
def test_a_large_table_gives_the_same_numbers_whichever_way_it_is_coded(structure):
    scenario = Scenario(16, 1500, 4, structure, "reml", formula="y ~ arm * visit + base * visit")
    by_subject = fit(scenario)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FEW_ROWS, 10**9)
        by_row = fit.__wrapped__(scenario)
    assert by_subject.llf == pytest.approx(by_row.llf, rel=1e-11)
    np.testing.assert_allclose(
        (by_subject.params - by_row.params) / by_row.bse, 0, atol=SAME_NUMBER
    )
    np.testing.assert_allclose(by_subject.bse, by_row.bse, rtol=SAME_NUMBER)
    np.testing.assert_allclose(by_subject.df, by_row.df, rtol=SAME_DF)
