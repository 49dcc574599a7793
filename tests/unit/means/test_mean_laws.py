"""What must hold for marginal means of any data."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import AibmdError
from aibmd.means import contrast, emmeans

FORMULA = "fev1 ~ race + sex + armcd * avisit + fev1_bl"
NUMBERS = ["estimate", "std_error", "df"]


def fit(data, formula=FORMULA):
    return aibmd.fit_mmrm(formula, data, subject="usubjid", visit="avisit", covariance="un")


def table(means, keys=("armcd", "avisit")):
    frame = means.to_frame()
    frame[list(keys)] = frame[list(keys)].astype(str)
    return frame.set_index(list(keys))[NUMBERS].sort_index()


@pytest.fixture(scope="module")
def fitted(fev):
    return fit(fev)


@pytest.mark.parametrize("weights", ["equal", "proportional"])
def test_means_stay_whatever_the_reference_levels(fev, fitted, weights):
    turned = fev.assign(
        armcd=fev["armcd"].cat.reorder_categories(["TRT", "PBO"]),
        race=fev["race"].cat.reorder_categories(fev["race"].cat.categories[::-1]),
    )
    coded = FORMULA.replace("sex", "C(sex, contr.sum)")
    before = emmeans(fitted, "armcd", "avisit", weights=weights)
    after = emmeans(fit(turned, coded), "armcd", "avisit", weights=weights)
    np.testing.assert_allclose(table(after), table(before), rtol=1e-6)


def test_means_stay_when_rows_are_shuffled(fev, fitted):
    shuffled = fit(fev.sample(frac=1, random_state=3))
    before, after = (table(emmeans(f, "armcd", "avisit")) for f in (fitted, shuffled))
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_means_stay_when_groups_are_relabelled(fev, fitted):
    relabelled = fit(fev.assign(armcd=fev["armcd"].cat.rename_categories(["z old", "a new"])))
    after = table(emmeans(relabelled, "armcd", "avisit")).rename(
        index={"z old": "PBO", "a new": "TRT"}
    )
    np.testing.assert_allclose(
        after.sort_index(), table(emmeans(fitted, "armcd", "avisit")), rtol=1e-6
    )


def test_differences_do_not_depend_on_weights_without_interactions(fitted):
    equal, proportional = (
        contrast(emmeans(fitted, "armcd", "avisit", weights=w), "revpairwise").to_frame()
        for w in ("equal", "proportional")
    )
    np.testing.assert_allclose(proportional["estimate"], equal["estimate"], rtol=1e-12)


def test_proportional_means_average_to_the_mean_response(ols, fev):
    """Least squares with an intercept reproduces the mean of the response."""
    fitted = ols("fev1 ~ race + sex", fev)
    means = emmeans(fitted, "sex", weights="proportional").to_frame().set_index("sex")
    share = fev["race"].value_counts(normalize=True)
    by_race = emmeans(fitted, "race", weights="proportional").to_frame().set_index("race")
    assert (by_race["estimate"] * share).sum() == pytest.approx(fev["fev1"].mean(), rel=1e-12)
    share = fev["sex"].value_counts(normalize=True)
    assert (means["estimate"] * share).sum() == pytest.approx(fev["fev1"].mean(), rel=1e-12)


def test_a_cell_mean_is_the_mean_of_its_rows(ols, fev):
    means = emmeans(ols("fev1 ~ armcd * avisit", fev), ["armcd", "avisit"]).to_frame()
    cells = fev.groupby(["armcd", "avisit"], observed=True)["fev1"].mean()
    for row in means.itertuples():
        assert row.estimate == pytest.approx(cells[row.armcd, row.avisit], rel=1e-12)


def test_units_of_a_covariate_do_not_move_the_means(ols, fev):
    formula = "fev1 ~ armcd * fev1_bl"
    before = emmeans(ols(formula, fev), "armcd").to_frame()[NUMBERS]
    after = emmeans(ols(formula, fev.assign(fev1_bl=fev["fev1_bl"] * 1e6)), "armcd").to_frame()
    np.testing.assert_allclose(after[NUMBERS], before, rtol=1e-9)


def test_a_difference_can_be_estimable_where_its_means_are_not(ols):
    """Clinics lie within regions, so region is a sum of clinics and their average is no mean."""
    data = pd.DataFrame(
        {
            "region": list("NNSSSSSS") * 2,
            "clinic": list("aabbccdd") * 2,
            "arm": ["x"] * 8 + ["y"] * 8,
            "y": np.arange(16.0) ** 1.5,
        }
    )
    means = emmeans(ols("y ~ arm + region + clinic", data), "arm")
    assert not means.is_estimable.any()
    difference = contrast(means, "revpairwise").to_frame()
    by_arm = data.groupby("arm")["y"].mean()
    assert difference["estimate"][0] == pytest.approx(by_arm["y"] - by_arm["x"], rel=1e-12)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_repeated_covariate_leaves_means_estimable_whatever_its_unit(ols, fev, unit):
    once = emmeans(ols("fev1 ~ armcd + center(fev1_bl)", fev), "armcd").to_frame()
    twice = ols(
        "fev1 ~ armcd + center(fev1_bl) + center(again)", fev.assign(again=unit * fev["fev1_bl"])
    )
    np.testing.assert_allclose(
        emmeans(twice, "armcd").to_frame()[NUMBERS[:2]], once[NUMBERS[:2]], rtol=1e-9
    )
    moved = emmeans(twice, "armcd", at={"again": 40 * unit})
    assert not moved.is_estimable.any()


def test_what_is_not_estimable_is_printed_so_and_never_as_a_number(ols, empty_cell):
    means = emmeans(ols("y ~ region * dose + visit", empty_cell), "dose", "region")
    frame = means.to_frame()
    missing = (frame["region"] == "west") & (frame["dose"] == "mid")
    assert frame.loc[missing, NUMBERS].isna().all(axis=None)
    assert frame.loc[~missing, NUMBERS].notna().all(axis=None)
    assert means.summary().count("not estimable") == 1
    assert contrast(means).summary().count("not estimable") == 2


def test_covariates_are_held_at_their_mean_over_the_rows_used(ols, fev):
    some = fev.assign(fev1_bl=fev["fev1_bl"].where(fev["sex"] == "Male"))
    fitted = ols("fev1 ~ armcd * fev1_bl", some)
    mean = some["fev1_bl"].mean()
    given = emmeans(fitted, "armcd", at={"fev1_bl": mean}).to_frame()[NUMBERS]
    np.testing.assert_allclose(emmeans(fitted, "armcd").to_frame()[NUMBERS], given, rtol=1e-12)
    assert f"fev1_bl = {mean:.6g}" in emmeans(fitted, "armcd").summary()


def test_a_logged_covariate_is_the_log_of_the_mean(ols, fev):
    fitted = ols("fev1 ~ armcd + log(fev1_bl)", fev)
    held = fitted.coding.code(pd.DataFrame({"armcd": ["PBO"], "fev1_bl": [fev["fev1_bl"].mean()]}))
    assert emmeans(fitted, "armcd").to_frame()["estimate"][0] == pytest.approx(
        float((held @ fitted.inference.beta)[0]), rel=1e-12
    )


def test_a_number_inside_c_is_a_factor(ols, fev):
    means = emmeans(ols("fev1 ~ armcd + C(visitn)", fev), "visitn")
    assert list(means.labels["visitn"]) == [1, 2, 3, 4]


def test_the_printed_table_says_how_it_averaged(ols, fev):
    fitted = ols("fev1 ~ race * armcd + sex", fev)
    assert "race and sex, all combinations weighted equally" in emmeans(fitted, "armcd").summary()
    proportional = emmeans(fitted, "armcd", weights="proportional").summary()
    assert "weighted by their share of the 537 rows used (proportional)" in proportional
    assert "no factor is averaged over" in emmeans(fitted, ["armcd", "race", "sex"]).summary()


def test_another_df_method_changes_df_and_not_estimates(fitted):
    kenward_roger, normal = (
        emmeans(fitted, "armcd", "avisit", df_method=m).to_frame()
        for m in ("kenward_roger", "normal")
    )
    np.testing.assert_array_equal(normal["estimate"], kenward_roger["estimate"])
    assert np.isinf(normal["df"]).all()
    assert np.isfinite(kenward_roger["df"]).all()


def test_a_higher_level_gives_wider_limits(fitted):
    narrow, wide = (emmeans(fitted, "armcd", conf_level=level).to_frame() for level in (0.9, 0.99))
    assert (wide["conf_low"] < narrow["conf_low"]).all()
    assert (wide["conf_high"] > narrow["conf_high"]).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"over": "arm"}, "Factors: race, sex, armcd, avisit; covariates: fev1_bl"),
        ({"over": "fev1_bl"}, "covariate"),
        ({"over": "armcd", "by": "armcd"}, "twice"),
        ({"over": []}, "names no factor"),
        ({"over": "armcd", "at": {"avisit": ["VIS9"]}}, "levels are 'VIS1'"),
        ({"over": "armcd", "at": {"avisit": []}}, "empty"),
        ({"over": "armcd", "at": {"weight": 1}}, "not in the model"),
        ({"over": "armcd", "at": {"fev1_bl": [30, 50]}}, "neither over nor by"),
        ({"over": "armcd", "at": {"fev1_bl": "thirty"}}, "finite numbers"),
        ({"over": "armcd", "weights": "cells"}, "'equal', 'proportional' or 'counterfactual'"),
        ({"over": "armcd", "df_method": "exact"}, "available"),
    ],
)
def test_an_impossible_request_says_what_is_possible(fitted, arguments, words):
    with pytest.raises(AibmdError, match=words):
        emmeans(fitted, **arguments)


def test_a_grid_too_large_to_lay_out_is_refused(ols):
    columns = {f"f{i}": list("abcdefgh") * 4 for i in range(6)}
    data = pd.DataFrame({**columns, "y": np.arange(32.0)})
    fitted = ols("y ~ " + " + ".join(columns), data)
    with pytest.raises(AibmdError, match="262,144 rows"):
        emmeans(fitted, "f0")
