import hashlib
from pathlib import Path

import pandas as pd
import pytest

from aibmd import Cohort, CohortError, read_cohort
from aibmd.cohort import format_csv, truth_path, write_cohort, write_truth

VALID = Path(__file__).parent / "valid.csv"


def odd_cohort():
    """What a table can hold: missing values, commas, other alphabets, many kinds of number."""
    return Cohort.from_long(
        pd.DataFrame(
            {
                "subject_id": ["10", "10", "9", "Ωmega, Ann"],
                "visit": ["month_12", "month_6", "month_6", "month_6"],
                "time": [1.00004, 0.5, 0.51, -0.00001],
                "skeletal_site": ["LS", "LS", "LS", "LS"],
                "bmd": [0.98765432, 1.0, None, 0.9],
                "age_years": [61.5, 61.5, 70, 1 / 3 + 50],
                "count": pd.array([1, 2, None, 4], dtype="Int64"),
                "weight": [0.1 + 0.2, 1e-7, 5.0, float("nan")],
                "flag": [True, False, True, True],
                "note": ['say "no"', None, "two\nlines", "x"],
            }
        ).replace({"skeletal_site": {"LS": "lumbar_spine"}})
    )


@pytest.mark.parametrize("cohort", [read_cohort(VALID), odd_cohort()], ids=["valid", "odd"])
def test_write_read_write_gives_the_same_bytes(cohort, tmp_path):
    first = write_cohort(cohort, tmp_path / "first.csv")
    second = write_cohort(read_cohort(first), tmp_path / "second.csv")
    assert first.read_bytes() == second.read_bytes()


def test_reading_back_gives_the_same_tables(tmp_path):
    cohort = read_cohort(VALID)
    again = read_cohort(write_cohort(cohort, tmp_path / "again.csv"))
    pd.testing.assert_frame_equal(again.scans, cohort.scans)
    pd.testing.assert_frame_equal(again.subjects, cohort.subjects)


def test_the_hash_is_that_of_the_file(tmp_path):
    cohort = odd_cohort()
    content = write_cohort(cohort, tmp_path / "scans.csv").read_bytes()
    assert hashlib.sha256(content).hexdigest() == cohort.data_hash


def test_bmd_and_times_have_four_decimals_and_zero_no_sign(tmp_path):
    lines = write_cohort(odd_cohort(), tmp_path / "scans.csv").read_text("utf-8").split("\n")
    assert lines[0].startswith("subject_id,visit,time,skeletal_site,bmd,")
    assert "10,month_12,1.0000,lumbar_spine,0.9877," in lines[2]
    assert '"Ωmega, Ann",month_6,0.0000,lumbar_spine,0.9000,' in "\n".join(lines)


def test_other_numbers_keep_their_digits():
    text = format_csv(pd.DataFrame({"bmi": [0.1 + 0.2, 27.0, None]}))
    assert text == 'bmi\n0.30000000000000004\n27\n""\n'


def test_lines_end_alike_on_every_system(tmp_path):
    content = write_cohort(read_cohort(VALID), tmp_path / "scans.csv").read_bytes()
    assert b"\r" not in content
    assert content.endswith(b"\n")


def test_the_truth_lies_beside_the_cohort(tmp_path):
    truth = pd.DataFrame({"subject_id": ["007"], "bmd_as_treated": [0.91234567]})
    cohort = Cohort.from_long(read_cohort(VALID).to_frame(), truth=truth, synthetic=True)
    path = write_truth(cohort, tmp_path / "brex.csv")
    assert path == truth_path(tmp_path / "brex.csv") == tmp_path / "brex_truth.csv"
    assert path.read_text() == "subject_id,bmd_as_treated,synthetic\n007,0.9123,yes\n"


def test_data_that_were_read_have_no_truth(tmp_path):
    with pytest.raises(CohortError, match="no truth"):
        write_truth(read_cohort(VALID), tmp_path / "scans.csv")
    assert not list(tmp_path.iterdir())
