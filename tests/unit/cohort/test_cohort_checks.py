"""Each malformed file holds one fault, and the report names that fault alone."""

from pathlib import Path

import pandas as pd
import pytest

from aibmd import AibmdError, CohortError, read_cohort
from aibmd.cohort.checks import CHECKS

HERE = Path(__file__).parent
FILES = HERE / "malformed"

# file: the check that speaks, the rows it names (a range with its end), words of its report
ONE_FAULT = {
    "tabs": ("separator", [], "separated by tabs"),
    "decimal_comma_unquoted": ("ragged_rows", [4], "row 4   11 cells"),
    "decimal_comma_before_blank": ("ragged_rows", [4], "row 4   12 cells"),
    "row_too_short": ("ragged_rows", [5], "row 5   6 cells"),
    "column_repeated": ("repeated_columns", [], "'bmd'   columns 5, 7"),
    "column_misnamed": ("column_names", [], "did you mean 'SubjectID'?"),
    "column_missing": ("column_names", [], "time   years from time zero"),
    "column_disguised": ("column_names", [], "'AI Stop'   ai_stop"),
    "header_only": ("has_rows", [], "no rows"),
    "decimal_comma_quoted": ("decimal_commas", [4], "such as '0,9816'"),
    "text_in_bmd": ("numbers", [5, 9], "pending"),
    "text_in_age": ("numbers", [8, 9, 10, 11, 12, 13], "sixty"),
    "date_for_time": ("numbers", [14, 15, 16, 17, 18, 19], "not a date"),
    "infinite_bmd": ("finite", [6], "1 infinite value"),
    "subject_blank": ("missing_keys", [7], "subject_id is blank in 1 row"),
    "visit_blank": ("missing_keys", [7], "visit is blank in 1 row"),
    "time_blank": ("missing_keys", [7], "time is blank in 1 row"),
    "site_unknown": ("skeletal_sites", [3, 4], "'hip'     row 3   did you mean total_hip?"),
    "visit_spelled_twice": (
        "visit_spelling",
        [4, 5, 10, 11, 16, 17, 22, 23],
        "'Year 1'   row 10",
    ),
    "scan_repeated": ("repeated_scans", [6, 26], "row 26   S1   year_5   LS   0.9614"),
    "bmd_blank": ("bmd_measured", [], "bmd is blank in all 24 rows"),
    "bmd_negative": ("bmd_positive", [6], "-0.9614"),
    "bmd_zero": ("bmd_positive", [6], "at or below zero"),
    "bmd_in_mg": ("bmd_unit", range(2, 26), "median of 24 values is 896.65"),
    "bmd_partly_in_mg": ("bmd_unit", [6, 7], "2 of 24 values look like mg/cm2"),
    "bmd_impossible": ("bmd_range", [6], "9.614"),
    "bmd_missing_code": ("bmd_range", [6], "code for missing values must be blank"),
    "time_in_days": ("number_range", [r for r in range(4, 26) if r % 6 not in (2, 3)], "365.25"),
    "age_impossible": ("number_range", range(14, 20), "outside 1 to 115 years"),
    "visits_swapped": ("visit_times", [10, 11, 12, 13], "year_5   LS   0.95   median"),
    "time_backward": ("visit_times", [16, 17], "year_1   LS   -0.1"),
    "time_not_growing": ("visit_times", [16, 17, 18, 19], "grow from visit to visit"),
    "chemotherapy_varies": ("constant_covariates", range(2, 8), "'no' in row 6"),
    "ai_stops_before_start": ("ordered_times", [14], "ai_start 0.5   ai_stop 0.2"),
    "scan_after_last_contact": ("last_times", [12, 13], "time 4.93   last_contact_time 4.1"),
}

NO_TABLE = {
    "empty": "is empty",
    "latin_1": "byte 106, in line 2, is 0xFC",
    "utf_16": "UTF-16",
    "binary": "not a text file",
    "quotation_open": "line 16 has a quotation mark out of place",
}


def problems_of(source):
    with pytest.raises(CohortError) as caught:
        read_cohort(source)
    return caught.value.problems


@pytest.mark.parametrize("name", ONE_FAULT)
def test_one_fault_gives_one_problem_with_its_rows(name):
    check, rows, words = ONE_FAULT[name]
    (problem,) = problems_of(FILES / f"{name}.csv")
    assert (problem.check, sorted(problem.rows)) == (check, list(rows))
    assert words in str(problem)
    assert problem.remedy


