from pathlib import Path

import pandas as pd
import pytest

from aibmd import AibmdError, StudyDesign, load_cohort, simulate_cohort
from aibmd.cohort import shipped
from aibmd.resources import data_path

VALID = Path(__file__).parent / "valid.csv"


@pytest.fixture
def shipped_data(tmp_path, monkeypatch):
    folder = tmp_path / "synthetic"
    folder.mkdir()
    (folder / "toy.csv").write_bytes(VALID.read_bytes())
    (folder / "toy_truth.csv").write_text("subject_id,visit,bmd\n007,year_5,0.9\n")
    monkeypatch.setattr(shipped, "data_path", lambda *parts: tmp_path.joinpath(*parts))
    return folder


def test_a_shipped_cohort_is_synthetic_and_brings_its_truth(shipped_data):
    cohort = load_cohort("toy")
    assert cohort.synthetic
    assert list(cohort.truth["subject_id"]) == ["007"]
    assert tuple(cohort.truth["visit"].cat.categories) == cohort.visits
    assert cohort.time_zero == "baseline visit"


def test_every_row_of_the_shipped_truth_says_that_it_is_made_up():
    truth = pd.read_csv(data_path("synthetic", "brex_truth.csv"))
    assert set(truth["synthetic"]) == {"yes"}


def test_the_design_file_says_what_time_counts_from(shipped_data):
    (shipped_data / "toy.toml").write_text('time_zero = "randomisation"\n')
    assert load_cohort("toy").time_zero == "randomisation"


def test_an_unknown_name_lists_the_cohorts_there_are(shipped_data):
    with pytest.raises(AibmdError, match=r"no shipped cohort 'brx'\. Available: toy\.$"):
        load_cohort("brx")


def test_a_name_is_no_path(shipped_data):
    with pytest.raises(AibmdError, match="no shipped cohort"):
        load_cohort("../synthetic/toy")


def test_the_shipped_cohort_is_what_its_design_and_seed_give():
    design = StudyDesign.from_toml(data_path("synthetic", "brex.toml"))
    made, loaded = simulate_cohort(design, design.seed), load_cohort("brex")
    assert loaded.data_hash == made.data_hash
    assert loaded.time_zero == made.time_zero
    pd.testing.assert_frame_equal(loaded.to_frame(), made.to_frame())
    pd.testing.assert_frame_equal(loaded.truth, made.truth)
