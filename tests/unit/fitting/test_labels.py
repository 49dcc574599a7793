"""Slips of the keyboard in columns: told, not modelled in silence."""

import warnings

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import AibmdError, DataWarning


@pytest.fixture
def table():
    rng = np.random.default_rng(6)
    n = 60
    made = pd.DataFrame({"who": np.repeat(np.arange(n), 2), "visit": ["a", "b"] * n})
    made["arm"] = np.where(made["who"] % 2, "drug", "placebo")
    made["age"] = np.repeat(rng.integers(50, 75, n), 2).astype(float)
    made["y"] = rng.normal(size=2 * n)
    return made


def fit(table, formula="y ~ arm * visit"):
    return aibmd.fit_mmrm(formula, table, subject="who", visit="visit")


def test_one_word_among_numbers_is_an_error_with_its_row(table):
    table["age"] = table["age"].astype(object)
    table.loc[8, "age"] = "unknown"
    with pytest.raises(
        AibmdError, match=r"column 'age' holds numbers as text, and in row 8 'unknown'"
    ):
        fit(table, "y ~ arm + age")


def test_numbers_as_text_are_an_error(table):
    with pytest.raises(AibmdError, match="column 'age' holds numbers as text; convert it"):
        fit(table.assign(age=table["age"].astype(str)), "y ~ arm + age")


def test_few_numbered_levels_may_be_text(table):
    table["centre"] = (table["who"] % 5).astype(str)
    assert fit(table, "y ~ centre + visit").converged


def test_labels_that_differ_in_blanks_or_case_are_told_where_the_user_called(table):
    table.loc[table["who"] == 1, "arm"] = "Drug "
    with pytest.warns(
        DataWarning, match="'Drug ' and 'drug' differ in blanks or case alone"
    ) as told:
        fit(table)
    assert {warning.filename for warning in told} == {__file__}


def test_a_factor_that_changes_within_one_woman_is_told_with_her_name(table):
    table.loc[(table["who"] == 3) & (table["visit"] == "b"), "arm"] = "placebo"
    with pytest.warns(DataWarning, match=r"'arm' changes within 1 of 60 subjects \(3\)"):
        fit(table)


def test_a_factor_that_is_meant_to_change_is_no_matter(table):
    rng = np.random.default_rng(1)
    table["scanner"] = rng.choice(["old", "new"], len(table))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(table, "y ~ scanner + visit")


def test_an_array_where_a_column_is_asked_for_is_told(table):
    with pytest.raises(AibmdError, match="weights= is the name of a column; it holds a ndarray"):
        aibmd.fit_mmrm("y ~ arm", table, subject="who", visit="visit", weights=np.ones(len(table)))


def test_visits_far_apart_are_not_counted_as_neighbours_in_silence():
    """The cohort is scanned at years 0, 1, 3, 5 and 10."""
    spine = aibmd.load_cohort("brex").select(skeletal_site="lumbar_spine")
    with pytest.warns(DataWarning, match=r"counts visits as evenly spaced, and .* 0, 1, 3, .* 10"):
        aibmd.fit_mmrm("bmd ~ visit", spine, covariance="ar1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aibmd.fit_mmrm("bmd ~ visit", spine, covariance="adh")


def test_calendar_years_beside_a_random_intercept_are_told():
    """1 + t at t = 2015 and 1 + (t - 2014) are one model; only one of them keeps its digits."""
    rng = np.random.default_rng(5)
    who = np.repeat(np.arange(40), 4)
    table = pd.DataFrame({"who": who, "since": np.tile([0.0, 1, 2, 4], 40)})
    table["y"] = (
        1 + rng.normal(size=40)[who] + (0.1 + 0.1 * rng.normal(size=40)[who]) * table["since"]
    )
    table["y"] += 0.1 * rng.normal(size=160)
    table["year"] = 2014 + table["since"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        near = aibmd.fit_lmm("y ~ since", table, subject="who", random="1 + since")
    with pytest.warns(DataWarning, match="Count time from a date within the study"):
        far = aibmd.fit_lmm("y ~ year", table, subject="who", random="1 + year")
    assert far.llf == pytest.approx(near.llf, abs=1e-4)
