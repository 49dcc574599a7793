from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aibmd import AibmdError, CohortError, read_cohort

VALID = Path(__file__).parent / "valid.csv"


def read_text(tmp_path, content, **options):
    path = tmp_path / "scans.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_cohort(path, **options)


def small(**changes):
    return pd.DataFrame(
        {
            "subject_id": ["S2", "S2", "S1", "S1"],
            "visit": ["month_12", "month_6", "month_6", "month_12"],
            "time": [1.0, 0.5, 0.55, 1.05],
            "skeletal_site": "TH",
            "bmd": [0.9, 0.91, 0.88, 0.87],
            **changes,
        }
    )


def test_a_file_and_its_dataframe_give_the_same_cohort():
    by_file, by_frame = read_cohort(VALID), read_cohort(pd.read_csv(VALID))
    assert by_file.data_hash == by_frame.data_hash


def test_reading_does_not_change_the_dataframe():
    frame = pd.read_csv(VALID)
    before = frame.copy()
    read_cohort(frame, columns={"age_years": "age"})
    pd.testing.assert_frame_equal(frame, before)


def test_row_order_does_not_matter():
    frame = pd.read_csv(VALID)
    shuffled = frame.sample(frac=1, random_state=np.random.RandomState(3))
    assert not shuffled.index.equals(frame.index)
    assert read_cohort(shuffled).data_hash == read_cohort(frame).data_hash


def test_visits_follow_their_times_not_the_alphabet():
    assert read_cohort(small()).visits == ("month_6", "month_12")


def test_an_ordered_categorical_keeps_its_order_where_times_tie():
    frame = small(time=[1.0, 0.5, 0.5, 1.0])
    frame.loc[4] = ["S3", "extra", 0.5, "TH", 0.9]
    order = ["extra", "month_6", "unused", "month_12"]
    frame["visit"] = pd.Categorical(frame["visit"], categories=order, ordered=True)
    assert read_cohort(frame).visits == ("extra", "month_6", "month_12")


def test_text_made_categorical_has_no_order_of_its_own():
    frame = small()
    frame["visit"] = frame["visit"].astype("category")
    assert list(frame["visit"].cat.categories) == ["month_12", "month_6"]
    assert read_cohort(frame).visits == ("month_6", "month_12")


def test_numbered_visits_become_labels():
    assert read_cohort(small(visit=[10.0, 2.0, 2.0, 10.0])).visits == ("2", "10")


def test_ids_keep_their_leading_zeros(tmp_path):
    text = "subject_id,visit,time,skeletal_site,bmd,center\n007,0,0,LS,1.0,012\n07,0,0,LS,1.1,1\n"
    cohort = read_text(tmp_path, text)
    assert list(cohort.subjects["subject_id"]) == ["007", "07"]
    assert list(cohort.scans["center"]) == ["012", "1"]


def test_unknown_columns_of_numbers_become_numbers(tmp_path):
    text = "subject_id,visit,time,skeletal_site,bmd,dose_mg\na,0,0,LS,1.0,2.5\nb,0,0,LS,1.1,NA\n"
    assert read_text(tmp_path, text).scans["dose_mg"].sum() == 2.5


@pytest.mark.parametrize("code", ["", "NA", "na", "NaN", ".", "N/A", " "])
def test_a_missing_bmd_is_a_missed_scan_not_a_problem(tmp_path, code):
    cohort = read_text(tmp_path, VALID.read_text().replace("1.0120", code))
    assert (cohort.n_scans, len(cohort.scans)) == (23, 24)


def test_a_missed_scan_needs_no_time():
    frame = small(bmd=[0.9, None, 0.88, 0.87], time=[1.0, None, 0.55, 1.05])
    assert read_cohort(frame).n_scans == 3


@pytest.mark.parametrize(
    ("site", "name"),
    [
        ("ls", "lumbar_spine"),
        ("Fn", "femoral_neck"),
        ("Total Hip", "total_hip"),
        ("TB", "total_body"),
    ],
)
def test_skeletal_sites_are_known_in_any_case(site, name):
    assert read_cohort(small(skeletal_site=site)).skeletal_sites == (name,)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    text = b"\xef\xbb\xbf" + VALID.read_bytes().replace(b"\n", b"\r\n")
    assert read_text(tmp_path, text).data_hash == read_cohort(VALID).data_hash


def test_blank_lines_are_skipped_and_still_counted(tmp_path):
    lines = VALID.read_text().splitlines()
    lines[1:1] = ["", ",,,,,,,,,"]
    lines[5] = lines[5].replace("0.9816", "-1")
    with pytest.raises(CohortError) as caught:
        read_text(tmp_path, "\n".join(lines))
    (problem,) = caught.value.problems
    assert problem.rows == (6,)
    assert lines[problem.rows[0] - 1].split(",")[4] == "-1"


