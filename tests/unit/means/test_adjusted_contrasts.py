"""P-values and limits of whole families: what belongs together, and what is refused."""

import re

import numpy as np
import pytest
from scipy.stats import studentized_range

from aibmd.errors import AibmdError, DataWarning
from aibmd.inference import adjust_p_values
from aibmd.means import contrast, emmeans

SIMULTANEOUS = ["bonferroni", "tukey", "mvt"]


@pytest.fixture(scope="module")
def means(ols, fev):
    return emmeans(ols("fev1 ~ armcd * avisit + race", fev), "avisit", "armcd")


@pytest.fixture(scope="module")
def pairs_by_visit(ols, fev):
    return emmeans(ols("fev1 ~ armcd * avisit", fev), "armcd", "avisit")


@pytest.fixture(scope="module")
def raw(means):
    return contrast(means, "pairwise").to_frame()


@pytest.mark.parametrize("adjust", SIMULTANEOUS)
def test_a_simultaneous_limit_excludes_zero_exactly_when_its_p_value_is_small(means, adjust):
    for level in (0.5, 0.9, 0.999):
        table = contrast(means, "pairwise", adjust=adjust, conf_level=level).to_frame()
        excludes = (table["conf_low"] > 0) | (table["conf_high"] < 0)
        assert (excludes == (table["p_value"] < 1 - level)).all()


@pytest.mark.parametrize("adjust", ["holm", "bh", "none"])
def test_other_adjustments_leave_the_limits(means, raw, adjust):
    table = contrast(means, "pairwise", adjust=adjust).to_frame()
    assert table["conf_low"].equals(raw["conf_low"])
    assert "t limits, unadjusted" in contrast(means, "pairwise", adjust=adjust).summary()


def test_tukey_is_the_studentized_range_of_the_means_in_a_group(means, raw):
    table = contrast(means, "pairwise", adjust="tukey").to_frame()
    want = studentized_range.sf(np.sqrt(2) * raw["statistic"].abs(), 4, raw["df"][0])
    np.testing.assert_allclose(table["p_value"], want, atol=1e-9)


def test_adjusted_p_values_lie_between_unadjusted_and_bonferroni(means, raw):
    largest = contrast(means, "pairwise", adjust="bonferroni").to_frame()["p_value"]
    for adjust in ("tukey", "mvt"):
        found = contrast(means, "pairwise", adjust=adjust).to_frame()["p_value"]
        assert (found >= raw["p_value"]).all()
        assert (found <= largest + 1e-12).all()


def test_dunnett_is_the_multivariate_t_of_a_control_family(means):
    dunnett, mvt = (
        contrast(means, "treatment_vs_control", adjust=adjust).to_frame()
        for adjust in ("dunnett", "mvt")
    )
    np.testing.assert_array_equal(dunnett["p_value"], mvt["p_value"])
    np.testing.assert_array_equal(dunnett["conf_low"], mvt["conf_low"])


def test_families_of_one_are_not_adjusted_and_the_asker_is_told(pairs_by_visit):
    plain = contrast(pairs_by_visit, "revpairwise")
    assert "not adjusted for multiplicity; each of 4 families of 1 (by avisit)" in plain.summary()
    for adjust in ("tukey", "mvt", "bonferroni", "holm", "bh"):
        with pytest.warns(DataWarning, match="each family has one member; family='all'.*of 4"):
            found = contrast(pairs_by_visit, "revpairwise", adjust=adjust)
        assert found.to_frame().equals(plain.to_frame())
        text = found.summary()
        assert "not adjusted: each family has one member; family='all'" in text
        assert "makes one family of 4 (by avisit)." in text
        assert "adjusted by" not in text
        assert "t limits, unadjusted" in text


@pytest.mark.parametrize("adjust", ["tukey", "dunnett", "bonferroni", "holm"])
def test_the_remedy_for_families_of_one_can_be_followed(pairs_by_visit, adjust):
    with pytest.warns(DataWarning) as caught:
        contrast(pairs_by_visit, "revpairwise", adjust=adjust)
    other = re.search(r"adjust='(\w+)' makes|$", str(caught[0].message))[1] or adjust
    together = contrast(pairs_by_visit, "revpairwise", adjust=other, family="all")
    assert "adjusted by" in together.summary()
    assert "one family of 4" in together.summary()


