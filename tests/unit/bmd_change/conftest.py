"""Cohorts made by hand, whose groups, flow and changes are known by eye."""

import numpy as np
import pandas as pd
import pytest

from aibmd import Cohort, StudyDesign, simulate_cohort
from aibmd.bmd_change import fit_withdrawal
from aibmd.resources import data_path

VISIT_YEARS = {"baseline": 0.0, "year_1": 1.0, "year_3": 3.0, "year_5": 5.0, "year_10": 10.0}
SITES = ("lumbar_spine", "femoral_neck", "total_hip")
DATES = (
    "ai_start",
    "ai_stop",
    "tamoxifen_start",
    "tamoxifen_stop",
    "recurrence_time",
    "death_time",
    "last_contact_time",
)


def make_cohort(women, truth=None):
    """One row per woman: dates, and optionally `seen` (visits), `times`, `bmd` by visit."""
    rows = []
    for name, woman in women.items():
        dates = {date: woman.get(date, np.nan) for date in DATES}
        status = {"menopausal_status": woman.get("menopausal_status", "postmenopausal")}
        for visit in woman.get("seen", VISIT_YEARS):
            time = woman.get("times", {}).get(visit, VISIT_YEARS[visit])
            bmd = woman.get("bmd", {}).get(visit, 1.0)
            for site in woman.get("sites", SITES):
                row = {"subject_id": name, "visit": visit, "time": time}
                rows.append(row | {"skeletal_site": site, "bmd": bmd} | dates | status)
    return Cohort.from_long(pd.DataFrame(rows), truth=truth)


@pytest.fixture(scope="session")
def hand_made():
    return make_cohort


@pytest.fixture(scope="session")
def random_women():
    """Twenty-four women with all five scans, uneven groups of 14 and 10, BMD at random."""
    draw = np.random.default_rng(5)
    women = {}
    for number in range(24):
        level = draw.normal(1.0, 0.1)
        bmd = {visit: level * np.exp(draw.normal(0.0, 0.03)) for visit in VISIT_YEARS}
        dates = {"ai_start": 0.0, "ai_stop": 5.1} if number < 14 else {}
        women[f"W{number:02d}"] = {"bmd": bmd} | dates
    return women


@pytest.fixture(scope="session")
def brex_design():
    return StudyDesign.from_toml(data_path("synthetic", "brex.toml"))


@pytest.fixture(scope="session")
def brex(brex_design):
    return simulate_cohort(brex_design, 7)


@pytest.fixture(scope="session")
def brex_result(brex):
    return fit_withdrawal(brex)
