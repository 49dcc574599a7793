import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aibmd import AibmdError, DataWarning, TScoreChangeError, derive_change, read_cohort
from aibmd.densitometry import compute_change, compute_log_change, compute_percent_change


def scans(**changes):
    frame = {
        "subject_id": ["S1", "S1", "S1", "S2", "S2"],
        "visit": ["baseline", "year_5", "year_10", "baseline", "year_5"],
        "time": [0.0, 5.0, 10.0, 0.0, 5.0],
        "skeletal_site": "total_hip",
        "bmd": [0.9, 0.81, 0.891, 1.0, 1.02],
    }
    return pd.DataFrame({**frame, **changes})


def test_percent_change_is_relative_to_baseline():
    change = derive_change(scans())["bmd_pct_change"]
    np.testing.assert_allclose(change, [np.nan, -10.0, -1.0, np.nan, 2.0])


def test_percent_of_a_later_visit_is_relative_to_that_visit():
    change = derive_change(scans(), baseline="year_5")
    np.testing.assert_allclose(change["baseline_bmd"], [0.81, 0.81, 0.81, 1.02, 1.02])
    np.testing.assert_allclose(
        change["bmd_pct_change"],
        [100 * (0.9 / 0.81 - 1), np.nan, 10.0, 100 * (1 / 1.02 - 1), np.nan],
    )


@pytest.mark.parametrize(
    ("scale", "column", "at_year_5"),
    [
        ("absolute", "bmd_change", -0.09),
        ("percent", "bmd_pct_change", -10.0),
        ("log", "bmd_log_change", np.log(0.9)),
    ],
)
def test_each_scale_has_its_column(scale, column, at_year_5):
    derived = derive_change(scans(), scale=scale)
    assert list(derived.columns) == [*scans().columns, "baseline_bmd", column]
    assert derived.loc[1, column] == pytest.approx(at_year_5)


def test_log_change_and_percent_change_tell_the_same():
    value = np.array([0.7, 0.9, 1.3])
    percent = compute_percent_change(value, 0.95)
    np.testing.assert_allclose(percent, 100 * np.expm1(compute_log_change(value, 0.95)))
    np.testing.assert_allclose(compute_change(value, 0.95), percent * 0.95 / 100)


def test_percent_and_log_change_have_no_unit_and_absolute_change_has_one():
    mg = scans(bmd=scans()["bmd"] * 1000)
    for scale, column, factor in [
        ("percent", "bmd_pct_change", 1),
        ("log", "bmd_log_change", 1),
        ("absolute", "bmd_change", 1000),
    ]:
        expected = derive_change(scans(), scale)[column] * factor
        np.testing.assert_allclose(derive_change(mg, scale)[column], expected, atol=1e-12)


def test_the_given_table_is_not_changed():
    frame = scans()
    derive_change(frame)
    pd.testing.assert_frame_equal(frame, scans())


def test_row_order_does_not_matter():
    backwards = derive_change(scans().iloc[::-1]).sort_index()
    pd.testing.assert_frame_equal(backwards, derive_change(scans()))


def test_each_skeletal_site_has_its_own_baseline():
    hip, spine = scans(), scans(skeletal_site="lumbar_spine", bmd=scans()["bmd"] * 1.5)
    both = derive_change(pd.concat([hip, spine], ignore_index=True))
    np.testing.assert_allclose(both["baseline_bmd"][:5] * 1.5, both["baseline_bmd"][5:])
    np.testing.assert_allclose(both["bmd_pct_change"][:5], both["bmd_pct_change"][5:])


def test_without_skeletal_sites_change_is_per_subject():
    frame = scans().drop(columns="skeletal_site")
    np.testing.assert_allclose(
        derive_change(frame)["bmd_pct_change"], derive_change(scans())["bmd_pct_change"]
    )


def test_other_tables_name_their_columns():
    frame = scans().rename(columns={"subject_id": "person", "visit": "wave", "bmd": "dxa"})
    frame["wave"] = [1, 2, 3, 1, 2]
    derived = derive_change(frame, of="dxa", baseline="1", subject="person", visit="wave")
    np.testing.assert_allclose(derived["dxa_pct_change"], [np.nan, -10, -1, np.nan, 2])
    assert "baseline_dxa" in derived


