import copy
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path

import pandas as pd
import pytest

from aibmd import Cohort, CohortError, read_cohort
from aibmd.cohort import tabulate_bmd
from aibmd.cohort.visits import order_visits

VALID = Path(__file__).parent / "valid.csv"


@pytest.fixture
def cohort():
    return read_cohort(VALID)


def long(**changes):
    frame = {
        "subject_id": ["B", "B", "A"],
        "visit": ["v2", "v1", "v1"],
        "time": [1.0, 0.0, 0.0],
        "skeletal_site": ["total_hip", "total_hip", "lumbar_spine"],
        "bmd": [0.8, 0.9, 1.0],
    }
    return pd.DataFrame({**frame, **changes})


def test_scans_are_sorted_by_subject_visit_and_site(cohort):
    scans = Cohort.from_long(long()).scans
    assert list(scans["subject_id"]) == ["A", "B", "B"]
    assert list(scans["visit"].astype(str)) == ["v1", "v1", "v2"]
    assert scans["visit"].cat.ordered
    assert list(scans["skeletal_site"].cat.categories) == ["lumbar_spine", "total_hip"]


def test_a_cohort_cannot_be_changed_through_its_tables(cohort):
    before = cohort.data_hash
    for table in (cohort.scans, cohort.subjects, cohort.to_frame()):
        table.iloc[0, 0] = "someone else"
        del table["bmd" if "bmd" in table else "age_years"]
    assert cohort.data_hash == before
    with pytest.raises(FrozenInstanceError):
        cohort.source = "elsewhere"


def test_a_cohort_does_not_share_its_truth_or_its_input():
    frame, truth = long(), pd.DataFrame({"subject_id": ["A"], "bmd": [1.0]})
    cohort = Cohort.from_long(frame, truth=truth)
    before = cohort.data_hash
    frame.loc[:, "bmd"] = truth.loc[:, "bmd"] = 0.5
    handed_out = cohort.truth
    handed_out["bmd"] = 0.5
    assert cohort.data_hash == before
    assert list(cohort.truth["bmd"]) == [1.0]


def test_known_subject_columns_live_with_the_subjects(cohort):
    assert list(cohort.scans.columns) == ["subject_id", "visit", "time", "skeletal_site", "bmd"]
    assert {"prior_chemotherapy", "age_years", "ai_stop"} <= set(cohort.subjects.columns)
    assert len(cohort.subjects) == cohort.n_subjects == 4


def test_an_unknown_column_lives_where_it_varies():
    cohort = Cohort.from_long(long(arm=["x", "x", "y"], note=["p", "q", "p"], scanner_id="s"))
    assert list(cohort.subjects.columns) == ["subject_id", "arm"]
    assert list(cohort.scans.columns[5:]) == ["note", "scanner_id"]


def test_the_long_form_gives_each_scan_the_columns_of_its_subject(cohort):
    wide = cohort.to_frame()
    by_merge = cohort.scans.merge(cohort.subjects, on="subject_id", how="left")
    pd.testing.assert_frame_equal(wide, by_merge)
    assert wide["visit"].cat.ordered


def test_categories_of_subject_columns_are_kept():
    group = pd.Categorical(["stop", "stop", "continue"], categories=["stop", "continue"])
    cohort = Cohort.from_long(long(treatment_sequence=group))
    assert list(cohort.to_frame()["treatment_sequence"].cat.categories) == ["stop", "continue"]


def test_the_hash_sees_every_value(cohort):
    frame = pd.read_csv(VALID)
    seen = {cohort.data_hash}
    for column, value in {"bmd": 0.8765, "time": 5.3, "prior_chemotherapy": "unknown"}.items():
        changed = frame.astype({"bmd": float})
        changed.loc[changed["subject_id"] == "S4", column] = changed.loc[
            changed["subject_id"] == "S4", column
        ].where(changed["visit"] != "year_5", value)
        if column == "prior_chemotherapy":
            changed.loc[changed["subject_id"] == "S4", column] = value
        seen.add(read_cohort(changed).data_hash)
    assert len(seen) == 4


def test_repeated_scans_cannot_make_a_cohort():
    with pytest.raises(CohortError, match="repeat a subject"):
        Cohort.from_long(pd.concat([long(), long()]))


def test_a_missing_column_cannot_make_a_cohort():
    with pytest.raises(CohortError, match="no column time"):
        Cohort.from_long(long().drop(columns="time"))


def test_columns_may_be_added_to_the_same_scans_only(cohort):
    wider = cohort.with_scans(cohort.scans.assign(quality="good"))
    assert "quality" in wider.scans
    assert "quality" not in cohort.scans
    with pytest.raises(CohortError, match="same order"):
        cohort.with_scans(cohort.scans.iloc[::-1])


def test_a_synthetic_cohort_says_so_wherever_it_is_printed(cohort):
    made_up = Cohort.from_long(cohort.to_frame(), synthetic=True, source="design brex")
    assert "synthetic" in repr(made_up)
    assert made_up.summary().startswith("Synthetic cohort: design brex")
    assert "ynthetic" not in repr(cohort) + cohort.summary()


def test_the_summary_counts_subjects_scans_and_visits(cohort):
    text = cohort.summary()
    assert "subjects        4" in text
    assert "year_5      5.06   4 subjects" in text
    assert "Total hip     0.857 (0.083)   12 scans" in text


def test_the_table_counts_describes_and_averages_each_visit_and_site():
    frame = long(visit="v1", time=0.0, skeletal_site="total_hip", bmd=[0.8, 0.9, None])
    frame["subject_id"] = ["A", "B", "C"]
    (row,) = tabulate_bmd(Cohort.from_long(frame)).to_dict("records")
    assert (row["n"], row["n_missing"], row["median_time"]) == (2, 1, 0.0)
    assert row["mean"] == pytest.approx(0.85)
    assert row["sd"] == pytest.approx(0.1 / 2**0.5)


def test_without_times_labels_are_read_as_people_read_them():
    visit = pd.Series(["VIS10", "VIS2", "VIS1", "VIS2"])
    assert order_visits(visit) == ["VIS1", "VIS2", "VIS10"]
    assert order_visits(pd.Series([-1, 10, 2, 0])) == ["-1", "0", "2", "10"]


@pytest.mark.parametrize("name", ["scans", "truth", "time_zero", "new"])
def test_nothing_can_be_set_on_a_cohort(cohort, name):
    with pytest.raises(FrozenInstanceError):
        setattr(cohort, name, 1)


def test_a_cohort_survives_copying_and_pickling(cohort):
    for again in (copy.deepcopy(cohort), pickle.loads(pickle.dumps(cohort))):
        assert again.data_hash == cohort.data_hash