@pytest.mark.parametrize("name", NO_TABLE)
def test_what_is_no_table_is_one_message_without_problems(name):
    with pytest.raises(CohortError) as caught:
        read_cohort(FILES / f"{name}.csv")
    assert caught.value.problems == ()
    assert NO_TABLE[name] in str(caught.value)
    assert f"{name}.csv" in str(caught.value)


def test_every_check_has_a_malformed_file_and_every_file_a_test():
    spoken = {check for check, _, _ in ONE_FAULT.values()}
    assert spoken == {check.__name__.removeprefix("check_") for check in CHECKS}
    tested = {*ONE_FAULT, *NO_TABLE, "semicolons_and_decimal_commas", "t_scores"}
    assert tested == {path.stem for path in FILES.iterdir()}


def test_semicolons_and_decimal_commas_are_two_problems_and_no_more():
    problems = problems_of(FILES / "semicolons_and_decimal_commas.csv")
    assert [problem.check for problem in problems] == ["separator", "decimal_commas"]


def test_t_scores_in_the_bmd_column_are_recognised():
    (problem,) = problems_of(FILES / "t_scores.csv")
    assert "look like T-scores" in problem.remedy


def valid():
    return pd.read_csv(HERE / "valid.csv", dtype=str)


def test_all_problems_are_reported_at_once_and_numbered():
    frame = valid()
    frame.loc[3, "bmd"] = "-1"
    frame.loc[9, "skeletal_site"] = "wrist"
    frame.loc[11, "time"] = "five"
    with pytest.raises(CohortError) as caught:
        read_cohort(frame)
    message = str(caught.value)
    assert [p.check for p in caught.value.problems] == ["numbers", "skeletal_sites", "bmd_positive"]
    assert message.startswith("3 problems in the DataFrame")
    assert all(f"\n\n{number}. " in message for number in (1, 2, 3))


def test_ten_rows_are_listed_and_the_rest_counted():
    frame = pd.concat([valid()], ignore_index=True).assign(bmd="x")
    (problem,) = problems_of(frame)
    assert len(problem.rows) == 24
    assert problem.message.count("\n  row ") == 10
    assert problem.message.endswith("and 14 more")


def test_a_dataframe_is_reported_by_its_index_labels():
    frame = valid().set_axis([f"scan {i}" for i in range(24)], axis=0)
    frame.loc["scan 7", "bmd"] = "-0.9"
    (problem,) = problems_of(frame)
    assert problem.rows == ("scan 7",)


def test_a_repeated_index_is_replaced_by_positions():
    frame = valid().set_axis([0] * 24, axis=0)
    frame["bmd"] = ["-0.9", *frame["bmd"].iloc[1:]]
    (problem,) = problems_of(frame)
    assert problem.rows == (0,)


def test_scattered_scan_times_raise_no_alarm():
    """Late, early and missed scans of the kind trials have: up to 1.5 years off at year 10."""
    planned = {"baseline": 0, "year_1": 1, "year_3": 3, "year_5": 5, "year_10": 10}
    off = [-0.4, -0.1, 0.0, 0.05, 0.1, 0.3, 0.45]
    rows = [
        {"subject_id": f"S{i}", "visit": visit, "time": time + o * (1 + 0.25 * time)}
        for i, o in enumerate(off)
        for visit, time in planned.items()
        if (i, visit) != (2, "year_3")
    ]
    frame = pd.DataFrame(rows).assign(skeletal_site="LS", bmd=1.0)
    assert read_cohort(frame).visits == tuple(planned)


def test_times_that_differ_between_subjects_raise_no_alarm():
    """Time zero may be the start of AI, years before the trial for some women."""
    shift = [0, 0.3, 2.4, 4.9, 1.1, 3.3]
    rows = [
        {"subject_id": f"S{i}", "visit": f"V{k}", "time": s + k * 0.5}
        for i, s in enumerate(shift)
        for k in range(4)
    ]
    read_cohort(pd.DataFrame(rows).assign(skeletal_site="TH", bmd=0.9))


def test_numbers_in_visit_labels_must_grow_with_time():
    frame = pd.DataFrame({"subject_id": ["S1", "S1"], "visit": ["month_12", "month_6"]})
    (problem,) = problems_of(frame.assign(time=[0.5, 1.0], skeletal_site="LS", bmd=1.0))
    assert problem.check == "visit_times"


