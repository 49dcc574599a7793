"""Type II and III tests do not depend on how the user coded, named or scaled anything."""

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

import aibmd
from aibmd.errors import AibmdError
from aibmd.fitting.term_hypotheses import type_two_hypotheses


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


@pytest.mark.parametrize("type_", ["I", "2", 3, None])
def test_other_types_are_refused(type_, trial):
    with pytest.raises(AibmdError, match="available: 'II' or 'III'"):
        aibmd.anova(fit("y ~ visit", trial), type=type_)


@pytest.mark.parametrize("options", [{"df_method": "satterthwaite"}, {"vcov": "CR2"}, {}])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ C(center, contr.sum) * C(visit, contr.sum) + base",
        "y ~ C(center, contr.helmert) * C(visit, contr.poly) + base",
        "y ~ C(center, contr.treatment('q')) * C(visit, contr.treatment('v3')) + base",
        "y ~ 0 + center * visit + base",
        "y ~ base + center:visit + visit + center",
    ],
)
def test_coding_and_order_of_terms_change_no_type_two_test(options, formula, trial):
    plain = aibmd.anova(fit("y ~ center * visit + base", trial, **options), type="II")
    coded = aibmd.anova(fit(formula, trial, **options), type="II")
    assert len(coded) == len(plain) == 4
    np.testing.assert_allclose(
        numbers(coded)[np.argsort(coded["statistic"])],
        numbers(plain)[np.argsort(plain["statistic"])],
        rtol=1e-7,
    )


def test_a_main_effect_of_type_two_is_blind_to_the_columns_of_its_interaction(trial):
    """In the fit without the interaction its hypothesis is that the coefficients vanish."""
    wide = fit("y ~ center * arm + visit + base", trial)
    narrow = fit("y ~ center + arm + visit + base", trial)
    by_type_two = type_two_hypotheses(wide.coding)["center"]
    shared = [wide.params.index.get_loc(name) for name in narrow.params.index]
    names = narrow.params.index
    is_center = names.str.startswith("center")
    assert np.abs(by_type_two[:, shared][:, ~is_center]).max() < 1e-10
    assert np.linalg.matrix_rank(by_type_two[:, shared][:, is_center]) == 2


def test_one_visit_gives_the_type_two_table_of_least_squares(trial):
    one = trial[trial["visit"] == "v2"]
    found = aibmd.anova(fit("y ~ center * arm + base * arm", one), type="II").set_index("term")
    # There, as in R's car, a covariate in an interaction does not keep `arm` from being adjusted.
    model = ols("y ~ center * arm + base * arm", one).fit()
    want = anova_lm(model, typ=2)
    for term in ("center", "base", "center:arm"):
        assert found.loc[term, "statistic"] == pytest.approx(want.loc[term, "F"], rel=1e-7)
        assert found.loc[term, "df_num"] == want.loc[term, "df"]
    interaction = "base:arm" if "base:arm" in found.index else "arm:base"
    assert found.loc[interaction, "statistic"] == pytest.approx(
        model.tvalues.filter(regex="arm.*:base|base:arm").iloc[0] ** 2, rel=1e-7
    )


def test_balanced_complete_data_have_one_table():
    """Equal cells: ignoring an interaction or averaging over it is the same."""
    rng = np.random.default_rng(5)
    cells = [(w, a, v) for w in range(24) for a in ("a", "b")[w % 2] for v in ("v1", "v2", "v3")]
    table = pd.DataFrame(cells, columns=["who", "arm", "visit"])
    table["y"] = rng.normal(size=len(table)) + rng.normal(size=24)[table["who"]]
    made = fit("y ~ arm * visit", table)
    pd.testing.assert_frame_equal(
        aibmd.anova(made, type="II"), aibmd.anova(made, type="III"), rtol=1e-8
    )


def test_without_interactions_both_types_are_one(trial):
    made = fit("y ~ center + visit + base", trial)
    pd.testing.assert_frame_equal(
        aibmd.anova(made, type="II"), aibmd.anova(made, type="III"), rtol=1e-12
    )


@pytest.mark.parametrize(
    "options",
    [{"df_method": name} for name in ("kenward_roger_second_order", "residual", "normal")]
    + [{"df_method": "between_within"}, {"vcov": "CR0"}, {"vcov": "CR3", "df_method": "normal"}],
    ids=str,
)
def test_type_two_of_one_column_is_its_t_test_under_every_rule(options, trial):
    made = fit("y ~ center * visit + base", trial, covariance="ar1", **options)
    row = aibmd.anova(made, type="II").set_index("term").loc["base"]
    assert row["statistic"] == pytest.approx(made.tvalues["base"] ** 2, rel=1e-9)
    assert row["df_denom"] == pytest.approx(made.df["base"], rel=1e-8)
    assert row["p_value"] == pytest.approx(made.pvalues["base"], rel=1e-7)


@pytest.mark.filterwarnings("ignore:columns that repeat:aibmd.errors.DataWarning")
def test_an_empty_cell_leaves_main_effects_of_type_two_their_df(trial):
    holed = trial[(trial["center"] != "p") | (trial["visit"] != "v3")]
    found = aibmd.anova(fit("y ~ center * visit", holed), type="II").set_index("term")
    assert found["df_num"].to_dict() == {"center": 2, "visit": 2, "center:visit": 3}
