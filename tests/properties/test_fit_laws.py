"""Laws that hold for any data: units, shifts, order and labels change nothing they should not."""

import warnings

import made_trials
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import aibmd

FORMULA = "y ~ arm * visit + base + x"
# Relative. The same optimum, reached along another path of roundings.
SAME = 1e-8
settings.register_profile("laws", derandomize=True, max_examples=12, deadline=None, database=None)
settings.load_profile("laws")

structures = st.sampled_from(["un", "cs"])
df_methods = st.sampled_from(["kenward_roger", "satterthwaite"])


@st.composite
def trials(draw):
    """A trial with enough subjects for an unstructured covariance."""
    n_visits = draw(st.integers(2, 4))
    n_subjects = draw(st.integers(30, 60))
    gaps = draw(st.sampled_from([0.0, 0.1, 0.25]))
    return made_trials.make_trial(draw(st.integers(0, 10_000)), n_subjects, n_visits, gaps)


def fit(table, covariance, df_method, formula=FORMULA):
    """The fit and the warnings that came with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = made_trials.fit(formula, table, covariance=covariance, df_method=df_method)
    return found, sorted(str(w.message) for w in caught)


def assert_same_tests(found, reference, skip=()):
    keep = [name for name in reference.params.index if name not in skip]
    np.testing.assert_allclose(found.tvalues[keep], reference.tvalues[keep], rtol=SAME, atol=SAME)
    np.testing.assert_allclose(found.df[keep], reference.df[keep], rtol=SAME)
    np.testing.assert_allclose(found.pvalues[keep], reference.pvalues[keep], rtol=1e-7)


def assert_same_fit(found, reference):
    assert_same_tests(found, reference)
    np.testing.assert_allclose(found.bse, reference.bse, rtol=SAME)
    np.testing.assert_allclose(found.covariance, reference.covariance, rtol=1e-7, atol=1e-10)
    assert abs(found.llf - reference.llf) < 1e-9


def assert_same_anova(found, reference):
    first, second = aibmd.anova(found), aibmd.anova(reference)
    numbers = ["df_num", "df_denom", "statistic", "p_value"]
    np.testing.assert_allclose(first[numbers], second[numbers], rtol=1e-7)


@given(trials(), structures, df_methods, st.sampled_from([1e-6, 1e-3, 1e3, 1e6]))
def test_units_law(table, covariance, df_method, unit):
    reference, said = fit(table, covariance, df_method)
    found, said_too = fit(table.assign(y=unit * table["y"]), covariance, df_method)
    assert_same_tests(found, reference)
    assert_same_anova(found, reference)
    assert said_too == said
    assert found.converged == reference.converged
    np.testing.assert_allclose(found.params, unit * reference.params, rtol=SAME, atol=unit * 1e-11)


@given(trials(), structures, df_methods, st.sampled_from([-1e6, 1.0, 1e6]))
def test_shift_law(table, covariance, df_method, shift):
    reference, _ = fit(table, covariance, df_method)
    found, _ = fit(table.assign(y=table["y"] + shift), covariance, df_method)
    rest = reference.params.index.drop("Intercept")
    # Adding 1e6 rounds y to 1e-10; that much may move, and no more.
    difference = (found.params - reference.params) / reference.bse
    np.testing.assert_allclose(difference[rest], 0, atol=1e-7)
    np.testing.assert_allclose(found.df, reference.df, rtol=1e-7)
    assert abs(found.params["Intercept"] - shift - reference.params["Intercept"]) < 1e-8


@given(trials(), structures, df_methods, st.randoms(use_true_random=False))
def test_the_order_of_rows_moves_nothing(table, covariance, df_method, random):
    order = list(range(len(table)))
    random.shuffle(order)
    reference, _ = fit(table, covariance, df_method)
    found, _ = fit(table.iloc[order], covariance, df_method)
    assert_same_fit(found, reference)
    np.testing.assert_allclose(found.resid.loc[table.index], reference.resid, atol=1e-8)


@given(trials(), structures, df_methods)
def test_the_labels_of_subjects_mean_nothing(table, covariance, df_method):
    reference, _ = fit(table, covariance, df_method)
    names = {who: f"woman {(7 * who) % 101:03d}" for who in table["who"]}
    found, _ = fit(table.assign(who=table["who"].map(names)), covariance, df_method)
    assert_same_fit(found, reference)


@given(trials(), structures, df_methods)
def test_another_reference_level_moves_neither_f_tests_nor_marginal_means(
    table, covariance, df_method
):
    reference, _ = fit(table, covariance, df_method)
    turned = table.assign(arm=pd.Categorical(table["arm"], ["b", "a"]))
    found, _ = fit(turned, covariance, df_method)
    assert_same_anova(found, reference)
    assert abs(found.llf - reference.llf) < 1e-8
    keys, numbers = ["arm", "visit"], ["estimate", "std_error", "df", "conf_low"]
    first, second = (
        aibmd.emmeans(f, over=["arm"], by=["visit"]).to_frame().astype({"arm": str, "visit": str})
        for f in (found, reference)
    )
    first, second = first.sort_values(keys), second.sort_values(keys)
    np.testing.assert_allclose(first[numbers], second[numbers], rtol=1e-7, atol=1e-8)


@given(trials(), structures, df_methods)
def test_relabelled_arms_keep_their_marginal_means(table, covariance, df_method):
    reference, _ = fit(table, covariance, df_method)
    found, _ = fit(table.assign(arm=table["arm"].map({"a": "z", "b": "c"})), covariance, df_method)
    assert_same_anova(found, reference)
    first = aibmd.emmeans(found, over=["arm"]).to_frame().set_index("arm")["estimate"]
    second = aibmd.emmeans(reference, over=["arm"]).to_frame().set_index("arm")["estimate"]
    np.testing.assert_allclose(first[["z", "c"]], second[["a", "b"]], rtol=SAME, atol=1e-9)


@given(trials(), structures, df_methods)
def test_a_subject_without_outcomes_changes_nothing_but_the_count_of_rows(
    table, covariance, df_method
):
    reference, _ = fit(table, covariance, df_method)
    empty = table.head(2).assign(who=999, y=np.nan, visit=["v1", "v2"])
    found, _ = fit(pd.concat([empty, table]), covariance, df_method)
    assert_same_fit(found, reference)
    assert found.n_subjects == reference.n_subjects
    assert found.dropped_rows == {"missing response y": 2}


@given(trials(), structures, df_methods, st.sampled_from([1e-8, 1e-3, 1e3, 1e8]))
def test_the_unit_of_a_covariate_goes_into_its_coefficient(table, covariance, df_method, unit):
    reference, said = fit(table, covariance, df_method)
    found, said_too = fit(table.assign(x=unit * table["x"]), covariance, df_method)
    assert_same_tests(found, reference)
    assert said_too == said
    np.testing.assert_allclose(found.params["x"] * unit, reference.params["x"], rtol=SAME)


@given(trials(), structures, df_methods, st.sampled_from([-1e3, 10.0, 1e4]))
def test_the_origin_of_a_covariate_goes_into_the_intercept(table, covariance, df_method, shift):
    reference, _ = fit(table, covariance, df_method)
    found, _ = fit(table.assign(x=table["x"] + shift), covariance, df_method)
    assert_same_tests(found, reference, skip=("Intercept",))


@given(trials(), df_methods, st.sampled_from([(1, 100, 1, 0.1), (0.01, 1, 100, 1)]))
def test_the_scale_of_each_visit_is_its_own_matter_in_a_saturated_model(table, df_method, scales):
    """SDs 100-fold and 1000-fold apart: the test at each visit is the same."""
    formula = "y ~ 0 + visit + visit:arm + visit:base"
    factor = table["visit"].map({f"v{j + 1}": scale for j, scale in enumerate(scales)})
    reference, _ = fit(table, "un", df_method, formula)
    found, _ = fit(table.assign(y=factor * table["y"]), "un", df_method, formula)
    np.testing.assert_allclose(found.tvalues, reference.tvalues, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(found.df, reference.df, rtol=1e-7)


@given(trials(), structures, df_methods)
def test_type_three_is_independent_of_the_coding(table, covariance, df_method):
    reference, _ = fit(table, covariance, df_method, "y ~ center * visit + base")
    for coding in ("contr.sum", "contr.helmert", "contr.poly", "contr.treatment('r')"):
        formula = f"y ~ C(center, {coding}) * C(visit, {coding.split('(')[0]}) + base"
        found, _ = fit(table, covariance, df_method, formula)
        assert_same_anova(found, reference)


@given(trials(), structures)
def test_maximum_likelihood_does_not_depend_on_the_coding(table, covariance):
    plain = made_trials.fit("y ~ center * visit", table, covariance=covariance, method="ml")
    coded = made_trials.fit(
        "y ~ C(center, contr.sum) * C(visit, contr.helmert)",
        table,
        covariance=covariance,
        method="ml",
    )
    assert abs(plain.llf - coded.llf) < 1e-9
    np.testing.assert_allclose(plain.fittedvalues, coded.fittedvalues, atol=1e-7)