def test_a_declared_visit_order_that_times_contradict_is_a_problem():
    frame = valid().astype({"time": float})
    frame["visit"] = pd.Categorical(
        frame["visit"], categories=["year_5", "year_1", "baseline"], ordered=True
    )
    (problem,) = problems_of(frame)
    assert problem.check == "visit_times"


def test_a_covariate_given_once_is_not_a_covariate_that_varies():
    frame = valid()
    frame.loc[frame["visit"] != "baseline", "prior_chemotherapy"] = ""
    subjects = read_cohort(frame).subjects
    assert list(subjects["prior_chemotherapy"]) == ["yes", "no", "no", "yes"]


def test_unknown_columns_and_scanners_may_vary():
    frame = valid()
    frame["scanner_id"] = frame["note"] = [f"A{i % 3}" for i in range(24)]
    assert {"scanner_id", "note"} <= set(read_cohort(frame).scans.columns)


def test_every_death_and_stop_that_comes_too_early_is_found():
    frame = valid().assign(
        tamoxifen_start="1", tamoxifen_stop="0.5", bisphosphonate_start="2", bisphosphonate_stop="1"
    )
    frame["recurrence_time"], frame["death_time"] = "7", "5.5"
    frame = frame.drop(columns="last_contact_time")
    messages = " ".join(problem.message for problem in problems_of(frame))
    assert "tamoxifen_stop before tamoxifen_start in 4 subjects" in messages
    assert "bisphosphonate_stop before bisphosphonate_start in 4 subjects" in messages
    assert "death_time before recurrence_time in 4 subjects" in messages


def test_no_one_is_scanned_after_her_death():
    frame = valid().drop(columns="last_contact_time").assign(death_time="4.95")
    (problem,) = problems_of(frame)
    assert (problem.check, len(problem.rows)) == ("last_times", 6)


def test_a_cell_cannot_steer_the_terminal():
    frame = valid()
    frame.loc[0, "bmd"] = "\x1b[2Jgone" + "x" * 200
    (problem,) = problems_of(frame)
    assert "\x1b" not in str(problem)
    assert len(max(str(problem).splitlines(), key=len)) < 150


def test_a_formula_in_a_cell_is_text():
    frame = valid().assign(note="=cmd|'/c calc'!A1", prior_chemotherapy="__import__('os')")
    assert set(read_cohort(frame).subjects["prior_chemotherapy"]) == {"__import__('os')"}


def test_problems_are_an_aibmd_error_and_a_value_error():
    with pytest.raises(ValueError, match="cannot be a BMD") as caught:
        read_cohort(FILES / "bmd_impossible.csv")
    assert isinstance(caught.value, AibmdError)


HEADER = "subject_id,visit,time,skeletal_site,bmd,comment"


def written(tmp_path, *lines):
    path = tmp_path / "scans.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_one_cell_too_many_in_every_row_is_put_down_to_decimal_commas(tmp_path):
    row = "P01,baseline,0.00,lumbar_spine,1,8100,"
    (problem,) = problems_of(written(tmp_path, HEADER, row, row.replace("P01", "P02")))
    assert (problem.check, problem.rows) == ("ragged_rows", (2, 3))
    assert "Every row has one cell too many" in problem.message
    assert "(1,8100)" in problem.message
    sound = "P03,baseline,0.00,lumbar_spine,1.01,"
    (problem,) = problems_of(written(tmp_path, HEADER, row, sound))
    assert (problem.check, problem.rows) == ("ragged_rows", (2,))
    assert "Every row" not in problem.message


def test_a_comma_after_every_line_the_header_included_is_no_fault(tmp_path):
    row = "P01,baseline,0.00,lumbar_spine,1.01,good,"
    assert list(read_cohort(written(tmp_path, HEADER + ",", row)).scans["bmd"]) == [1.01]


def test_a_name_that_only_looks_alike_is_suggested_on_a_condition():
    (problem,) = problems_of(valid().rename(columns={"time": "ctime"}))
    assert problem.remedy.startswith("If 'ctime' holds time (years from time zero): ")
    (problem,) = problems_of(valid().rename(columns={"time": "ctime", "subject_id": "USUBJID"}))
    always, conditional = problem.remedy.split("If 'ctime'")
    assert "--columns 'USUBJID=subject_id'" in always
    assert "ctime" not in always
    assert "--columns 'ctime=time'" in conditional
