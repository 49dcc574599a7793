"""Who withdrew: by hand, and never by what came later."""

import numpy as np
import pandas as pd
import pytest

from aibmd import Cohort
from aibmd.bmd_change import WithdrawalQuestion, derive_withdrawal_groups
from aibmd.errors import AibmdError

ON_AI = {"ai_start": 0.0}
TAMOXIFEN = {"tamoxifen_start": 0.0}
MISSED = {"seen": ("baseline", "year_1", "year_3")}

# name: (what is on file, treatment course, group or reason)
WOMEN = {
    "planned": (ON_AI | {"ai_stop": 5.1}, "AI withdrawn", "AI withdrawn"),
    "earliest": (ON_AI | {"ai_stop": 4.0}, "AI withdrawn", "AI withdrawn"),
    "latest": (ON_AI | {"ai_stop": 5.5}, "AI withdrawn", "AI withdrawn"),
    "too_early": (ON_AI | {"ai_stop": 3.99}, "AI ended earlier", "No AI withdrawal"),
    "too_late": (ON_AI | {"ai_stop": 5.51}, "AI continued", "No AI withdrawal"),
    "never_stops": (ON_AI, "AI continued", "No AI withdrawal"),
    "starts_later": ({"ai_start": 5.2}, "Never AI or tamoxifen", "No AI withdrawal"),
    "nothing": ({}, "Never AI or tamoxifen", "No AI withdrawal"),
    "tam_stopped": (
        TAMOXIFEN | {"tamoxifen_stop": 5.0}, "Tamoxifen stopped, never AI", "No AI withdrawal",
    ),
    "tam_goes_on": (
        TAMOXIFEN | {"tamoxifen_stop": 8.0}, "Tamoxifen continued, never AI", "No AI withdrawal",
    ),
    "switched": (
        TAMOXIFEN | {"tamoxifen_stop": 2.0, "ai_start": 2.0, "ai_stop": 5.0},
        "AI withdrawn", "AI withdrawn",
    ),
    "own_date": (
        ON_AI | {"ai_stop": 5.7, "times": {"year_5": 5.3}}, "AI withdrawn", "AI withdrawn",
    ),
    "recurred": (MISSED | {"recurrence_time": 3.5, "death_time": 4.0}, None,
                 "recurrence before year 5"),
    "scanned_after_recurrence": ({"recurrence_time": 4.9}, None, "recurrence before year 5"),
    "died": (MISSED | {"death_time": 4.0, "last_contact_time": 4.0}, None, "died before year 5"),
    "left": (MISSED | {"last_contact_time": 3.4}, None, "left before year 5"),
    "missed": (MISSED, None, "no scan at year 5"),
    "lost_on_ai": (ON_AI | {"last_contact_time": 5.2}, None, "AI status unknown"),
    "stopped_then_lost": (
        ON_AI | {"ai_stop": 5.1, "last_contact_time": 5.2}, "AI withdrawn", "AI withdrawn",
    ),
    "stopped_for_recurrence": (
        ON_AI | {"ai_stop": 5.3, "recurrence_time": 5.2}, None, "AI status unknown",
    ),
    "stop_without_start": ({"ai_stop": 5.0}, None, "AI status unknown"),
}  # fmt: skip


@pytest.fixture(scope="module")
def groups(hand_made):
    cohort = hand_made({name: woman for name, (woman, _, _) in WOMEN.items()})
    return derive_withdrawal_groups(cohort).set_index("subject_id")


@pytest.mark.parametrize("name", WOMEN)
def test_each_course_falls_where_the_readme_says(groups, name):
    _, course, place = WOMEN[name]
    row = groups.loc[name]
    found = row["group"] if course else row["exclusion"]
    assert found == place
    assert (row["treatment_course"] == course) if course else pd.isna(row["treatment_course"])


def test_every_woman_has_a_group_or_a_reason_and_never_both(groups):
    assert (groups["group"].notna() ^ groups["exclusion"].notna()).all()


def test_a_longer_lookback_takes_in_earlier_stops(hand_made):
    cohort = hand_made({"early": ON_AI | {"ai_stop": 3.99}, "other": {}})
    longer = derive_withdrawal_groups(cohort, WithdrawalQuestion(lookback_years=1.5))
    assert longer.set_index("subject_id").loc["early", "group"] == "AI withdrawn"


def test_ai_continued_takes_only_women_on_an_ai_on_the_day_of_the_scan(hand_made):
    cohort = hand_made({name: woman for name, (woman, _, _) in WOMEN.items()})
    question = WithdrawalQuestion(comparator="ai_continued")
    groups = derive_withdrawal_groups(cohort, question).set_index("subject_id")
    inside = groups[groups["group"].notna()]
    assert inside["on_ai"].all()
    assert set(inside.index[inside["group"] == "AI continued"]) == {"too_late", "never_stops"}
    assert groups.loc["earliest", "exclusion"] == "not on an AI at year 5"


@pytest.mark.parametrize("comparator", ["no_withdrawal", "ai_continued"])
@pytest.mark.parametrize("fate", ["nothing", "everything", "sooner"])
def test_nothing_after_the_window_changes_a_group(brex, comparator, fate):
    question = WithdrawalQuestion(comparator=comparator)
    before = derive_withdrawal_groups(brex, question)
    after = derive_withdrawal_groups(_change_future(brex, before, question, fate), question)
    pd.testing.assert_frame_equal(
        before[before["group"].notna()], after[before["group"].notna().to_numpy()]
    )


def _change_future(cohort, groups, question, fate):
    """Another life after the window for women scanned at year 5."""
    long = cohort.to_frame()
    end = long["subject_id"].map(groups.set_index("subject_id")["reference_time"])
    end = end + question.grace_years
    for name in ("ai_start", "ai_stop", "tamoxifen_start", "tamoxifen_stop",
                 "recurrence_time", "death_time", "last_contact_time"):  # fmt: skip
        open_yet = end.notna() & ~(long[name] <= end)
        new = {"nothing": np.nan, "everything": end + 3.0, "sooner": end + 1e-6}[fate]
        long[name] = long[name].mask(open_yet, new)
    long = long.assign(bmd=long["bmd"].mask(long["time"] > end, 0.5))
    return Cohort.from_long(long)


def test_dates_that_are_not_there_are_named(hand_made):
    scans = hand_made({"a": {}}).to_frame().drop(columns=["ai_stop", "death_time"])
    with pytest.raises(AibmdError, match="ai_stop, death_time"):
        derive_withdrawal_groups(Cohort.from_long(scans))


def test_a_visit_nobody_had_is_an_error_that_lists_the_visits(hand_made):
    cohort = hand_made({"a": {"seen": ("baseline", "year_1")}})
    with pytest.raises(AibmdError, match=r"'year_5'.*'baseline', 'year_1'"):
        derive_withdrawal_groups(cohort)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"lookback_years": -0.1}, "lookback_years is -0.1"),
        ({"comparator": "placebo"}, "'no_withdrawal', 'ai_continued'"),
        ({"primary_sites": ("wrist",)}, "wrist"),
        ({"primary_sites": ("total_hip",)}, "each once"),
        ({"conf_level": 95}, "conf_level=95"),
    ],
)
def test_a_question_that_cannot_be_is_refused(values, said):
    with pytest.raises(AibmdError, match=said):
        WithdrawalQuestion(**values)
