"""The long and the factorised path are one design."""

import numpy as np
import pytest
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError
from aibmd.model import design as module
from aibmd.model.design import build_design
from aibmd.model.formula import guard_formula

FORMULAS = ["y ~ arm * visit + base", "y ~ C(center, contr.sum) * visit + log(I(base**2 + 1))"]


def build(table, formula):
    return build_design(table, guard_formula(formula, table.columns), "who", "visit")


@pytest.fixture(scope="module")
def trial():
    return make_trial(8, 60, 3).sample(frac=1, random_state=2)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("covariance", ["un", "cs"])
def test_both_paths_give_the_same_fit(formula, covariance, trial, monkeypatch):
    long = fit(formula, trial, covariance=covariance)
    monkeypatch.setattr(module, "_FEW_ROWS", 0)
    short = fit(formula, trial, covariance=covariance)
    assert long.design.X is not None
    assert short.design.X is None
    assert short.llf == pytest.approx(long.llf, abs=1e-10)
    np.testing.assert_allclose((short.params - long.params) / long.bse, 0, atol=1e-9)
    np.testing.assert_allclose(short.bse, long.bse, rtol=1e-9)
    np.testing.assert_allclose(short.df, long.df, rtol=1e-8)
    np.testing.assert_allclose(short.fittedvalues, long.fittedvalues, atol=1e-10)
    assert short.fittedvalues.index.equals(trial.index)
    np.testing.assert_allclose(
        aibmd.anova(short)["statistic"], aibmd.anova(long)["statistic"], rtol=1e-8
    )


def test_many_rows_take_the_factorised_path_and_few_the_long_one():
    many = make_trial(1, 1400, 3, gaps=0.0)
    assert build(many, "y ~ arm * visit + base").X is None
    assert build(many, "y ~ arm * visit + x").X is not None
    assert build(many.head(30), "y ~ arm * visit").X is not None


@pytest.mark.parametrize("rows", [None, 0])
def test_the_linear_predictor_is_x_beta(rows, trial, monkeypatch):
    if rows is not None:
        monkeypatch.setattr(module, "_FEW_ROWS", rows)
    made = build(trial, "y ~ arm * visit + base")
    beta = np.random.default_rng(1).normal(size=len(made.coding.kept))
    X = made.coding.code(trial)
    np.testing.assert_allclose(made.linear_predictor(beta), X @ beta, atol=1e-12)


def test_a_column_of_x_that_is_not_finite_is_named(trial):
    with pytest.raises(AibmdError, match=r"exp\(I\(base \* 1000"), np.errstate(over="ignore"):
        build(trial, "y ~ visit + exp(I(base * 1000))")
