"""The short way to a large table gives what the long way gives, or steps aside."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.model import design

FORMULA = "y ~ arm * visit + base * visit"


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch):
    monkeypatch.setattr(design, "_FEW_ROWS", 0)


@pytest.fixture
def table():
    rng = np.random.default_rng(5)
    n, m = 60, 4
    arm = pd.Categorical(np.repeat(rng.choice(["a", "b"], n), m), categories=["a", "b", "unused"])
    made = pd.DataFrame(
        {
            "who": np.repeat(rng.permutation(n) + 100, m),
            "visit": pd.Categorical(
                np.tile(["w1", "w2", "w10", "w20"], n), ["w1", "w2", "w10", "w20"]
            ),
            "arm": arm,
            "base": np.repeat(rng.normal(size=n), m),
        }
    )
    made["y"] = rng.normal(size=n * m) + np.repeat(rng.normal(size=n), m) + made["base"]
    made.loc[rng.uniform(size=n * m) < 0.2, "y"] = np.nan
    return made


def fit(table, formula=FORMULA):
    return aibmd.fit_mmrm(formula, table, subject="who", visit="visit")


def both(table, monkeypatch, formula=FORMULA):
    short = fit(table, formula)
    monkeypatch.setattr(design, "_FEW_ROWS", 10**9)
    return short, fit(table, formula)


def assert_same(short, long):
    assert short.design.X is None, "the short way was not taken"
    assert long.design.X is not None
    assert short.llf == pytest.approx(long.llf, abs=1e-9)
    for name in ("params", "bse", "df", "pvalues", "fittedvalues", "resid"):
        pd.testing.assert_series_equal(getattr(short, name), getattr(long, name), rtol=1e-8)
    pd.testing.assert_frame_equal(short.covariance, long.covariance, rtol=1e-8)
    pd.testing.assert_frame_equal(short.augment(), long.augment(), rtol=1e-8)
    assert short.dropped_rows == long.dropped_rows
    assert short.visits == long.visits
    assert short.coding.levels == long.coding.levels


def test_the_short_way_is_the_long_way(table, monkeypatch):
    assert_same(*both(table, monkeypatch))


def test_a_woman_without_outcomes_and_a_visit_without_outcomes_leave_no_trace(table, monkeypatch):
    table.loc[table["who"] == table["who"].iloc[0], "y"] = np.nan
    table.loc[table["visit"] == "w10", "y"] = np.nan
    short, long = both(table, monkeypatch)
    assert_same(short, long)
    assert short.visits == ("w1", "w2", "w20")


def test_a_level_only_women_without_outcomes_have_is_removed(table, monkeypatch):
    lost = table["who"].isin(table["who"].unique()[:3])
    table.loc[lost, "arm"] = "unused"
    table.loc[lost, "y"] = np.nan
    short, long = both(table, monkeypatch)
    assert_same(short, long)
    assert short.coding.levels["arm"] == ("a", "b")


def test_rows_in_any_order_within_a_woman(table, monkeypatch):
    shuffled = table.sample(frac=1, random_state=1).sort_values("who", kind="stable")
    assert_same(*both(shuffled, monkeypatch))


def test_means_of_the_short_way_are_those_of_the_long_way(table, monkeypatch):
    short, long = both(table, monkeypatch)
    found, want = (
        aibmd.emmeans(one, over=["arm"], by=["visit"]).to_frame() for one in (short, long)
    )
    pd.testing.assert_frame_equal(found, want, rtol=1e-8)


def test_the_table_may_change_after_the_fit(table):
    made = fit(table)
    before = aibmd.emmeans(fit(table.copy()), over=["arm"]).to_frame()
    table["base"] = 99.0
    table.loc[:, "y"] = 0.0
    pd.testing.assert_frame_equal(aibmd.emmeans(made, over=["arm"]).to_frame(), before)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t.assign(base=np.arange(len(t), dtype=float)),
        lambda t: t.assign(base=t["base"].mask(t["who"] == t["who"].iloc[0])),
        lambda t: t.sample(frac=1, random_state=2),
        lambda t: t.assign(visit=t["visit"].astype(str)),
    ],
    ids=["varies", "missing", "scattered", "text visits"],
)
def test_other_tables_go_another_way_and_give_the_long_result(table, spoil, monkeypatch):
    short, long = both(spoil(table), monkeypatch)
    assert short.llf == pytest.approx(long.llf, abs=1e-9)
    pd.testing.assert_series_equal(short.bse, long.bse, rtol=1e-8)


def test_a_repeated_visit_is_still_refused(table):
    twice = pd.concat([table.iloc[:1].assign(y=1.0), table.assign(y=table["y"].fillna(0.0))])
    with pytest.raises(aibmd.AibmdError, match="repeat a subject and visit"):
        fit(twice)