def test_one_p_value_alone_is_not_adjusted_without_a_warning(ols, fev):
    means = emmeans(ols("fev1 ~ armcd", fev), "armcd")
    found = contrast(means, "treatment_vs_control", adjust="dunnett")
    assert found.to_frame().equals(contrast(means, "treatment_vs_control").to_frame())
    assert "P-values: not adjusted: the family has one member." in found.summary()


def test_all_groups_are_one_family_if_asked_for(means):
    apart = contrast(means, "consecutive", adjust="mvt")
    together = contrast(means, "consecutive", adjust="mvt", family="all")
    assert (together.to_frame()["p_value"] >= apart.to_frame()["p_value"] - 1e-6).all()
    assert (together.to_frame()["conf_high"] > apart.to_frame()["conf_high"]).all()
    assert "each of 2 families of 3 (by armcd)" in apart.summary()
    assert "adjusted by multivariate t; one family of 6" in together.summary()


def test_the_table_names_the_adjustment_of_p_values_and_of_limits(means):
    tukey = contrast(means, adjust="tukey").summary()
    assert "simultaneous (Tukey)" in tukey
    assert "Tukey (studentized range of 4 means); each of 2 families of 6 (by armcd)" in tukey
    dunnett = contrast(means, "treatment_vs_control", adjust="dunnett").summary()
    assert "simultaneous (Dunnett)" in dunnett
    assert "Dunnett (exact, with the correlations of the estimates)" in dunnett


def test_coefficients_that_are_all_pairs_are_a_tukey_family_whatever_they_are_called(means, raw):
    pairs = {
        "a": [1, -1, 0, 0], "b": [-1, 0, 1, 0], "c": [1, 0, 0, -1],
        "d": [0, 1, -1, 0], "e": [0, -1, 0, 1], "f": [0, 0, 1, -1],
    }  # fmt: skip
    named = contrast(means, pairs, adjust="tukey").to_frame()
    plain = contrast(means, "pairwise", adjust="tukey").to_frame()
    np.testing.assert_allclose(named["p_value"], plain["p_value"], rtol=1e-9)
    with pytest.raises(AibmdError, match="all pairs"):
        contrast(means, {key: pairs[key] for key in "abcde"}, adjust="tukey")
    with pytest.raises(AibmdError, match="all pairs"):
        contrast(means, {**pairs, "f": [0, 0, 2, -2]}, adjust="tukey")


@pytest.mark.parametrize("adjust", SIMULTANEOUS)
def test_a_row_that_is_not_estimable_is_no_member(ols, empty_cell, adjust):
    """In the west one dose was never seen: two means are left, one pair, no adjustment."""
    means = emmeans(ols("y ~ region * dose + visit", empty_cell), "dose", "region")
    found, plain = contrast(means, adjust=adjust), contrast(means).to_frame()
    west = (plain["region"] == "west") & plain["estimate"].notna()
    assert west.sum() == 1
    np.testing.assert_array_equal(
        found.to_frame().loc[west, ["p_value", "conf_low"]],
        plain.loc[west, ["p_value", "conf_low"]],
    )
    missing = plain["estimate"].isna()
    assert found.to_frame().loc[missing, ["p_value", "conf_low", "conf_high"]].isna().all(axis=None)
    assert "families of 1 or 3" in found.summary()


def test_each_row_uses_its_own_degrees_of_freedom(fev):
    import aibmd

    fit = aibmd.fit_mmrm(
        "fev1 ~ armcd * avisit", fev, subject="usubjid", visit="avisit", covariance="un"
    )
    found = contrast(emmeans(fit, "avisit", "armcd"), "pairwise", adjust="tukey").to_frame()
    assert found["df"].nunique() > 6
    want = [
        studentized_range.sf(np.sqrt(2) * abs(t), 4, df)
        for t, df in zip(found["statistic"], found["df"], strict=True)
    ]
    np.testing.assert_allclose(found["p_value"], want, atol=1e-9)


def test_p_values_alone_do_not_know_their_correlation():
    with pytest.raises(AibmdError, match="correlation"):
        adjust_p_values(np.array([0.01, 0.02]), "mvt")
