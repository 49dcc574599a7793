"""Residuals against SAS, against dense formulas, and as the laws of least squares want them."""

import dense
import numpy as np
import pandas as pd
import pytest
import stored
import textbook_covariances as tc
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError


@pytest.fixture(scope="module")
def trial():
    table = make_trial(23, 30, 4)
    table["time"] = table["visit"].str[1:].astype(float)
    level, slope = np.random.default_rng(2).normal(size=(2, 30))
    table["y"] += 2 * level[table["who"]] + slope[table["who"]] * table["time"]
    table["w"] = np.random.default_rng(3).uniform(0.5, 2.0, len(table))
    return table.sample(frac=1.0, random_state=3)


def visit_number(table):
    return table["visit"].str[1:].astype(int).to_numpy() - 1


def dense_at(found, table, V):
    X = found.coding.code(table)
    return dense.DenseModel(X, table["y"].to_numpy(), V).at(found.engine.theta)


def by_visit(table):
    """Rows in the order in which errors are decorrelated."""
    return np.lexsort([visit_number(table), table["who"].to_numpy()])


@pytest.mark.parametrize("weights", [None, "w"])
def test_marginal_residuals_follow_their_definitions(trial, weights):
    found = fit("y ~ arm * visit + base", trial, covariance="ar1h", weights=weights)
    V = tc.residuals("ar1h", trial["who"].to_numpy(), visit_number(trial), 4)
    if weights is not None:
        V = tc.weighted(V, trial["w"].to_numpy())
    at = dense_at(found, trial, V)
    r = trial["y"].to_numpy() - at.model.X @ at.beta
    np.testing.assert_allclose(aibmd.residuals(found), r, rtol=1e-8, atol=1e-10)
    pearson = r / np.sqrt(np.diag(at.V))
    np.testing.assert_allclose(aibmd.residuals(found, "pearson"), pearson, rtol=1e-8)
    spread = np.diag(at.V - at.model.X @ at.Phi @ at.model.X.T)
    np.testing.assert_allclose(
        aibmd.residuals(found, "studentised"), r / np.sqrt(spread), rtol=1e-8
    )
    order = by_visit(trial)
    whitened = np.linalg.solve(np.linalg.cholesky(at.V[np.ix_(order, order)]), r[order])
    got = aibmd.residuals(found, "cholesky").to_numpy()[order]
    np.testing.assert_allclose(got, whitened, rtol=1e-8, atol=1e-10)
    assert aibmd.residuals(found).index.equals(trial.index)


@pytest.mark.parametrize("residual", ["independent", "ar1"])
def test_conditional_residuals_follow_their_definitions(trial, residual):
    found = aibmd.fit_lmm("y ~ arm * time", trial, subject="who", residual=residual, visit="visit")
    subject, n = trial["who"].to_numpy(), len(trial)
    R = tc.independent(n)
    if residual == "ar1":
        R = tc.residuals("ar1", subject, visit_number(trial), 4)
    Z = np.column_stack([np.ones(n), trial["time"]])
    at = dense_at(found, trial, tc.mixed([(subject, Z, "full")], R))
    errors = R(at.theta[3:])
    r = errors @ at.projection @ at.model.y
    raw = aibmd.residuals(found, level="conditional")
    np.testing.assert_allclose(raw, r, rtol=1e-7, atol=1e-9)
    predicted = aibmd.predict(found, kind="random_effects")["estimate"]
    np.testing.assert_allclose(raw, trial["y"] - predicted, rtol=1e-7, atol=1e-9)
    pearson = aibmd.residuals(found, "pearson", "conditional")
    np.testing.assert_allclose(pearson, r / np.sqrt(np.diag(errors)), rtol=1e-7, atol=1e-9)
    spread = np.diag(errors @ at.projection @ errors)
    studentised = aibmd.residuals(found, "studentised", "conditional")
    np.testing.assert_allclose(studentised, r / np.sqrt(spread), rtol=1e-6, atol=1e-9)
    order = by_visit(trial)
    whitened = np.linalg.solve(np.linalg.cholesky(errors[np.ix_(order, order)]), r[order])
    got = aibmd.residuals(found, "cholesky", "conditional").to_numpy()[order]
    np.testing.assert_allclose(got, whitened, rtol=1e-7, atol=1e-8)


