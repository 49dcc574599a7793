"""Averages over people: closed forms, and whether the standard error is that of the population."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import AibmdError
from aibmd.means import contrast, emmeans, percentage_point_difference

NUMBERS = ["estimate", "std_error", "df"]


def two_groups(n=60, seed=5, slope=(1.0, 3.0)):
    rng = np.random.default_rng(seed)
    arm = np.where(rng.random(n) < 0.4, "a", "b")
    x = rng.normal(2.0, 1.5, n)
    y = np.where(arm == "a", slope[0], slope[1]) * x + rng.normal(0, 1, n)
    return pd.DataFrame({"arm": arm, "x": x, "y": y})


def test_two_regression_lines_have_the_variance_of_the_textbook(ols):
    """At level a: s2 (1/n_a + (m - m_a)^2 / Sxx_a) + b_a^2 var(x) / n, m the mean of everyone."""
    data = two_groups()
    found = emmeans(ols("y ~ arm * x", data), "arm", weights="counterfactual")
    frame = found.to_frame().set_index("arm")
    m, n, slopes, residual = data["x"].mean(), len(data), {}, 0.0
    for arm, part in data.groupby("arm"):
        slopes[arm], start = np.polyfit(part["x"], part["y"], 1)
        residual += ((part["y"] - start - slopes[arm] * part["x"]) ** 2).sum()
    s2 = residual / (n - 4)
    for arm, part in data.groupby("arm"):
        Sxx = ((part["x"] - part["x"].mean()) ** 2).sum()
        line = s2 * (1 / len(part) + (m - part["x"].mean()) ** 2 / Sxx)
        people = slopes[arm] ** 2 * data["x"].var() / n
        estimate = part["y"].mean() + slopes[arm] * (m - part["x"].mean())
        assert frame.loc[arm, "estimate"] == pytest.approx(estimate, rel=1e-9)
        assert frame.loc[arm, "std_error"] ** 2 == pytest.approx(line + people, rel=1e-9)
        df = (line + people) ** 2 / (line**2 / (n - 4) + people**2 / (n - 1))
        assert frame.loc[arm, "df"] == pytest.approx(df, rel=1e-9)
    people = (slopes["b"] - slopes["a"]) ** 2 * data["x"].var() / n
    plain = contrast(emmeans(ols("y ~ arm * x", data), "arm"), "revpairwise").to_frame()
    own = contrast(found, "revpairwise").to_frame()
    assert own["std_error"][0] ** 2 - plain["std_error"][0] ** 2 == pytest.approx(people, rel=1e-9)
    assert own["estimate"][0] == pytest.approx(plain["estimate"][0], rel=1e-9)


def test_a_single_mean_has_nearly_the_variance_of_a_mean(ols):
    """With one line for everyone the average prediction is the mean of y, and so is its error."""
    data = two_groups(n=4000, slope=(2.0, 2.0))
    fitted = ols("y ~ x + arm", data)
    means = emmeans(fitted, "arm", weights="counterfactual")
    share = (data["arm"] == "b").mean()
    total = contrast(means, {"all": [1 - share, share]}, by=[]).to_frame()
    assert total["estimate"][0] == pytest.approx(data["y"].mean(), rel=1e-9)
    assert total["std_error"][0] == pytest.approx(data["y"].std() / np.sqrt(4000), rel=5e-3)


def test_the_standard_error_is_that_of_repeated_samples_of_people(ols):
    """Held at the mean of the covariate it is too small: the trap this answers."""
    differences = [line_difference(two_groups(50, seed, (0.0, 3.0))) for seed in range(2000)]
    spread = np.std(differences, ddof=1)  # known to 1.6 % from 2000 draws
    own, fixed = [], []
    for seed in range(40):
        data = two_groups(50, seed, (0.0, 3.0))
        fitted = ols("y ~ arm * x", data)
        found = contrast(emmeans(fitted, "arm", weights="counterfactual"), "revpairwise").to_frame()
        assert found["estimate"][0] == pytest.approx(differences[seed], rel=1e-8)
        own.append(found["std_error"][0])
        fixed.append(contrast(emmeans(fitted, "arm"), "revpairwise").to_frame()["std_error"][0])
    assert np.mean(own) == pytest.approx(spread, rel=0.08)
    assert np.mean(fixed) < 0.6 * spread


def line_difference(data):
    """Difference of two regression lines at the mean of everyone."""
    lines = {arm: np.polyfit(part["x"], part["y"], 1) for arm, part in data.groupby("arm")}
    return np.polyval(lines["b"] - lines["a"], data["x"].mean())


def test_without_interactions_differences_gain_nothing_and_means_do(ols, fev):
    one_each = fev.groupby("usubjid", observed=True).head(1)
    fitted = ols("fev1 ~ armcd + race + sex + fev1_bl", one_each)
    own = emmeans(fitted, "armcd", weights="counterfactual")
    plain = emmeans(fitted, "armcd", weights="proportional")
    np.testing.assert_allclose(
        contrast(own, "pairwise").to_frame()[NUMBERS],
        contrast(plain, "pairwise").to_frame()[NUMBERS],
        rtol=1e-8,
    )
    assert (own.to_frame()["std_error"] > plain.to_frame()["std_error"]).all()
    # One row each and nothing crossed: shares of rows and means of rows are those of people.
    assert own.to_frame()["estimate"][0] == pytest.approx(
        fitted.inference.beta @ people_mean(fitted, "PBO"), rel=1e-9
    )


def people_mean(fitted, arm):
    return fitted.coding.code(fitted.coding.frame.assign(armcd=arm))[:, fitted.coding.kept].mean(0)


@pytest.fixture(scope="module")
def fit(fev):
    return aibmd.fit_mmrm(
        "fev1 ~ armcd * avisit * fev1_bl + race", fev, subject="usubjid", visit="avisit",
        covariance="cs",
    )  # fmt: skip


def test_everyone_counts_once_whatever_the_number_of_rows(fit, fev):
    one_each = fev.groupby("usubjid", observed=True).head(1)
    found = emmeans(fit, "armcd", "avisit", weights="counterfactual").to_frame()
    for row in found.itertuples():
        people = one_each.assign(armcd=row.armcd, avisit=row.avisit)
        want = aibmd.predict(fit, people)["estimate"].mean()
        assert row.estimate == pytest.approx(want, rel=1e-9)


def test_the_output_says_whose_mean_and_whose_standard_error(fit):
    shown = emmeans(fit, "armcd", "avisit", weights="counterfactual").summary()
    assert "each of 197 subjects predicted at every level shown" in shown
    assert "with their own fev1_bl, race" in shown
    assert "Standard errors are for the population" in shown
    assert "own rows: avisit" in emmeans(fit, "armcd", weights="counterfactual").summary()
    held = emmeans(fit, "armcd", "avisit", at={"fev1_bl": 40}, weights="counterfactual")
    assert "Set for everyone: fev1_bl = 40" in held.summary()


def test_levels_can_be_left_out_and_values_set_for_everyone(fit):
    everything = emmeans(fit, "armcd", "avisit", weights="counterfactual").to_frame()
    some = emmeans(
        fit, "armcd", "avisit", at={"avisit": ["VIS2"], "armcd": "TRT"}, weights="counterfactual"
    ).to_frame()
    row = everything[(everything["armcd"] == "TRT") & (everything["avisit"] == "VIS2")]
    np.testing.assert_allclose(some[NUMBERS], row[NUMBERS], rtol=1e-12)
    held = emmeans(fit, "armcd", "avisit", at={"fev1_bl": 40, "race": "White"},
                   weights="counterfactual").to_frame()  # fmt: skip
    # Nothing is left that differs between people, so this is the ordinary mean at these values.
    plain = emmeans(fit, ["armcd", "race"], "avisit", at={"fev1_bl": 40, "race": ["White"]})
    np.testing.assert_allclose(held[NUMBERS], plain.to_frame()[NUMBERS], rtol=1e-9)


def test_normal_df_stay_infinite_and_limits_follow(fit):
    found = emmeans(fit, "armcd", "avisit", weights="counterfactual", df_method="normal")
    frame = found.to_frame()
    assert np.isinf(frame["df"]).all()
    np.testing.assert_allclose(
        frame["conf_high"] - frame["estimate"], 1.959963985 * frame["std_error"], rtol=1e-8
    )


def test_where_some_people_cannot_be_predicted_there_is_no_mean(ols, empty_cell):
    means = emmeans(ols("y ~ region * dose + visit", empty_cell), "dose", weights="counterfactual")
    frame = means.to_frame().set_index("dose")
    assert frame.loc["mid", NUMBERS].isna().all()
    assert frame.drop("mid")[NUMBERS].notna().all(axis=None)
    assert means.summary().count("not estimable") == 1
    assert contrast(means, adjust="mvt").to_frame()["estimate"].isna().sum() == 2


def test_percentage_points_carry_the_variance_of_the_people(ols, fev):
    data = fev.assign(log_change=np.log(fev["fev1"] / fev["fev1_bl"]))
    fitted = ols("log_change ~ armcd * fev1_bl", data)
    own = emmeans(fitted, "armcd", weights="counterfactual")
    points = percentage_point_difference(own, "revpairwise")
    m, V = own.to_frame()["estimate"].to_numpy(), own.vcov()
    gradient = 100 * np.exp(m) * [-1, 1]
    assert points["std_error"][0] == pytest.approx(np.sqrt(gradient @ V @ gradient), rel=1e-9)


def test_several_values_of_what_is_not_shown_are_refused(fit):
    with pytest.raises(AibmdError, match="one value is set for everyone"):
        emmeans(fit, "armcd", at={"avisit": ["VIS1", "VIS2"]}, weights="counterfactual")


def test_one_subject_has_no_population(ols):
    data = pd.DataFrame({"arm": ["a", "b"] * 3, "y": [1.0, 2, 3, 4, 5, 7]})
    fitted = ols("y ~ arm", data)
    fitted.design.rows.subject.flags.writeable = True
    fitted.design.rows.subject[:] = 0
    with pytest.raises(AibmdError, match="two subjects"):
        emmeans(fitted, "arm", weights="counterfactual")


def test_a_sampling_weight_of_two_counts_a_person_twice(fev):
    one_each = fev.assign(w=np.where(fev["sex"] == "Male", 2.0, 1.0))
    fit = aibmd.fit_mmrm(
        "fev1 ~ armcd * avisit + armcd * fev1_bl", one_each, subject="usubjid", visit="avisit",
        covariance="cs", sampling_weights="w", vcov="CR2",
    )  # fmt: skip
    people = one_each.groupby("usubjid", observed=True).head(1)
    found = emmeans(fit, "armcd", "avisit", weights="counterfactual")
    row = found.to_frame().iloc[0]
    twice = people.loc[people.index.repeat(people["w"].astype(int))]
    predicted = aibmd.predict(fit, twice.assign(armcd=row["armcd"], avisit=row["avisit"]))
    assert row["estimate"] == pytest.approx(predicted["estimate"].mean(), rel=1e-9)
    assert "weighted by sampling_weights" in found.summary()
    assert "sandwich CR2" in found.summary()


def test_another_df_method_keeps_the_sandwich(fev):
    fit = aibmd.fit_mmrm(
        "fev1 ~ armcd * avisit", fev, subject="usubjid", visit="avisit", covariance="cs", vcov="CR2"
    )
    same, normal = (
        emmeans(fit, "armcd", df_method=name).to_frame()["std_error"] for name in (None, "normal")
    )
    np.testing.assert_allclose(normal, same, rtol=1e-12)
