"""New rows are coded as the fitted ones were, or refused."""

import numpy as np
import pandas as pd
import pytest
from made_trials import make_trial

from aibmd.errors import FormulaError
from aibmd.model.design import build_design
from aibmd.model.formula import guard_formula


def design(formula, table):
    return build_design(table, guard_formula(formula, table.columns), "who", "visit")


@pytest.fixture
def trial():
    return make_trial(4, 20, 3)


@pytest.mark.parametrize(
    "formula",
    ["y ~ arm * visit + base", "y ~ C(center, contr.sum) * visit + poly(base, 2) + scale(x)"],
)
def test_rows_of_the_fit_are_coded_as_in_the_fit(formula, trial):
    made = design(formula, trial)
    np.testing.assert_allclose(made.coding.code(trial), made.X, rtol=1e-13, atol=1e-14)


def test_one_new_row_is_coded_with_all_levels_of_the_fit(trial):
    trial = trial.drop(columns="center")  # a column would hide the function
    coding = design("y ~ arm * visit + center(base)", trial).coding
    row = pd.DataFrame({"arm": ["b"], "visit": ["v3"], "base": [2.0]}, index=["new"])
    named = dict(zip(coding.columns, coding.code(row)[0], strict=True))
    assert named["arm[T.b]:visit[T.v3]"] == 1.0
    assert named["arm[T.b]:visit[T.v2]"] == 0.0
    assert named["center(base)"] == pytest.approx(2.0 - trial["base"].mean())


@pytest.mark.parametrize("kind", ["str", "category", "object", "string"])
def test_how_a_level_is_stored_does_not_matter(kind, trial):
    coding = design("y ~ arm * visit", trial).coding
    rows = trial[["arm", "visit"]].astype(kind)
    np.testing.assert_array_equal(coding.code(rows), coding.code(trial))


def test_rows_with_unused_categories_are_coded(trial):
    coding = design("y ~ center + visit", trial).coding
    rows = trial.assign(center=pd.Categorical(trial["center"], ["q", "never", "p", "r"]))
    np.testing.assert_array_equal(coding.code(rows), coding.code(trial))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": ["z"]}, r"arm = 'z' was not seen by the fit; its levels are 'a', 'b'"),
        ({"base": [np.nan]}, "'base' of the new rows has missing values"),
        ({"arm": [None]}, "'arm' of the new rows has missing values"),
    ],
)
def test_rows_that_cannot_be_coded_are_refused(change, message, trial):
    coding = design("y ~ arm * visit + base", trial).coding
    row = {"arm": ["a"], "visit": ["v1"], "base": [0.0]}
    with pytest.raises(FormulaError, match=message):
        coding.code(pd.DataFrame(row | change))


def test_a_missing_column_is_named(trial):
    with pytest.raises(FormulaError, match="no column 'base'"):
        design("y ~ visit + base", trial).coding.code(pd.DataFrame({"visit": ["v1"]}))


def test_levels_and_means_are_those_of_the_rows_used(trial):
    trial["dose"] = trial["who"] % 3
    trial.loc[trial["center"] == "q", "y"] = np.nan
    coding = design("y ~ center + C(dose) + base + visit", trial).coding
    used = trial[trial["center"] != "q"]
    assert coding.levels == {
        "center": ("p", "r"),
        "dose": (0, 1, 2),
        "visit": ("v1", "v2", "v3"),
    }
    assert coding.covariate_means == {"base": pytest.approx(used["base"].mean())}


def test_dropped_columns_are_named_in_declared_order(trial):
    trial["double"] = 2 * trial["base"]
    coding = design("y ~ visit + base + double + x + I(x - base)", trial).coding
    assert coding.dropped_columns == ("double", "I(x - base)")
    assert coding.kept_columns == ("Intercept", "visit[T.v2]", "visit[T.v3]", "base", "x")
    X = coding.code(trial)
    np.testing.assert_allclose(X @ coding.null_basis, 0, atol=1e-12)
