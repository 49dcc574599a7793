"""What `fit_mmrm` accepts, what it refuses, and in which words."""

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError, DataWarning, FormulaError, SingularFitWarning

FORMULA = "y ~ arm * visit + base + x"


@pytest.fixture(scope="module")
def trial():
    return make_trial(1)


@pytest.fixture(scope="module")
def reference(trial):
    return fit(FORMULA, trial)


def assert_same(found, reference):
    assert found.llf == pytest.approx(reference.llf, abs=1e-10)
    np.testing.assert_allclose(found.params, reference.params, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.bse, reference.bse, rtol=1e-9)
    np.testing.assert_allclose(found.df, reference.df, rtol=1e-8)


@pytest.mark.parametrize(
    "kinds",
    [
        {"y": "Float64", "base": "Float64", "x": "Float64", "who": "Int64"},
        {"arm": "string", "visit": "string", "who": "string"},
        {"arm": "category", "visit": "category", "who": "category"},
        {"arm": object, "visit": object, "who": object},
        {"who": float},
    ],
    ids=["nullable", "string", "category", "object", "float id"],
)
def test_how_columns_are_stored_does_not_matter(kinds, trial, reference):
    found = fit(FORMULA, trial.astype(kinds))
    assert_same(found, reference)
    assert list(found.params.index) == list(reference.params.index)


def test_unused_categories_do_not_matter(trial, reference):
    wider = trial.assign(
        who=pd.Categorical(trial["who"], [*range(40), 99]),
        visit=pd.Categorical(trial["visit"], ["v0", "v1", "v2", "v3", "v4"]),
        arm=pd.Categorical(trial["arm"], ["a", "none", "b"]),
    )
    found = fit(FORMULA, wider)
    assert_same(found, reference)
    assert found.n_subjects == reference.n_subjects
    aibmd.predict(found, wider)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "Int8", "Int64"])
def test_small_integers_do_not_overflow(kind, trial):
    trial = trial.assign(age=60 + trial["who"] % 50)
    formula = "y ~ visit + age + I(age**2)"
    narrow = trial.astype({"age": kind})
    np.testing.assert_allclose(fit(formula, narrow).params, fit(formula, trial).params, rtol=1e-9)


def test_a_response_of_small_integers_does_not_wrap(trial):
    rng = np.random.default_rng(1)
    scores = trial.assign(
        before=rng.integers(50, 200, len(trial)), after=rng.integers(50, 200, len(trial))
    )
    narrow = scores.astype({"before": "uint8", "after": "uint8"})
    formula = "I(after - before) ~ visit"
    np.testing.assert_allclose(fit(formula, narrow).params, fit(formula, scores).params)


def test_both_kinds_of_boolean_are_factors(trial):
    flagged = trial.assign(flag=trial["base"] > 0)
    plain, nullable = (
        fit("y ~ flag * visit", flagged),
        fit("y ~ flag * visit", flagged.astype({"flag": "boolean"})),
    )
    np.testing.assert_allclose(nullable.params, plain.params)
    pd.testing.assert_frame_equal(aibmd.anova(nullable), aibmd.anova(plain))


@pytest.mark.parametrize("kind", ["bool", "boolean"])
def test_a_boolean_response_is_refused(kind, trial):
    with pytest.raises(AibmdError, match="not numeric"):
        fit("flag ~ visit", trial.assign(flag=(trial["y"] > 0).astype(kind)))


def test_names_with_spaces_and_dots_may_be_backquoted(trial, reference):
    renamed = trial.rename(
        columns={"arm": "study arm", "visit": "study visit", "base": "base.line", "who": "no."}
    )
    found = fit(
        "y ~ `study arm` * `study visit` + `base.line` + x",
        renamed,
        subject="no.",
        visit="study visit",
    )
    assert_same(found, reference)
    np.testing.assert_allclose(aibmd.anova(found)["p_value"], aibmd.anova(reference)["p_value"])


@pytest.mark.parametrize("name", ["0", "1"])
def test_a_column_named_like_a_constant_is_refused(name, trial):
    with pytest.raises(FormulaError, match=f"'{name}', which formulas read as a number"):
        fit(f"y ~ `{name}` + visit", trial.rename(columns={"base": name}))


def test_the_index_may_repeat_or_have_levels(trial, reference):
    repeated = trial.set_axis([0] * len(trial))
    assert_same(fit(FORMULA, repeated), reference)
    found = fit(FORMULA, trial.set_index(["who", "visit"], drop=False))
    assert_same(found, reference)
    assert found.resid.index.names == ["who", "visit"]


