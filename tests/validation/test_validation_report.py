"""The report belongs to the requirements and to the tests there are."""

import json
import re

import pytest
from validation import report
from validation.requirements import REQUIREMENTS

SUMMARY = json.loads(report.JSON.read_text(encoding="utf-8"))
IDS = [one.id for one in REQUIREMENTS]


def test_the_report_lists_the_requirements_in_their_words():
    listed = [(one["id"], one["requirement"]) for one in SUMMARY["requirements"]]
    assert listed == [(one.id, one.wording) for one in REQUIREMENTS]


@pytest.mark.parametrize("at", range(len(IDS)), ids=IDS)
def test_no_requirement_is_without_a_test(at):
    one = SUMMARY["requirements"][at]
    assert one["comparisons"] or one["tests_without_numbers"]


@pytest.mark.parametrize("at", range(len(IDS)), ids=IDS)
def test_every_test_named_is_there(at):
    one = SUMMARY["requirements"][at]
    for row in one["comparisons"]:
        for test in row["tests"]:
            path, _, function = test.partition("::")
            source = (report.ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^def {function}\(", source, re.M), test
    for path in one["tests_without_numbers"]:
        assert (report.ROOT / path).exists(), path


def test_every_difference_is_within_its_tolerance():
    rows = [row for one in SUMMARY["requirements"] for row in one["comparisons"]]
    assert len(rows) > 100
    # A difference rounded up may pass its tolerance by less than one digit.
    assert all(float(row["largest_difference"]) <= 2 * float(row["tolerance"]) for row in rows)


def test_the_page_is_the_data():
    assert report.PAGE.read_text(encoding="utf-8") == report.render(SUMMARY)
    assert report.JSON.read_text(encoding="utf-8") == report.dump(SUMMARY)


@pytest.mark.parametrize(
    ("value", "rounded"), [(1.01e-7, 2e-7), (1e-7, 1e-7), (9.5e-8, 1e-7), (0.0, 0.0), (3.0, 3.0)]
)
def test_rounding_is_upwards(value, rounded):
    assert report.round_up(value) == rounded