def test_decorrelated_residuals_are_orthogonal_to_decorrelated_columns(trial):
    """X'V^-1 r = 0, and under REML the sum of squares of an un fit is exactly N - p."""
    found = fit("y ~ arm * visit", trial)
    order = by_visit(trial)
    V = tc.residuals("un", trial["who"].to_numpy(), visit_number(trial), 4)
    factor = np.linalg.cholesky(V(found.engine.theta)[np.ix_(order, order)])
    X = np.linalg.solve(factor, found.coding.code(trial)[order])
    z = aibmd.residuals(found, "cholesky").to_numpy()[order]
    np.testing.assert_allclose(X.T @ z, 0.0, atol=1e-8)
    assert z @ z == pytest.approx(len(trial) - X.shape[1], rel=1e-8)


def test_sas_prints_the_same_residuals():
    """PROC MIXED, RESIDUAL and VCIRY, all 537 rows; five digits printed and an early stop."""
    model = stored.load("sas")["models"]["residuals_un_reml"]
    want = pd.DataFrame(model["residuals"], columns=model["residual_columns"])
    kinds = {"raw": "raw", "scaled": "cholesky", "studentised": "studentised", "pearson": "pearson"}
    table = pd.read_csv(stored.HERE / "data" / "fev.csv").dropna(subset="fev1")
    table.index = table["usubjid"] + ":" + table["avisit"]
    found = aibmd.fit_mmrm(
        "fev1 ~ race + sex + armcd:avisit", table, subject="usubjid", visit="avisit"
    )
    assert len(want) == len(table) == 537
    for theirs, ours in kinds.items():
        got = aibmd.residuals(found, ours).loc[want["usubjid"] + ":" + want["avisit"]]
        numbers = want[theirs].astype(float)
        np.testing.assert_allclose(got, numbers, rtol=4e-4, atol=4e-4 * numbers.std())


def test_augment_carries_them(trial):
    marginal = fit("y ~ arm * visit", trial).augment()
    for kind in ("pearson", "studentised", "cholesky"):
        want = aibmd.residuals(fit("y ~ arm * visit", trial), kind)
        np.testing.assert_array_equal(marginal[f"resid_{kind}"], want)
    assert "resid_conditional" not in marginal
    mixed = aibmd.fit_lmm("y ~ arm * time", trial, subject="who").augment()
    total = mixed["fitted_conditional"] + mixed["resid_conditional"]
    np.testing.assert_allclose(total, trial["y"], rtol=1e-12)


def test_augment_of_random_effects_has_the_models_columns_once_and_a_conditional_pearson(trial):
    named = trial.assign(place=np.where(trial["x"] > 0, "hip", "spine"))
    found = aibmd.fit_lmm(
        "y ~ arm * log(time) + base", named, subject="who", random="1", residual_group="place",
        weights="w",
    )  # fmt: skip
    table = found.augment()
    assert table.columns.is_unique
    for name in ("who", "arm", "time", "base", "place", "w", "y"):
        assert table[name].astype(str).tolist() == named[name].astype(str).tolist()
    variance = found.residual_variance[named["place"]].to_numpy() / named["w"].to_numpy()
    want = table["resid_conditional"] / np.sqrt(variance)
    np.testing.assert_allclose(table["resid_conditional_pearson"], want, rtol=1e-9)


def test_augment_carries_columns_of_rows_whose_index_repeats(trial):
    repeated = trial.set_index(np.zeros(len(trial), dtype=int))
    table = fit("y ~ arm + base", repeated, covariance="cs").augment()
    assert table["base"].tolist() == trial["base"].tolist()


def test_a_woman_whose_only_row_determines_a_coefficient_has_no_studentised_residual(trial):
    alone = trial.iloc[[0]].assign(who=99)
    table = pd.concat([trial, alone], ignore_index=True)
    table["one"] = (table["who"] == 99).astype(float)
    values = aibmd.residuals(fit("y ~ arm + one", table, covariance="cs"), "studentised")
    assert np.isnan(values.iloc[-1])
    assert np.isfinite(values.iloc[:-1]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "deviance"}, "not one of raw, pearson, studentised, cholesky"),
        ({"level": "subject"}, "not 'marginal' or 'conditional'"),
        ({"level": "conditional"}, "no random effects; use fit_lmm"),
    ],
)
def test_what_is_not_there_is_refused(trial, options, message):
    with pytest.raises(AibmdError, match=message):
        aibmd.residuals(fit("y ~ visit", trial), **options)
