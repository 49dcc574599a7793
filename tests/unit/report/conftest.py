"""A result made of made-up numbers: the report is tested without fitting anything."""

import numpy as np
import pandas as pd
import pytest

from aibmd.bmd_change import WithdrawalQuestion, WithdrawalResult
from aibmd.cohort import Cohort
from aibmd.report import Origin, render_withdrawal_report

GROUPS = ("AI withdrawn", "No AI withdrawal")
SITES = ("lumbar_spine", "femoral_neck", "total_hip")
VISITS = {"baseline": 0.0, "year_1": 1.0, "year_3": 3.0, "year_5": 5.0, "year_10": 10.0}


def make_changes(sign, groups):
    rows = []
    for model in ("log", "percent_change"):
        for s, site in enumerate(SITES):
            for g, group in enumerate(groups):
                estimate = sign * (2.5 - 3.8 * g - 1.5 * s)
                published = np.nan if site == "total_hip" else 2.6 - 3.9 * g - 4.0 * s
                rows.append((model, site, group, 190 + 68 * g, 156 + 57 * g, published,
                             estimate + 0.1, estimate, 0.4, 370.0, estimate - 0.8,
                             estimate + 0.8))  # fmt: skip
    columns = ["model", "skeletal_site", "group", "n_year_5", "n_year_10", "published",
               "design_truth", "estimate", "std_error", "df", "conf_low", "conf_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def make_differences(sign, groups):
    rows = []
    for model in ("log", "percent_change"):
        for s, site in enumerate(SITES):
            d = sign * (5.1 - s)
            ratio = (d + 0.1, 0.5, d - 0.9, d + 1.1) if model == "log" else (np.nan,) * 4
            holm = np.nan if site == "total_hip" else 0.0062
            rows.append((model, site, " - ".join(groups), *ratio, d, 0.5, d - 1.0, d + 1.0, 370.0,
                         2.9, 0.0031, holm, "Holm over 2", d, d))  # fmt: skip
    columns = ["model", "skeletal_site", "contrast", "ratio_of_ratios_pct", "ratio_std_error",
               "ratio_conf_low", "ratio_conf_high", "percentage_points", "points_std_error",
               "points_conf_low", "points_conf_high", "df", "statistic", "p_value", "p_holm",
               "family", "design_truth_ratio_pct", "design_truth_points"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def make_trajectories(sign, groups):
    rows = []
    for site in SITES:
        for g, group in enumerate(groups):
            for k, (visit, time) in enumerate(VISITS.items()):
                change = sign * (6.0 - 2.0 * k if time < 5 else 0.0 if time == 5 else 2.0 - 4.0 * g)
                margin = 0.0 if time == 5 else 0.8
                rows.append((site, group, visit, time, time < 5, 200 - 10 * k, change,
                             change - margin, change + margin, 0.9, 0.88, 0.92))  # fmt: skip
    columns = ["skeletal_site", "group", "visit", "time", "retrospective", "n_scanned",
               "change_from_year_5_pct", "conf_low", "conf_high", "bmd_geometric_mean",
               "bmd_conf_low", "bmd_conf_high"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def make_result(sign=1.0, groups=GROUPS):
    trajectories = make_trajectories(sign, groups)
    fits = pd.DataFrame(
        [(site, model, formula, n, 448, "reml", "un", "kenward_roger", 12.5, True, "observed")
         for site in SITES
         for model, formula, n in (("log", "log(bmd) ~ group * visit", 2138),
                                   ("percent_change", "bmd_pct_change ~ group", 448))],
        columns=["skeletal_site", "model", "formula", "n_obs", "n_subjects", "method", "covariance",
                 "df_method", "log_likelihood", "converged", "information"],
    )  # fmt: skip
    handling = pd.DataFrame(
        [(site, "ANCOVA on the reference visit", "unbiased when the rule holds", "y ~ group", 369,
          5.1, 4.1, 6.1, 0.002, 5.0) for site in SITES],
        columns=["skeletal_site", "handling", "assignment_rule", "formula", "n_subjects",
                 "percentage_points", "points_conf_low", "points_conf_high", "p_value",
                 "design_truth_points"],
    )  # fmt: skip
    flow = pd.DataFrame(
        [("entered", "", "", 573), ("not in population", "", "left before year 5", 125),
         ("population", "", "", 448), ("group", groups[0], "", 190)],
        columns=["step", "group", "reason", "n"],
    )  # fmt: skip
    mixture = pd.DataFrame(
        [(groups[1], "premenopausal", "Never AI or tamoxifen", 67, 25.97)],
        columns=["group", "menopausal_status", "treatment_course", "n", "share_pct"],
    )
    return WithdrawalResult(
        question=WithdrawalQuestion(),
        changes=make_changes(sign, groups),
        differences=make_differences(sign, groups),
        trajectories=trajectories,
        scanned=trajectories[["skeletal_site", "group", "visit", "time"]].assign(n=7),
        baseline_handling=handling,
        mixture=mixture,
        flow=flow,
        fits=fits,
    )


def make_cohort(synthetic=True, source="a made-up table"):
    frame = pd.DataFrame({
        "subject_id": ["S1", "S1", "S2", "S2"], "visit": ["baseline", "year_5"] * 2,
        "time": [0.0, 5.0] * 2, "skeletal_site": "lumbar_spine", "bmd": [0.9, 0.88, 1.0, 0.97],
    })  # fmt: skip
    return Cohort.from_long(frame, "randomisation", synthetic=synthetic, source=source)


@pytest.fixture
def result():
    return make_result()


@pytest.fixture
def reversed_result():
    return make_result(sign=-1.0)


@pytest.fixture
def null_result():
    return make_result(sign=0.0)


@pytest.fixture
def hostile_result():
    return make_result(groups=(GROUPS[0], "<script>alert(1)</script>"))


@pytest.fixture
def cohort():
    return make_cohort()


@pytest.fixture
def read_cohort_with_hostile_source():
    return make_cohort(synthetic=False, source='"><img src=x onerror=alert(1)>.csv')


@pytest.fixture(scope="session")
def origin():
    return Origin("brex", 6, "aibmd reproduce brex_withdrawal")


@pytest.fixture(scope="session")
def files(origin):
    """Every output for the made-up result, rendered once."""
    return render_withdrawal_report(make_result(), make_cohort(), origin)
