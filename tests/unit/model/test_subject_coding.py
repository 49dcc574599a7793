"""Coding by subject and visit gives the very X of the long form, or declines."""

import numpy as np
import pandas as pd
import pytest
from made_trials import make_trial

from aibmd.model.coding import model_matrix
from aibmd.model.cross_products import collect_cross_products
from aibmd.model.formula import guard_formula
from aibmd.model.patterns import find_patterns
from aibmd.model.rows import select_rows
from aibmd.model.subject_coding import code_by_subject
from aibmd.model.wide_products import collect_from_wide


@pytest.fixture(scope="module")
def trial():
    table = make_trial(3, 60, 4).sample(frac=1, random_state=1)
    center = pd.Categorical(table["center"], ["r", "p", "unused", "q"])
    return table.assign(
        center=center,
        positive=np.exp(table["base"]),
        flag=table["base"] > 0,
        weeks=table["visit"].str[1:].astype(int),
        dose=table["who"] % 4,
        **{"bone age": table["base"] ** 2},
    )


FACTORISED = [
    "1",
    "arm * visit",
    "arm * visit + base",
    "0 + visit + arm:visit",
    "arm:visit",
    "0 + visit:base",
    "visit:base + arm:visit",
    "arm:base:visit",
    "C(arm) * visit",
    "C(center) * visit",
    "C(center, contr.sum) * visit * base",
    "C(center, contr.helmert) * C(visit, contr.sum)",
    "C(center, contr.poly) + C(visit, contr.poly) * arm",
    "C(center, contr.treatment('q')) : visit",
    "C(center, levels=['q', 'p', 'r']) * visit",
    "C(visit, levels=['v4', 'v2', 'v1', 'v3']) * arm",
    "log(positive) * visit + I(base**2)",
    "I((base + 1) * positive) : visit + arm",
    "sqrt(positive) + exp(base) + log2(positive) * arm",
    "`bone age` * visit + I(`bone age` / 2)",
    "flag * visit",
    "dose * visit",
    "visit * arm - arm",
    "visit * arm * base - visit:arm",
    "(arm + base + center)**3 * visit",
]
BY_WEEK = ["weeks * arm", "arm * I(weeks**2)", "log(weeks) * arm + base"]


def code(formula, trial, visit="visit"):
    guarded = guard_formula(f"y ~ {formula}", trial.columns)
    rows = select_rows(trial, guarded, "who", visit)
    return rows, guarded, code_by_subject(guarded, rows, visit)


@pytest.mark.filterwarnings("ignore:the visit column:aibmd.errors.DataWarning")
@pytest.mark.parametrize(
    ("formula", "visit"), [(f, "visit") for f in FACTORISED] + [(f, "weeks") for f in BY_WEEK]
)
def test_the_pieces_multiply_to_the_long_design(formula, visit, trial):
    rows, guarded, pieces = code(formula, trial, visit)
    matrix = model_matrix(guarded.right, rows.frame)
    assert pieces.columns == tuple(matrix.model_spec.column_names)
    X = pieces.B[rows.visit] * pieces.C[rows.subject][:, pieces.part]
    np.testing.assert_allclose(X, np.asarray(matrix, dtype=float), rtol=1e-14, atol=0)
    beta = np.random.default_rng(1).normal(size=X.shape[1])
    predicted = pieces.linear_predictor(beta, rows.subject, rows.visit)
    np.testing.assert_allclose(predicted, X @ beta, atol=1e-12)


def as_wide(rows, y):
    wide = np.zeros((len(rows.subjects), len(rows.visits)))
    seen = np.zeros(wide.shape, dtype=bool)
    wide[rows.subject, rows.visit], seen[rows.subject, rows.visit] = y, True
    return wide, seen


@pytest.mark.parametrize("formula", ["arm * visit + base", "C(center, contr.sum) * visit * base"])
def test_cross_products_of_the_pieces_are_those_of_the_long_design(formula, trial):
    rows, guarded, pieces = code(formula, trial)
    patterns = find_patterns(rows.subject, rows.visit, len(rows.visits))
    short = collect_from_wide(pieces, *as_wide(rows, rows.y))
    X = np.asarray(model_matrix(guarded.right, rows.frame), dtype=float)
    long = collect_cross_products(X, rows.y, patterns)
    np.testing.assert_allclose(short.least_squares.beta0, long.least_squares.beta0, atol=1e-12)
    np.testing.assert_allclose(short.gram, long.gram, atol=1e-10)
    assert short.least_squares.scale == pytest.approx(long.least_squares.scale, rel=1e-13)
    assert short.least_squares.basis.log_det == pytest.approx(
        long.least_squares.basis.log_det, rel=1e-11
    )


def test_a_large_mean_costs_no_more_digits_than_the_data_lost(trial):
    rows, _, pieces = code("arm * visit + base", trial)
    near, far = (collect_from_wide(pieces, *as_wide(rows, rows.y + mean)) for mean in (0.0, 1e8))
    # y + 1e8 is rounded to 1.5e-8.
    np.testing.assert_allclose(far.gram, near.gram, atol=1e-6)
    assert far.least_squares.scale == pytest.approx(near.least_squares.scale, rel=1e-7)


@pytest.mark.parametrize(
    "formula",
    ["x * visit", "arm * visit + I(x + base)", "center(base) + visit", "poly(base, 2) * visit"],
)
def test_time_varying_or_learning_terms_are_left_to_the_long_form(formula, trial):
    assert code(formula, trial.drop(columns="center"))[2] is None


def test_a_factor_of_subject_and_visit_together_is_left_to_the_long_form(trial):
    with pytest.warns(UserWarning, match="numeric"):
        found = code("weeks + I(weeks * base)", trial, "weeks")
    assert found[2] is None


def test_a_covariate_that_changes_once_is_not_constant(trial):
    changed = trial.copy()
    changed.iloc[0, changed.columns.get_loc("base")] += 1e-9
    assert code("base * visit", trial)[2] is not None
    assert code("base * visit", changed)[2] is None


def test_dependent_columns_are_left_to_the_long_form(trial):
    rows, _, pieces = code("arm * visit + base + I(base * 2)", trial)
    found = collect_from_wide(pieces, *as_wide(rows, rows.y))
    assert found is None
