"""Which rows are used, how they are coded, and what is said of the others."""

import numpy as np
import pandas as pd
import pytest
from made_trials import make_trial

from aibmd.errors import AibmdError, DataWarning
from aibmd.model.columns import natural_order
from aibmd.model.design import build_design
from aibmd.model.formula import guard_formula
from aibmd.model.rows import FurtherColumns, select_rows


@pytest.fixture
def trial():
    return make_trial(1, 12, 3, gaps=0.0)


def select(table, formula="y ~ arm * visit + base", visit="visit", **options):
    return select_rows(table, guard_formula(formula, table.columns), "who", visit, **options)


def design(table, formula="y ~ arm * visit + base", **options):
    guarded = guard_formula(formula, table.columns)
    return build_design(table, guarded, "who", "visit", **options)


def test_each_dropped_row_is_counted_once_under_its_first_reason(trial):
    trial["who"] = trial["who"].astype(float)
    trial.loc[0, ["who", "y"]] = np.nan
    trial.loc[[1, 2], "y"] = np.nan
    trial.loc[[2, 3], "base"] = np.nan
    trial.loc[4, "visit"] = None
    trial.loc[5, "x"] = np.nan  # not in the formula
    found = select(trial)
    assert found.dropped == {
        "missing subject who": 1,
        "missing visit": 1,
        "missing response y": 2,
        "missing covariate base": 1,
    }
    assert len(found.y) == len(trial) - 5
    assert found.frame.index.tolist() == [i for i in range(36) if i not in {0, 1, 2, 3, 4}]


def test_columns_of_every_role_must_be_known(trial):
    trial["part"], trial["w"], trial["t"] = "hip", 1.0, 0.5
    trial.loc[0, "part"] = None
    trial.loc[1, "w"] = np.nan
    trial.loc[2, "t"] = np.nan
    trial.loc[3, "x"] = np.nan
    further = FurtherColumns(time="t", repeated="part", weights="w", effects=("x",))
    assert select(trial, further=further).dropped == {
        "missing time t": 1,
        "missing repeated part": 1,
        "missing weights w": 1,
        "missing random effects column x": 1,
    }


def test_sampling_weights_have_a_mean_of_one_over_subjects(trial):
    trial["w"] = 2.0 + trial["who"]
    found = select(trial, further=FurtherColumns(sampling_weights="w"))
    assert found.sampling_weights[found.first_rows].mean() == pytest.approx(1.0)
    ratio = found.sampling_weights / trial["w"]
    np.testing.assert_allclose(ratio, ratio[0])


def test_levels_of_text_are_sorted_and_of_numbers_in_their_order(trial):
    trial["part"] = np.where(trial["who"] % 2 == 0, "spine", "hip")
    trial["dose"] = trial["who"] % 3 * 10
    found = select(trial, further=FurtherColumns(group="part", residual_group="dose"))
    assert found.group.labels == ("hip", "spine")
    assert found.residual_group.labels == ("0", "10", "20")
    assert [found.group.labels[c] for c in found.group.codes] == trial["part"].tolist()


def test_nothing_dropped_is_nothing_counted(trial):
    assert select(trial).dropped == {}


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["VIS10", "VIS2", "VIS1"], ["VIS1", "VIS2", "VIS10"]),
        (["10", "2", "1"], ["1", "2", "10"]),
        (["month_12", "baseline", "month_6"], ["baseline", "month_6", "month_12"]),
        (["year 1.5", "year 10", "year 0.5"], ["year 0.5", "year 1.5", "year 10"]),
        ([10, 2, 1.5], [1.5, 2, 10]),
    ],
)
def test_natural_order_reads_numbers_as_numbers(labels, order):
    assert natural_order(labels) == order


def test_text_visits_are_in_natural_order(trial):
    trial["visit"] = trial["visit"].map({"v1": "week 10", "v2": "week 2", "v3": "week 1"})
    found = select(trial)
    assert found.visits == ("week 1", "week 2", "week 10")
    assert found.visit[:3].tolist() == [2, 1, 0]
    assert list(found.frame["visit"].cat.categories) == list(found.visits)


def test_categorical_visits_keep_their_order_and_lose_unused_categories(trial):
    trial["visit"] = pd.Categorical(trial["visit"], ["v3", "never", "v1", "v2"])
    assert select(trial).visits == ("v3", "v1", "v2")


