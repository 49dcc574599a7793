"""Slopes: exact for every term of a formula, and refused where there is none."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import AibmdError, FormulaError
from aibmd.means import back_transform, contrast, emtrends

NUMBERS = ["estimate", "std_error", "df"]


def coefficients(fit):
    names = [name.replace(" ", "") for name in fit.coding.kept_columns]
    return dict(zip(names, fit.inference.beta, strict=True))


def test_the_slope_of_a_straight_line_is_its_coefficient(ols, fev):
    fitted = ols("fev1 ~ armcd * fev1_bl + avisit", fev)
    beta = coefficients(fitted)
    found = emtrends(fitted, "fev1_bl", over="armcd").to_frame().set_index("armcd")["estimate"]
    assert found["PBO"] == pytest.approx(beta["fev1_bl"], rel=1e-10)
    both = beta["fev1_bl"] + beta["armcd[T.TRT]:fev1_bl"]
    assert found["TRT"] == pytest.approx(both, rel=1e-10)


def test_a_straight_line_is_said_to_have_one_slope_and_no_value_is_named(ols, fev):
    fitted = ols("fev1 ~ armcd * fev1_bl + avisit + weight", fev)
    text = emtrends(fitted, "fev1_bl").summary()
    assert "fev1 per unit of the column fev1_bl; a straight line, so the same at every" in text
    assert "fev1_bl = " not in text
    assert "rows used: weight = " in text
    assert "fev1_bl = " not in emtrends(fitted, "fev1_bl", at={"fev1_bl": 40.0}).summary()


def test_a_curved_line_names_the_value_its_slope_belongs_to(ols, fev):
    text = emtrends(ols("fev1 ~ log(fev1_bl)", fev), "fev1_bl", at={"fev1_bl": 40.0}).summary()
    assert "per unit of the column fev1_bl, at fev1_bl = 40; the line is curved" in text
    assert "Means of" not in text


@pytest.mark.parametrize(
    ("term", "slope"),
    [
        ("log(fev1_bl)", lambda x: 1 / x),
        ("log10(fev1_bl)", lambda x: 1 / (x * np.log(10))),
        ("sqrt(fev1_bl)", lambda x: 0.5 / np.sqrt(x)),
        ("I(1 / fev1_bl)", lambda x: -1 / x**2),
        ("exp(I(fev1_bl / 20))", lambda x: np.exp(x / 20) / 20),
        ("center(fev1_bl)", lambda x: 1.0),
        ("I(fev1_bl**3)", lambda x: 3 * x**2),
    ],
)
def test_the_slope_of_a_term_is_its_derivative(ols, fev, term, slope):
    fitted = ols(f"fev1 ~ {term}", fev)
    for value in (31.0, 44.5):
        found = emtrends(fitted, "fev1_bl", at={"fev1_bl": value}).to_frame()["estimate"][0]
        assert found == pytest.approx(
            coefficients(fitted)[term.replace(" ", "")] * slope(value), rel=1e-9
        )


@pytest.mark.parametrize("term", ["poly(fev1_bl, 3)", "bs(fev1_bl, df=3)"])
def test_slopes_of_one_curve_do_not_depend_on_how_it_is_written(ols, fev, term):
    raw = "fev1_bl + I(fev1_bl**2) + I(fev1_bl**3)"
    one, other = (ols(f"fev1 ~ armcd + {text}", fev) for text in (raw, term))
    for value in (26.0, 40.0, float(fev["fev1_bl"].max()), float(fev["fev1_bl"].min())):
        first, second = (
            emtrends(fit, "fev1_bl", at={"fev1_bl": value}).to_frame()[NUMBERS]
            for fit in (one, other)
        )
        np.testing.assert_allclose(second, first, rtol=1e-6)


def test_at_the_knot_of_a_cubic_spline_both_sides_agree(ols, fev):
    fitted = ols("fev1 ~ bs(fev1_bl, knots=[40.0], degree=3)", fev)
    near = [
        emtrends(fitted, "fev1_bl", at={"fev1_bl": value}).to_frame()["estimate"][0]
        for value in (40.0 - 1e-7, 40.0, 40.0 + 1e-7)
    ]
    np.testing.assert_allclose(near, near[1], rtol=1e-6)


def test_a_broken_line_has_no_slope_at_its_knot_and_one_beside_it(ols, fev):
    fitted = ols("fev1 ~ bs(fev1_bl, knots=[40.0], degree=1)", fev)
    with pytest.raises(AibmdError, match="a knot lies at this value"):
        emtrends(fitted, "fev1_bl", at={"fev1_bl": 40.0})
    low, high = (
        emtrends(fitted, "fev1_bl", at={"fev1_bl": value}).to_frame()["estimate"][0]
        for value in (39.999, 40.001)
    )
    line = np.maximum(fev["fev1_bl"] - 40.0, 0.0)
    bent = ols("fev1 ~ fev1_bl + beyond", fev.assign(beyond=line))
    beta = coefficients(bent)
    assert low == pytest.approx(beta["fev1_bl"], rel=1e-7)
    assert high == pytest.approx(beta["fev1_bl"] + beta["beyond"], rel=1e-7)


def test_where_a_term_is_not_defined_the_reason_is_given(ols, fev):
    with pytest.raises(FormulaError, match="not positive"):
        emtrends(ols("fev1 ~ log(fev1_bl)", fev), "fev1_bl", at={"fev1_bl": -3.0})


def test_a_slope_is_per_unit(ols, fev):
    fitted = ols("fev1 ~ armcd * log(fev1_bl)", fev)
    scaled = ols("fev1 ~ armcd * log(fev1_bl)", fev.assign(fev1_bl=1000 * fev["fev1_bl"]))
    before, after = (emtrends(f, "fev1_bl", over="armcd").to_frame() for f in (fitted, scaled))
    np.testing.assert_allclose(1000 * after["estimate"], before["estimate"], rtol=1e-8)
    np.testing.assert_allclose(after["statistic"], before["statistic"], rtol=1e-8)


def test_calendar_years_are_no_trouble(ols, fev):
    fitted = ols("fev1 ~ year + I((year - 2010)**2)", fev.assign(year=2010 + fev["visitn"] / 2))
    beta = coefficients(fitted)
    found = emtrends(fitted, "year", at={"year": 2011.25}).to_frame()["estimate"][0]
    want = beta["year"] + 2.5 * beta["I((year-2010)**2)"]
    assert found == pytest.approx(want, rel=1e-7)


def test_differences_of_slopes_are_contrasts(fev):
    fit = aibmd.fit_mmrm(
        "fev1 ~ armcd * visitn", fev.assign(visitn=fev["visitn"].astype(float)),
        subject="usubjid", visit="avisit", covariance="cs",
    )  # fmt: skip
    slopes = emtrends(fit, "visitn", over="armcd")
    row = contrast(slopes, "revpairwise").to_frame().iloc[0]
    term = "armcd[T.TRT]:visitn"
    assert row["estimate"] == pytest.approx(fit.params[term], rel=1e-9)
    assert row["std_error"] == pytest.approx(fit.bse[term], rel=1e-9)
    assert row["df"] == pytest.approx(fit.df[term], rel=1e-8)


def test_a_slope_in_a_group_with_one_value_is_not_estimable(ols):
    data = pd.DataFrame(
        {
            "arm": list("AAAABBBB"),
            "dose": [2.0] * 4 + [1.0, 2, 3, 4],
            "y": [3.1, 2.9, 3.3, 3.0, 1.2, 2.1, 2.7, 4.4],
        }
    )
    slopes = emtrends(ols("y ~ arm * dose", data), "dose", over="arm")
    frame = slopes.to_frame().set_index("arm")
    assert frame.loc["A", NUMBERS].isna().all()
    x, y = data["dose"][4:], data["y"][4:]
    assert frame.loc["B", "estimate"] == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-9)
    assert slopes.summary().count("not estimable") == 1
    assert contrast(slopes, "pairwise").to_frame()["estimate"].isna().all()


def test_slopes_of_a_logged_response_turn_into_percent_per_unit(ols, fev):
    slopes = emtrends(ols("log(fev1) ~ fev1_bl", fev), "fev1_bl")
    shown = back_transform(slopes)
    assert "not changes" not in shown.summary()
    want = 100 * np.expm1(slopes.to_frame()["estimate"][0])
    assert shown.to_frame()["estimate"][0] == pytest.approx(want, rel=1e-12)


def test_proportional_slopes_weigh_by_the_rows(ols, fev):
    fitted = ols("fev1 ~ sex * fev1_bl", fev)
    by_sex = emtrends(fitted, "fev1_bl", over="sex").to_frame().set_index("sex")["estimate"]
    share = fev["sex"].value_counts(normalize=True)
    found = emtrends(fitted, "fev1_bl", weights="proportional")
    assert found.to_frame()["estimate"][0] == pytest.approx((by_sex * share).sum(), rel=1e-9)
    assert "(proportional)" in found.summary()


@pytest.mark.parametrize(
    ("var", "arguments", "words"),
    [
        ("armcd", {}, "is a factor.*covariates of this model: fev1_bl"),
        ("weight", {}, "not in the model"),
        ("fev1_bl", {"weights": "counterfactual"}, "for means"),
        ("fev1_bl", {"at": {"fev1_bl": [30, 50]}}, "neither over nor by"),
    ],
)
def test_an_impossible_slope_says_what_is_possible(ols, fev, var, arguments, words):
    with pytest.raises(AibmdError, match=words):
        emtrends(ols("fev1 ~ armcd * fev1_bl", fev), var, **arguments)