def test_repeats_are_refused_in_words_whatever_the_index(trial):
    twice = pd.concat([trial, trial.iloc[:2]]).set_index(["who", "visit"], drop=False)
    with pytest.raises(AibmdError, match="4 rows repeat a subject and visit"):
        fit(FORMULA, twice)


def test_a_table_with_repeated_column_names_is_refused(trial):
    for column in ("x", "who", "y"):
        with pytest.raises(AibmdError, match=column):
            fit(FORMULA, pd.concat([trial, trial[[column]]], axis=1))


@pytest.mark.parametrize("formula", ["log(y) ~ visit", "y ~ visit + log(x)"])
def test_a_logarithm_of_what_is_not_positive_is_a_formula_error(formula, trial):
    with pytest.raises(FormulaError, match=r"log\(\) was given \d+ values that are not positive"):
        fit(formula, trial)


def test_dependent_columns_warn_once_and_change_nothing(trial, reference):
    with pytest.warns(DataWarning, match="columns that repeat earlier ones were dropped: twice"):
        found = fit(FORMULA + " + twice", trial.assign(twice=2 * trial["x"]))
    assert found.dropped_columns == ("twice",)
    assert found.llf == pytest.approx(reference.llf, abs=1e-9)
    np.testing.assert_allclose(found.params, reference.params, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subject": None}, "subject= is missing"),
        ({"visit": None}, "visit= is missing"),
        ({"subject": "nobody"}, "subject='nobody' is not a column; the columns are who, visit"),
        ({"visit": "who"}, "the same column, 'who'"),
        ({"method": "REML"}, "method='REML' is not 'reml' or 'ml'"),
        ({"covariance": "toeplitz"}, "covariance='toeplitz' is not available"),
        ({"information": "fisher"}, "information='fisher' is not 'observed' or 'expected'"),
        ({"vcov": "cr2"}, "vcov='cr2' is not available; available: model, CR0, CR2, CR3"),
        ({"covariance": []}, "covariance= is an empty list"),
        ({"covariance": ["cs", "diagonal"]}, "covariance='diagonal' is not available"),
        ({"covariance": "un@ar1"}, "covariance='un@ar1' needs repeated="),
        ({"covariance": ["un", "un@ar1"]}, "covariance='un@ar1' needs repeated="),
        ({"covariance": "sp_exp"}, "covariance='sp_exp' needs time=, the column of scan times"),
        ({"covariance": "sp_exp", "time": "t"}, "time='t' is not a column"),
        ({"covariance": "sp_exp", "time": "arm"}, "time='arm' is not numeric; row 0 holds 'a'"),
        ({"covariance": "ar1", "repeated": "arm"}, "for example covariance='un@ar1'"),
        ({"repeated": "site"}, "repeated='site' is not a column"),
        ({"group": "site"}, "group='site' is not a column"),
        ({"weights": "x"}, r"weights='x' is -0.563\d+ in row .*; weights are positive"),
        ({"weights": "arm"}, "weights='arm' is not numeric"),
        ({"sampling_weights": "age"}, "sampling_weights need a sandwich"),
        (
            {"sampling_weights": "age", "vcov": "CR2", "df_method": "kenward_roger"},
            "Kenward-Roger corrects the model-based covariance",
        ),
        (
            {"sampling_weights": "dose", "vcov": "CR0"},
            "sampling_weights='dose' changes within a subject .*Precision weights of rows",
        ),
        ({"vcov": "CR0", "df_method": "kenward_roger"}, "use df_method='satterthwaite'"),
        ({"method": "ml", "df_method": "kenward_roger_second_order"}, "use method='reml'"),
    ],
)
def test_options_that_cannot_be_had_are_refused_by_name(options, message, trial):
    age = 60.0 + trial["who"] % 7
    with pytest.raises(AibmdError, match=message):
        fit("y ~ visit", trial.assign(age=age, dose=age + trial.index), **options)


@pytest.mark.parametrize("covariance", ["un", "cs", "ar1h", "sp_exp"])
def test_a_group_that_changes_within_a_subject_is_refused_with_the_row(covariance, trial):
    """Rows of different groups do not covary: such a fit would take visits for independent."""
    mixed = trial.assign(part=np.where(trial["visit"] == "v2", "late", "early"))
    mixed["time"] = mixed["visit"].str[1:].astype(float)
    with pytest.raises(AibmdError, match=r"group='part' changes within a subject .*row"):
        fit("y ~ visit", mixed, covariance=covariance, group="part", time="time")