def test_a_visit_without_a_complete_row_is_no_visit(trial):
    trial.loc[trial["visit"] == "v2", "y"] = np.nan
    found = select(trial)
    assert found.visits == ("v1", "v3")
    assert list(found.frame["visit"].cat.categories) == ["v1", "v3"]


def test_an_order_that_is_given_wins(trial):
    assert select(trial, visit_order=["v2", "v9", "v3", "v1"]).visits == ("v2", "v3", "v1")


def test_codes_lead_back_to_labels(trial):
    shuffled = trial.sample(frac=1, random_state=3)
    found = select(shuffled)
    assert found.subjects.take(found.subject).tolist() == shuffled["who"].tolist()
    assert [found.visits[v] for v in found.visit] == shuffled["visit"].tolist()
    first = shuffled.reset_index(drop=True).groupby("who", sort=False).head(1).index
    np.testing.assert_array_equal(found.first_rows, first)


def test_text_booleans_and_categories_become_factors_without_unused_levels(trial):
    trial["flag"] = trial["base"] > 0
    trial["center"] = pd.Categorical(trial["center"], ["r", "unused", "q", "p"])
    frame = select(trial, "y ~ arm + flag + center").frame
    assert list(frame["arm"].cat.categories) == ["a", "b"]
    assert list(frame["flag"].cat.categories) == [False, True]
    assert list(frame["center"].cat.categories) == ["r", "q", "p"]


def test_a_numeric_visit_warns_where_it_is_a_straight_line(trial, recwarn):
    trial["week"] = trial["visit"].str[1:].astype(int)
    with pytest.warns(DataWarning, match=r"straight line; write C\(week\)"):
        select(trial, "y ~ week", visit="week")
    select(trial, "y ~ C(week)", visit="week")
    select(trial, "y ~ arm", visit="week")
    assert not recwarn.list


def test_a_repeated_subject_and_visit_is_refused_with_its_rows(trial):
    trial.index = [f"r{i}" for i in range(len(trial))]
    with pytest.raises(AibmdError, match=r"(?s)2 rows repeat.*row r4\s+1\s+v2.*Keep one row"):
        design(pd.concat([trial, trial.iloc[[4]]]))


def test_the_repair_names_sites_where_there_are_several(trial):
    trial["skeletal_site"] = "total_hip"
    with pytest.raises(AibmdError, match="one site at a time"):
        design(pd.concat([trial, trial.assign(skeletal_site="femoral_neck")]))


def test_a_repeat_at_another_level_of_the_second_factor_is_none(trial):
    two = pd.concat([trial.assign(part="hip"), trial.assign(part="spine")])
    further = FurtherColumns(repeated="part")
    assert len(design(two, further=further).rows.y) == 2 * len(trial)
    with pytest.raises(AibmdError, match="2 rows repeat a subject, repeated factor and visit"):
        design(pd.concat([two, two.iloc[[4]]]), further=further)


def test_no_complete_row_is_an_error_that_counts_the_reasons(trial):
    with pytest.raises(AibmdError, match="no row is complete: 36 rows: missing response y"):
        select(trial.assign(y=np.nan))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinite_values_are_refused_where_they_are(trial, value):
    trial.loc[7, "base"] = value
    with pytest.raises(AibmdError, match="'base' holds an infinite value"):
        select(trial)
    trial.loc[7, ["base", "y"]] = 0.0, value
    with pytest.raises(AibmdError, match="'y' is not finite in row 7"):
        select(trial)


@pytest.mark.parametrize("column", ["arm", "flag", "when"])
def test_a_response_that_is_not_numeric_is_refused(trial, column):
    trial["flag"] = trial["base"] > 0
    trial["when"] = pd.Timestamp("2020-01-01")
    with pytest.raises(AibmdError, match=f"the response '{column}' is not numeric"):
        select(trial, f"{column} ~ visit")


def test_the_table_is_left_as_it_was(trial):
    trial["center"] = pd.Categorical(trial["center"], ["r", "unused", "q", "p"])
    before = trial.copy(deep=True)
    select(trial, "log(I(y**2)) ~ center * visit + I(base**2)")
    pd.testing.assert_frame_equal(trial, before)