def test_a_cohort_gives_a_cohort_with_the_same_numbers():
    cohort = read_cohort(scans())
    derived = derive_change(cohort)
    expected = derive_change(cohort.scans)
    pd.testing.assert_frame_equal(derived.scans, expected)
    assert "bmd_pct_change" in derived.to_frame()
    assert "bmd_pct_change" not in cohort.scans


def test_the_shipped_spelling_of_a_cohort_file_works():
    valid = Path(__file__).parents[1] / "cohort" / "valid.csv"
    change = derive_change(read_cohort(valid)).to_frame()
    year_5 = change[change["visit"] == "year_5"]["bmd_pct_change"]
    np.testing.assert_allclose(year_5, -5, atol=0.02)


def test_a_subject_without_baseline_has_no_change_and_is_counted():
    frame = scans(bmd=[0.9, 0.81, 0.891, np.nan, 1.02])
    with pytest.warns(DataWarning, match=r"'baseline' for 1 subject-site; .*\(1 row\)") as caught:
        change = derive_change(frame)["bmd_pct_change"]
    assert len(caught) == 1
    np.testing.assert_allclose(change, [np.nan, -10, -1, np.nan, np.nan])


def test_a_missed_scan_is_no_reason_to_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        change = derive_change(scans(bmd=[0.9, np.nan, 0.891, 1.0, 1.02]))["bmd_pct_change"]
    np.testing.assert_allclose(change, [np.nan, np.nan, -1, np.nan, 2])


@pytest.mark.parametrize("of", ["t_score", "T-score", "hip_t_score", "tscore", "baseline T Score"])
@pytest.mark.parametrize("scale", ["percent", "log"])
def test_relative_change_of_a_t_score_is_refused_with_the_right_call(of, scale):
    frame = scans().rename(columns={"bmd": of})
    with pytest.raises(TScoreChangeError, match=r"arbitrary zero.*derive_change"):
        derive_change(frame, scale, of=of)


def test_the_refusal_comes_before_any_look_at_the_data():
    with pytest.raises(TScoreChangeError):
        derive_change(scans(), of="t_score")


def test_the_loss_quoted_for_a_t_score_is_that_of_bone():
    """Manufacturer's young reference for the spine, women: 1.047 (0.110) g/cm2."""
    before, after = 1.047 + 0.110 * np.array([-0.95, -1.06])
    assert round(float(compute_percent_change(after, before)), 1) == -1.3


def test_difference_of_t_scores_is_allowed():
    frame = scans(t_score=[-1.0, -1.5, -1.2, -2.0, -1.9])
    change = derive_change(frame, "absolute", of="t_score")["t_score_change"]
    np.testing.assert_allclose(change, [np.nan, -0.5, -0.2, np.nan, 0.1])


def test_an_unknown_visit_lists_the_visits_in_order():
    with pytest.raises(AibmdError, match="'baseline', 'year_5', 'year_10'"):
        derive_change(scans(), baseline="year_0")


def test_values_at_or_below_zero_are_named_by_row():
    frame = scans(bmd=[0.9, 0.0, 0.9, 1.0, -1.0])
    with pytest.raises(AibmdError, match=r"2 rows \(1, 4\)"):
        derive_change(frame, "log")
    assert derive_change(frame, "absolute").loc[1, "bmd_change"] == -0.9


def test_two_baselines_are_an_error():
    frame = scans(visit=["baseline", "baseline", "year_10", "baseline", "year_5"])
    with pytest.raises(AibmdError, match=r"2 rows share .* \(rows 0, 1\)"):
        derive_change(frame)


def test_unknown_columns_and_scales_are_named():
    with pytest.raises(AibmdError, match="no column 'sbmd'"):
        derive_change(scans(), of="sbmd")
    with pytest.raises(AibmdError, match="'absolute', 'percent', 'log'"):
        derive_change(scans(), scale="relative")
    with pytest.raises(AibmdError, match="does not hold numbers"):
        derive_change(scans(bmd="0.9"))


def test_rows_without_a_subject_are_named():
    frame = scans(subject_id=["S1", "S1", None, "S2", "S2"])
    with pytest.raises(AibmdError, match=r"'subject_id' is blank in 1 row \(2\)"):
        derive_change(frame)
