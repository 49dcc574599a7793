"""The result follows the design that made the data, and nothing else."""

import numpy as np
import pytest

from aibmd import simulate_cohort
from aibmd.bmd_change import WithdrawalQuestion, fit_withdrawal

ONE_SITE = WithdrawalQuestion(primary_sites=("lumbar_spine",), secondary_sites=())
DIALS = ("ai", "withdrawal", "tamoxifen", "menopause", "chemotherapy", "bisphosphonate", "exercise")


def _fit(design, values, question=ONE_SITE):
    cohort = simulate_cohort(design.replace_values(values), 7)
    return fit_withdrawal(cohort, question)


def _log(table):
    return table[table["model"] == "log"]


def test_a_reversed_design_reverses_the_sign_of_the_withdrawn_group(brex_design):
    given = _log(_fit(brex_design, {}).changes).iloc[0]
    turned = _log(_fit(brex_design, {"effect_multipliers.withdrawal": -1.0}).changes).iloc[0]
    assert given["conf_low"] > 0
    assert turned["conf_high"] < 0
    assert turned["design_truth"] < 0 < given["design_truth"]


def test_without_effects_the_true_difference_is_nearly_none(brex_design):
    none = _fit(brex_design, {f"effect_multipliers.{dial}": 0.0 for dial in DIALS})
    row = _log(none.differences).iloc[0]
    assert abs(row["design_truth_points"]) < 0.5
    assert abs(row["percentage_points"] - row["design_truth_points"]) < 4 * row["points_std_error"]


def test_estimates_lie_near_the_design_truth_at_every_site(brex_result):
    changes = brex_result.changes
    distance = np.abs(changes["estimate"] - changes["design_truth"]) / changes["std_error"]
    assert distance.max() < 4


@pytest.mark.parametrize(("comparator", "word"), [("no_withdrawal", "mixture"),
                                                  ("ai_continued", "association")])  # fmt: skip
def test_interpretation_says_what_a_difference_may_be_called(comparator, word):
    assert word in WithdrawalQuestion(comparator=comparator).interpretation


def test_ai_continued_compares_women_on_an_ai_with_each_other(brex):
    result = fit_withdrawal(brex, WithdrawalQuestion(comparator="ai_continued"))
    assert set(result.mixture["treatment_course"]) == {"AI withdrawn", "AI continued"}
    assert set(result.changes["group"]) == {"AI withdrawn", "AI continued"}