def test_a_quoted_cell_may_hold_a_comma_and_a_line_break(tmp_path):
    text = 'subject_id,visit,time,skeletal_site,bmd,note\na,0,0,LS,1.0,"x, y\nz"\nb,0,0,LS,9,\n'
    with pytest.raises(CohortError) as caught:
        read_text(tmp_path, text)
    assert caught.value.problems[0].rows == (3,)


def test_columns_give_file_columns_our_names():
    frame = small().rename(columns={"subject_id": "USUBJID", "bmd": "AVAL"})
    columns = {"USUBJID": "subject_id", "AVAL": "bmd"}
    assert read_cohort(frame, columns=columns).data_hash == read_cohort(small()).data_hash


def test_an_unknown_file_column_is_named_with_those_there_are():
    with pytest.raises(AibmdError, match=r"'id'.*It has: 'subject_id', 'visit'"):
        read_cohort(small(), columns={"id": "subject_id"})


def test_two_columns_cannot_take_one_name():
    with pytest.raises(AibmdError, match="'bmd' to more than one"):
        read_cohort(small(bmd2=1.0), columns={"bmd2": "bmd"})


def test_a_sheet_is_refused():
    with pytest.raises(AibmdError, match="no sheets"):
        read_cohort(VALID, sheet="scans")


@pytest.mark.parametrize("suffix", [".xlsx", ".parquet", ".sas7bdat"])
def test_other_formats_are_refused_with_the_way_out(tmp_path, suffix):
    with pytest.raises(AibmdError, match="Save the table as CSV"):
        read_cohort(tmp_path / f"scans{suffix}")


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_cohort(tmp_path / "scans.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_cohort(tmp_path)


def test_source_and_time_zero_are_kept():
    cohort = read_cohort(VALID, time_zero="start of AI")
    assert (cohort.source, cohort.time_zero, cohort.synthetic) == (
        "valid.csv",
        "start of AI",
        False,
    )


@pytest.mark.parametrize("mark", ["yes", "True", 1, True])
def test_a_file_cannot_lose_the_mark_of_synthetic_data(mark):
    marked = read_cohort(small(synthetic=mark))
    assert marked.synthetic
    assert "synthetic" in repr(marked)


@pytest.mark.parametrize("mark", ["no", "", 0, False])
def test_real_data_are_not_called_synthetic(mark):
    assert not read_cohort(small(synthetic=mark)).synthetic


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"note": [[1], [2], [3], [4]]}, "'note' holds lists"),
        ({"bmd": True}, "cannot be read as a number"),
        ({"bmd": [0.9 + 0j] * 4}, "cannot be read as a number"),
        ({"time": pd.Timestamp("2020-01-01")}, "not a date"),
        ({"subject_id": None}, "subject_id is blank in 4 rows"),
        (dict.fromkeys(["subject_id", "visit", "time", "skeletal_site"]), "4 problems"),
    ],
)
def test_cells_of_other_kinds_are_reported_not_stumbled_over(changes, words):
    frame = small(ai_start=0, ai_stop=1, death_time=9).assign(**changes)
    with pytest.raises(AibmdError, match=words):
        read_cohort(frame)


@pytest.mark.parametrize("source", [None, 3, ["scans.csv"]])
def test_a_source_of_another_type_is_refused(source):
    with pytest.raises(AibmdError, match="expected the path of a CSV file or a DataFrame"):
        read_cohort(source)


def test_columns_must_be_a_mapping():
    with pytest.raises(AibmdError, match="columns is no mapping"):
        read_cohort(small(), columns=["bmd"])


def test_any_damage_to_a_file_is_an_error_of_ours(tmp_path):
    """Bytes removed, inserted and exchanged at random; a cohort or an AibmdError, nothing else."""
    rng, path = np.random.default_rng(7), tmp_path / "scans.csv"
    pieces = [b",", b"\n", b'"', b"1e999", b"NA", b"-", b"\xff", b"\x00", b"0,9", b"year_5", b";"]
    refused = 0
    for _ in range(150):
        content = bytearray(VALID.read_bytes())
        for _ in range(int(rng.integers(1, 6))):
            start = int(rng.integers(len(content)))
            content[start : start + int(rng.integers(0, 40))] = pieces[
                int(rng.integers(len(pieces)))
            ]
        path.write_bytes(content)
        try:
            read_cohort(path).summary()
        except AibmdError:
            refused += 1
    assert refused > 75


def test_a_padded_header_does_not_hide_a_decimal_comma(tmp_path):
    path = tmp_path / "scans.csv"
    path.write_text(
        "subject_id,visit,time,skeletal_site,bmd,comment,\n"
        "P01,baseline,0.0,LS,1,8100,\n"
        "P01,baseline,0.0,FN,0.8100,\n",
        encoding="utf-8",
    )
    with pytest.raises(CohortError, match="row 2   7 cells"):
        read_cohort(path)
