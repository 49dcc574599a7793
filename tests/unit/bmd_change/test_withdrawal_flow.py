"""From entry to year 10: every woman is counted once at every step."""

import pytest

from aibmd.bmd_change import WithdrawalQuestion, derive_withdrawal_groups, tabulate_flow
from aibmd.bmd_change.mixture import tabulate_mixture

TO_YEAR_5 = ("baseline", "year_5")
ON_AI = {"ai_start": 0.0, "ai_stop": 5.0}
WOMEN = {
    "w1": ON_AI,
    "w2": ON_AI | {"seen": TO_YEAR_5, "death_time": 7.0},
    "w3": ON_AI | {"seen": TO_YEAR_5, "last_contact_time": 6.0},
    "c1": {},
    "c2": {"menopausal_status": "premenopausal"},
    "c3": {"seen": TO_YEAR_5, "recurrence_time": 6.0, "death_time": 8.0},
    "c4": {"recurrence_time": 9.5},  # scanned at year 10, but after a recurrence
    "out": {"seen": ("baseline",), "last_contact_time": 2.0},
}


def test_flow_of_eight_women_is_as_counted_by_hand(hand_made):
    flow = tabulate_flow(hand_made(WOMEN))
    assert list(flow.itertuples(index=False, name=None)) == [
        ("entered", "", "", 8),
        ("not in population", "", "left before year 5", 1),
        ("population", "", "", 7),
        ("group", "AI withdrawn", "", 3),
        ("not scanned at outcome", "AI withdrawn", "died before year 10", 1),
        ("not scanned at outcome", "AI withdrawn", "left before year 10", 1),
        ("scanned at outcome", "AI withdrawn", "", 1),
        ("group", "No AI withdrawal", "", 4),
        ("not scanned at outcome", "No AI withdrawal", "recurrence before year 10", 2),
        ("scanned at outcome", "No AI withdrawal", "", 2),
    ]


@pytest.mark.parametrize("comparator", ["no_withdrawal", "ai_continued"])
def test_flow_of_a_whole_cohort_adds_up(brex, comparator):
    flow = tabulate_flow(brex, WithdrawalQuestion(comparator=comparator))
    n = flow.groupby("step")["n"].sum()
    assert n["entered"] == brex.n_subjects == 573
    assert n["entered"] == n["not in population"] + n["population"]
    assert n["population"] == n["group"]
    assert n["group"] == n["not scanned at outcome"] + n["scanned at outcome"]


def test_flow_ends_with_the_numbers_in_the_table_of_changes(brex_result):
    flow = brex_result.flow[brex_result.flow["step"] == "scanned at outcome"]
    changes = brex_result.changes.query("skeletal_site == 'lumbar_spine' and model == 'log'")
    assert flow.set_index("group")["n"].to_dict() == dict(
        zip(changes["group"], changes["n_year_10"], strict=True)
    )


def test_mixture_counts_each_course_by_menopausal_status(hand_made):
    cohort = hand_made(WOMEN)
    mixture = tabulate_mixture(cohort, derive_withdrawal_groups(cohort))
    never = "Never AI or tamoxifen"
    assert list(mixture.itertuples(index=False, name=None)) == [
        ("AI withdrawn", "postmenopausal", "AI withdrawn", 3, 100.0),
        ("No AI withdrawal", "postmenopausal", never, 3, 75.0),
        ("No AI withdrawal", "premenopausal", never, 1, 25.0),
    ]
