import dataclasses
import re
import tomllib

import pytest

from aibmd.errors import AibmdError
from aibmd.resources import data_path
from aibmd.simulation import StudyDesign
from aibmd.simulation.parameter import FLAGS

TEXT = data_path("synthetic", "brex.toml").read_text(encoding="utf-8")


def write_design(tmp_path, text):
    path = tmp_path / "design.toml"
    path.write_text(text, encoding="utf-8")
    return path


def tables_with_values(node, path=""):
    """Every table of the file that holds a number, with its path."""
    if any(isinstance(v, int | float) for v in node.values()):
        yield path, node
    for key, value in node.items():
        if isinstance(value, dict):
            yield from tables_with_values(value, f"{path}.{key}".lstrip("."))


def test_every_number_of_the_file_but_the_seed_stands_beside_a_flag_and_a_source():
    found = dict(tables_with_values(tomllib.loads(TEXT)))
    assert found.pop("")["seed"] >= 0
    assert len(found) > 50
    for path, table in found.items():
        assert table.get("flag") in FLAGS, path
        assert table.get("source", "").strip(), path


def test_flags_are_readable_from_the_design(brex_design):
    flags = {path: parameter.flag for path, parameter in brex_design.parameters()}
    assert flags["arms"] == "published"
    assert flags["courses.postmenopausal"] == "chosen"
    assert set(flags) == set(dict(tables_with_values(tomllib.loads(TEXT)))) - {""}


def test_shares_of_the_comparator_are_declared_assumptions(brex_design):
    for state in ("postmenopausal", "ovarian_failure", "ovarian_function"):
        assert getattr(brex_design.courses, state).flag == "chosen"
    assert brex_design.stopping.probability.flag == "chosen"


def test_a_design_cannot_be_changed_in_place(brex_design):
    with pytest.raises(dataclasses.FrozenInstanceError):
        brex_design.ai.year_1_pct.lumbar_spine = 0.0


def test_replaced_values_leave_the_original_design_alone(brex_design):
    other = brex_design.replace_values({"ai.year_1_pct.lumbar_spine": -4})
    assert other.ai.year_1_pct.lumbar_spine == -4.0
    assert other.ai.year_1_pct.femoral_neck == brex_design.ai.year_1_pct.femoral_neck
    assert brex_design.ai.year_1_pct.lumbar_spine == -2.5
    with pytest.raises(AibmdError, match=r"ai\.year_one names no key"):
        brex_design.replace_values({"ai.year_one": 1})


def test_a_design_without_the_block_comments_is_the_same_design(tmp_path, brex_design):
    bare = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))
    assert StudyDesign.from_toml(write_design(tmp_path, bare)) == brex_design


SHARES = "[courses.postmenopausal]\nno_endocrine = 0.12"
MALFORMED = {
    "unknown key": ("[ai.year_1_pct]", "[ai.year_1_percent]", r"ai\.year_1_percent is not a key"),
    "near name offered": ("[withdrawal.gain_years]", "[withdrawal.gain_year]", "gain_years"),
    "missing value": ("[ai.year_1_pct]\nlumbar_spine = -2.5", "[ai.year_1_pct]",
                      r"ai\.year_1_pct\.lumbar_spine is missing"),
    "missing flag": ('exercise = 302\ncontrol = 271\nflag = "published"',
                     "exercise = 302\ncontrol = 271", r"arms\.flag is missing"),
    "unknown flag": ('control = 271\nflag = "published"', 'control = 271\nflag = "sure"',
                     r"arms: flag is 'sure'"),
    "empty source": ('source = "as years_to_switch"', 'source = " "',
                     r"courses\.years_to_switch_range: source is empty"),
    "shares": (SHARES, SHARES.replace("0.12", "0.22"), r"courses\.postmenopausal: .* sum to 1\.1"),
    "negative share": (SHARES, SHARES.replace("0.12", "-0.12"), "no_endocrine is -0.12"),
    "text for a number": ("exercise = 302", 'exercise = "302"', r"arms\.exercise is '302'"),
    "fraction of a woman": ("exercise = 302", "exercise = 302.5", "whole number"),
    "truth for a number": ("exercise = 302", "exercise = true", r"arms\.exercise is True"),
    "no women": ("exercise = 302\ncontrol = 271", "exercise = 0\ncontrol = 0", "sum to 0 women"),
    "too many women": ("exercise = 302", "exercise = 900000000", "expected 1 to"),
    "infinite": ("exercise = 1.0", "exercise = inf", r"effect_multipliers\.exercise is inf"),
    "not a number": ("withdrawal = 1.0", "withdrawal = nan", r"effect_multipliers\.withdrawal"),
    "a number too long": ("withdrawal = 1.0", "withdrawal = 1" + "0" * 400, "usual size"),
    "negative SD": ("[bone.sd]\nlumbar_spine = 0.13", "[bone.sd]\nlumbar_spine = -0.13",
                    r"bone\.sd: lumbar_spine is -0\.13"),
    "SD smaller than its parts": ("[bone.sd]\nlumbar_spine = 0.13",
                                  "[bone.sd]\nlumbar_spine = 0.01", r"bone\.sd is the total"),
    "impossible correlations": ("femoral_neck_total_hip = 0.90", "femoral_neck_total_hip = -0.9",
                                "not positive definite"),
    "range upside down": ("lowest = 35.0", "lowest = 85.0", "above highest"),
    "duration of zero": ("[withdrawal.gain_years]\nvalue = 2.0",
                         "[withdrawal.gain_years]\nvalue = 0", r"gain_years: value is 0"),
    "certain stop": ("upfront_ai = 0.92", "upfront_ai = 1.0", r"stopping\.probability: upfront_ai"),
    "visits out of order": ("year_3 = 3.0", "year_3 = 0.5", r"visits\.time_years: .* increase"),
    "AI for working ovaries": ("tamoxifen = 0.55\nupfront_ai_ended_early = 0.0",
                               "tamoxifen = 0.5\nupfront_ai_ended_early = 0.05", "ovaries work"),
    "stop before the scan it depends on": ("lowest = 0.0\nhighest = 0.40",
                                           "lowest = -0.5\nhighest = 0.40",
                                           "log_odds_per_t_score"),
    "negative seed": ("seed = 6", "seed = -6", "seed is -6"),
    "text without quotes": ('name = "brex"', "name = brex", "is not a TOML file"),
}  # fmt: skip


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_wrong_design_file_is_one_error_that_names_the_place(tmp_path, fault):
    old, new, message = MALFORMED[fault]
    assert TEXT.count(old) >= 1
    path = write_design(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(AibmdError, match=message) as caught:
        StudyDesign.from_toml(path)
    assert str(caught.value).startswith(str(path))


def test_a_number_where_a_table_stands_is_named(brex_design):
    with pytest.raises(AibmdError, match=r"ai\.year_1_pct is 3; expected a table"):
        brex_design.replace_values({"ai.year_1_pct": 3})


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path):
    with pytest.raises(AibmdError, match=re.escape(str(tmp_path / "none.toml"))):
        StudyDesign.from_toml(tmp_path / "none.toml")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "M\xfcller"')
    with pytest.raises(AibmdError, match="UTF-8"):
        StudyDesign.from_toml(latin)
