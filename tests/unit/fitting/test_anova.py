"""Type III tests do not depend on how the user coded, named or scaled anything."""

import numpy as np
import pytest
from made_trials import fit, make_trial
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

import aibmd
from aibmd.errors import AibmdError


@pytest.fixture(scope="module")
def trial():
    return make_trial(12, 50, 3)


def numbers(table):
    return table.drop(columns="term").to_numpy(dtype=float)


@pytest.mark.parametrize("df_method", ["kenward_roger", "satterthwaite"])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ C(center, contr.sum) * C(visit, contr.sum) + base",
        "y ~ C(center, contr.helmert) * C(visit, contr.poly) + base",
        "y ~ C(center, contr.treatment('q')) * C(visit, contr.treatment('v3')) + base",
        "y ~ 0 + center * visit + base",
        "y ~ center:visit + center + visit + base",
    ],
)
def test_the_coding_of_the_user_changes_nothing(df_method, formula, trial):
    plain = aibmd.anova(fit("y ~ center * visit + base", trial, df_method=df_method))
    coded = aibmd.anova(fit(formula, trial, df_method=df_method))
    order = [coded["term"].str.count(":").eq(t.count(":")) for t in plain["term"]]
    assert len(order) == len(coded)
    np.testing.assert_allclose(
        numbers(coded)[np.argsort(coded["statistic"])],
        numbers(plain)[np.argsort(plain["statistic"])],
        rtol=1e-8,
    )


def test_one_visit_gives_the_type_three_table_of_least_squares(trial):
    one = trial[trial["visit"] == "v2"]
    found = aibmd.anova(fit("y ~ center * arm + base", one)).set_index("term")
    model = ols("y ~ C(center, Sum) * C(arm, Sum) + base", one).fit()
    want = anova_lm(model, typ=3)
    for ours, theirs in {
        "center": "C(center, Sum)",
        "arm": "C(arm, Sum)",
        "base": "base",
        "center:arm": "C(center, Sum):C(arm, Sum)",
    }.items():
        assert found.loc[ours, "statistic"] == pytest.approx(want.loc[theirs, "F"], rel=1e-7)
        assert found.loc[ours, "df_denom"] == pytest.approx(model.df_resid, rel=1e-6)
        assert found.loc[ours, "p_value"] == pytest.approx(want.loc[theirs, "PR(>F)"], rel=1e-6)


@pytest.mark.parametrize("name", ["C", "contr", "s", "su", "sum", "I", "log", "a b", "c.d"])
def test_the_name_of_a_factor_changes_nothing(name, trial):
    plain = numbers(aibmd.anova(fit("y ~ center * visit", trial)))
    renamed = trial.rename(columns={"center": name})
    found = aibmd.anova(fit(f"y ~ `{name}` * visit", renamed))
    np.testing.assert_allclose(numbers(found), plain, rtol=1e-10)
    assert found["term"].tolist() == [name, "visit", f"{name}:visit"]


@pytest.mark.parametrize("name", ["C", "contr", "s", "a b"])
def test_the_name_of_a_covariate_changes_nothing(name, trial):
    plain = numbers(aibmd.anova(fit("y ~ base * visit", trial)))
    found = aibmd.anova(fit(f"y ~ `{name}` * visit", trial.rename(columns={"base": name})))
    np.testing.assert_allclose(numbers(found), plain, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_the_unit_of_a_covariate_changes_nothing(unit, trial):
    plain = numbers(aibmd.anova(fit("y ~ arm * visit * base", trial)))
    scaled = aibmd.anova(fit("y ~ arm * visit * base", trial.assign(base=unit * trial["base"])))
    np.testing.assert_allclose(numbers(scaled), plain, rtol=1e-6)


def test_a_term_of_one_column_is_its_t_test(trial):
    found = fit("y ~ arm + visit + base + x", trial)
    table = aibmd.anova(found).set_index("term")
    for term in ("base", "x"):
        assert table.loc[term, "statistic"] == pytest.approx(found.tvalues[term] ** 2)
        assert table.loc[term, "p_value"] == pytest.approx(found.pvalues[term], rel=1e-8)
    # Without interactions the sum-coded effect of two levels is half their difference.
    assert table.loc["arm", "statistic"] == pytest.approx(found.tvalues["arm[T.b]"] ** 2)


def test_a_number_inside_c_is_a_factor(trial):
    numbered = trial.assign(dose=trial["center"].map({"p": 1, "q": 2, "r": 3}))
    found = aibmd.anova(fit("y ~ C(dose) * visit", numbered))
    plain = aibmd.anova(fit("y ~ center * visit", trial))
    np.testing.assert_allclose(numbers(found), numbers(plain), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:columns that repeat:aibmd.errors.DataWarning")
def test_an_empty_cell_costs_the_interaction_one_df(trial):
    holed = trial[(trial["center"] != "p") | (trial["visit"] != "v3")]
    found = aibmd.anova(fit("y ~ center * visit", holed)).set_index("term")
    assert found.loc["center:visit", "df_num"] == 3


def test_two_terms_that_code_the_same_factor_are_named(trial):
    with pytest.warns(UserWarning, match="that repeat earlier ones"):
        found = fit("y ~ arm + C(arm) + visit", trial)
    with pytest.raises(AibmdError, match="arm"):
        aibmd.anova(found)


def test_a_mean_alone_has_no_terms(trial):
    assert aibmd.anova(fit("y ~ 1", trial)).empty


@pytest.mark.parametrize("type_", ["II", "I", 3, None])
def test_other_types_are_refused(type_, trial):
    with pytest.raises(AibmdError, match="available: 'III'"):
        aibmd.anova(fit("y ~ visit", trial), type=type_)