def test_two_rows_of_a_subject_at_one_time_are_refused_with_the_rows(trial):
    """Correlation rho ** 0 is one: such rows have no covariance matrix."""
    timed = trial.assign(time=trial["visit"].str[1:].astype(float))
    timed.loc[1, "time"] = timed.loc[0, "time"]
    assert timed.loc[0, "who"] == timed.loc[1, "who"]
    with pytest.raises(AibmdError, match=r"(?s)2 rows repeat a subject and time.*row 0.*row 1"):
        fit("y ~ visit", timed, covariance="sp_exp", time="time")


@pytest.mark.parametrize("covariance", [None, 3])
def test_a_covariance_that_is_no_name_is_refused(covariance, trial):
    with pytest.raises(AibmdError, match="covariance="):
        fit("y ~ visit", trial, covariance=covariance)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"random_covariance": "diag"}, "random_covariance='diag' is not 'full' or 'diagonal'"),
        ({"random": "1 + slope"}, "names 'slope', which is not a column"),
        ({"random": {}}, "random= names no grouping"),
        ({"random": {"center": "1"}}, "random='center' does not lie within the subject 'who'"),
        ({"random": {"who": "1", "center:who": "1"}}, "does not lie within the subject 'who'"),
        ({"random": {"who:part": "1"}}, "random='who:part': 'part' is not a column"),
        ({"random": "0"}, "is empty"),
        ({"random": "(1 | who)"}, r"random= of fit_lmm"),
        ({"random": None}, "random="),
        ({"random": 3}, "random="),
        ({"residual": "ar1"}, "residual='ar1' needs visit="),
        ({"residual": "sp_exp"}, "residual='sp_exp' needs time="),
        ({"residual": "diagonal"}, "'diagonal' is not available"),
        ({"residual": "un@ar1", "visit": "visit"}, "products are for fit_mmrm"),
        ({"residual_group": "part"}, "residual_group='part' is not a column"),
        ({"weights": "x"}, "weights are positive"),
        ({"subject": "nobody"}, "subject='nobody' is not a column"),
        ({"vcov": "CR2", "df_method": "kenward_roger"}, "use df_method='satterthwaite'"),
        ({"method": "ml", "df_method": "kenward_roger"}, "use method='reml'"),
        ({"method": "REML"}, "method='REML' is not 'reml' or 'ml'"),
    ],
    ids=str,
)
def test_random_effects_that_cannot_be_had_are_refused_by_name(options, message, trial):
    given = {"subject": "who", "random": "1"} | options
    with pytest.raises(AibmdError, match=message):
        aibmd.fit_lmm("y ~ visit", trial, **given)


@pytest.mark.parametrize("data", [None, {"y": [1.0]}, [[1.0]], "file.csv"])
def test_what_is_not_a_table_is_refused(data):
    with pytest.raises(AibmdError, match="give a DataFrame or a Cohort"):
        fit("y ~ visit", data)


def test_an_empty_table_is_refused(trial):
    with pytest.raises(AibmdError, match="no rows"):
        fit("y ~ visit", trial.iloc[:0])


def test_a_visit_column_may_be_numbers_inside_c(trial, reference):
    numbered = trial.assign(visit=trial["visit"].str[1:].astype(int))
    found = fit("y ~ arm * C(visit) + base + x", numbered)
    assert found.visits == ("1", "2", "3")
    assert_same(found, reference)


def test_the_likelihood_without_bound_is_reported_not_fitted():
    few = make_trial(1, 4, 5, gaps=0.0)
    with pytest.raises(aibmd.ConvergenceError, match=r"covariance='cs'"):
        fit("y ~ visit", few)
    with pytest.warns(SingularFitWarning, match="rises without bound"):
        found = fit("y ~ visit", few, df_method="residual")
    assert not found.converged
    assert "NOT A CERTIFIED MAXIMUM" in found.summary()


def test_a_factor_with_one_level_is_named_not_silently_lost(trial):
    with pytest.warns(DataWarning, match="'arm' has one level in the rows used"):
        found = fit("y ~ arm * visit", trial[trial["arm"] == trial["arm"].iloc[0]])
    assert not [name for name in found.params.index if "arm" in name]


def test_text_in_the_response_is_found_where_it_stands(trial):
    spoiled = trial.assign(y=trial["y"].astype(object))
    spoiled.iloc[4, spoiled.columns.get_loc("y")] = "abc"
    label = spoiled.index[4]
    with pytest.raises(aibmd.AibmdError, match=f"row {label} holds 'abc'"):
        fit("y ~ arm * visit", spoiled)
