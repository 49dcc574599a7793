from pathlib import Path

from aibmd.cohort.checks import CHECKS
from aibmd.cohort.schema import BMD_HIGH, BMD_LOW, COLUMN_RULES, MISSING_CODES

DICTIONARY = (Path(__file__).parents[3] / "docs" / "data_dictionary.md").read_text("utf-8")


def row_of(name):
    lines = [line.split("|") for line in DICTIONARY.splitlines() if line.startswith("|")]
    (row,) = ["|".join(cells) for cells in lines if f"`{name}`" in cells[1]]
    return row


def test_every_known_column_is_described_with_its_unit_and_limits():
    for rule in COLUMN_RULES:
        row = row_of(rule.name)
        assert rule.unit in row
        if rule.unit:
            assert f"{rule.low:g} to {rule.high:g}" in row


def test_every_check_is_listed_in_the_order_of_the_report():
    places = [
        DICTIONARY.index(f"\n| `{check.__name__.removeprefix('check_')}` |") for check in CHECKS
    ]
    assert places == sorted(places)


def test_missing_codes_and_limits_are_those_of_the_schema():
    assert all(f"`{code}`" in DICTIONARY for code in MISSING_CODES if code)
    assert f"outside {BMD_LOW} to {BMD_HIGH} g/cm2" in DICTIONARY
