import numpy as np
import pytest

from aibmd.errors import AibmdError
from aibmd.means import contrast, emmeans
from aibmd.means.families import FAMILIES, build_contrasts

ROWS = ["low", "mid", "high"]


@pytest.mark.parametrize(
    ("method", "labels"),
    [
        ("pairwise", ("low - mid", "low - high", "mid - high")),
        ("revpairwise", ("mid - low", "high - low", "high - mid")),
        ("treatment_vs_control", ("mid - low", "high - low")),
        ("consecutive", ("mid - low", "high - mid")),
    ],
)
def test_a_label_says_which_row_is_subtracted(method, labels):
    family = build_contrasts(method, ROWS)
    assert family.labels == labels
    for label, coefficients in zip(labels, family.coefficients, strict=True):
        added, subtracted = label.split(" - ")
        expected = [(row == added) - (row == subtracted) for row in ROWS]
        np.testing.assert_array_equal(coefficients, expected)


def test_the_control_may_be_any_row():
    assert build_contrasts("treatment_vs_control", ROWS, "high").labels == (
        "low - high",
        "mid - high",
    )


@pytest.mark.parametrize("given", [[-1, 0, 1], {"high": 1, "low": -1}, np.array([-1.0, 0, 1])])
def test_custom_coefficients_come_in_row_order_or_by_level(given):
    family = build_contrasts({"range": given}, ROWS)
    assert family.labels == ("range",)
    np.testing.assert_array_equal(family.coefficients, [[-1, 0, 1]])


@pytest.mark.parametrize(
    ("method", "control", "words"),
    [
        ("tukey", None, "treatment_vs_control"),
        ("pairwise", "low", "belongs to"),
        ("treatment_vs_control", "none", "low, mid, high"),
        ({"a": [1, -1]}, None, "2 coefficients for 3 rows"),
        ({"a": {"top": 1}}, None, "names 'top'"),
        ({"a": [0, 0, 0]}, None, "not all zero"),
        ({"a": [1, float("nan"), 0]}, None, "finite"),
        ({"a": ["x", 1, 2]}, None, "numbers"),
        ({}, None, "no contrast"),
    ],
)
def test_an_impossible_family_says_what_is_possible(method, control, words):
    with pytest.raises(AibmdError, match=words):
        build_contrasts(method, ROWS, control)


@pytest.mark.parametrize("given", [[-1, 0, 1], (-1, 0, 1), np.array([-1, 0, 1])])
def test_coefficients_without_a_name_are_told_how_to_get_one(given):
    with pytest.raises(AibmdError, match="neither the name of a family nor a mapping") as caught:
        build_contrasts(given, ROWS)
    assert "method={'name': [-1, 0, 1]}, in the order of the rows low, mid, high" in str(
        caught.value
    )
    with pytest.raises(AibmdError, match="mapping"):
        build_contrasts(3, ROWS)


def test_every_family_is_offered_in_the_refusal():
    with pytest.raises(AibmdError) as caught:
        build_contrasts("everything", ROWS)
    assert all(name in str(caught.value) for name in FAMILIES)


@pytest.fixture(scope="module")
def means(ols, fev):
    return emmeans(ols("fev1 ~ armcd * avisit + race", fev), "avisit", "armcd")


def test_the_means_are_not_changed_by_contrasting_them(means):
    before, notes = means.to_frame(), means.notes
    contrast(means, "pairwise", adjust="holm", family="all")
    assert before.equals(means.to_frame())
    assert (means.notes, means.adjust) == (notes, "none")
    with pytest.raises(ValueError, match="read-only"):
        means.L[0, 0] = 1.0


def test_contrasts_stay_within_their_groups(means):
    found = contrast(means, "consecutive").to_frame()
    values = means.to_frame().set_index(["armcd", "avisit"])["estimate"]
    for row in found.itertuples():
        later, earlier = row.contrast.split(" - ")
        expected = values[row.armcd, later] - values[row.armcd, earlier]
        assert row.estimate == pytest.approx(expected, rel=1e-9)


def test_no_groups_compares_all_rows(means):
    found = contrast(means, "pairwise", by=[])
    assert len(found) == 28
    assert found.labels["contrast"][0] == "VIS1 PBO - VIS2 PBO"


def test_identifiers_come_first_and_then_the_columns_of_every_estimate(means):
    assert list(contrast(means).to_frame().columns) == [
        "contrast", "armcd", "estimate", "std_error", "df",
        "statistic", "p_value", "conf_low", "conf_high",
    ]  # fmt: skip


def holm(p_values):
    """Holm 1979: the j-th smallest of m is multiplied by m - j + 1, kept in order."""
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def test_holm_is_within_groups_or_over_all_rows_as_asked(means):
    raw = contrast(means, "consecutive").to_frame()["p_value"].to_numpy()
    within = contrast(means, "consecutive", adjust="holm").to_frame()["p_value"]
    np.testing.assert_allclose(within, np.r_[holm(raw[:3]), holm(raw[3:])], rtol=1e-12)
    overall = contrast(means, "consecutive", adjust="holm", family="all").to_frame()["p_value"]
    np.testing.assert_allclose(overall, holm(raw), rtol=1e-12)


def test_the_family_and_its_size_are_printed_and_stored(means):
    within = contrast(means, "consecutive", adjust="holm")
    assert "adjusted by Holm; each of 2 families of 3 (by armcd)" in within.summary()
    np.testing.assert_array_equal(within.family, [0, 0, 0, 1, 1, 1])
    overall = contrast(means, "consecutive", adjust="holm", family="all")
    assert "adjusted by Holm; one family of 6" in overall.summary()
    assert "not adjusted for multiplicity" in contrast(means).summary()


def test_a_row_that_is_not_estimable_is_no_member_of_the_family(ols, empty_cell):
    means = emmeans(ols("y ~ region * dose + visit", empty_cell), "dose", "region")
    assert "families of 1 or 3" in contrast(means, adjust="holm").summary()


def test_a_contrast_can_be_contrasted_and_speaks_of_its_own_p_values_only(means):
    first = contrast(means, "consecutive", adjust="holm")
    second = contrast(first, "revpairwise", by="contrast")
    assert list(second.labels.columns) == ["contrast1", "contrast"]
    assert list(second.labels["contrast1"]) == ["TRT - PBO"] * 3
    assert "Holm" not in second.summary()
    assert "contrast1: difference of differences, taken within contrast." in second.summary()
    nested = contrast(first, {"sum": [1, 0, 0, -1, 0, 0]}, by=[])
    assert nested.to_frame()["estimate"][0] == pytest.approx(
        -second.to_frame()["estimate"][0], rel=1e-9
    )


def test_coefficients_that_do_not_sum_to_zero_are_said_to_be_no_contrast(means):
    average = contrast(means, {"average": [0.25] * 4})
    assert "not contrasts: average" in average.summary()
    assert "not contrasts" not in contrast(means, {"range": [-1, 0, 0, 1]}).summary()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"adjust": "tukey", "method": "consecutive"}, "all pairs .* adjust='mvt'"),
        ({"adjust": "tukey", "family": "all"}, "family='within_by'"),
        ({"adjust": "dunnett"}, "one control.*treatment_vs_control"),
        ({"adjust": "sidak"}, "available"),
        ({"family": "each"}, "'within_by' or 'all'"),
        ({"by": "visit"}, "they have avisit, armcd"),
        ({"by": ["armcd", "avisit"]}, "name fewer"),
    ],
)
def test_an_impossible_contrast_says_what_is_possible(means, arguments, words):
    with pytest.raises(AibmdError, match=words):
        contrast(means, **arguments)


def test_one_row_in_a_group_leaves_nothing_to_compare(means):
    one_each = contrast(means, {"range": [-1, 0, 0, 1]})
    with pytest.raises(AibmdError, match=r"by=\[\]"):
        contrast(one_each, "revpairwise")
    assert len(contrast(one_each, "revpairwise", by=[])) == 1
