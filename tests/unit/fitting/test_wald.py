"""Joint tests of any linear hypothesis, and what is no hypothesis."""

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import stats

import aibmd
from aibmd.errors import AibmdError, NotEstimableError


@pytest.fixture(scope="module")
def trial():
    return make_trial(5)


@pytest.fixture(scope="module")
def found(trial):
    return fit("y ~ arm * visit + x", trial, df_method="satterthwaite")


def test_f_is_the_wald_statistic_over_its_rows(found):
    L = np.eye(len(found.params))[[2, 3]]
    estimate, V = L @ found.params.to_numpy(), L @ found.cov_params().to_numpy() @ L.T
    test = aibmd.wald_test(found, L).iloc[0]
    assert test["statistic"] == pytest.approx(estimate @ np.linalg.solve(V, estimate) / 2)
    assert test["p_value"] == pytest.approx(stats.f.sf(test["statistic"], 2, test["df_denom"]))


def test_a_frame_is_matched_by_name_and_what_it_lacks_is_zero(found):
    by_name = aibmd.wald_test(found, pd.DataFrame({"x": [1.0], "arm[T.b]": [-2.0]}))
    row = [(-2.0 if n == "arm[T.b]" else 1.0 if n == "x" else 0.0) for n in found.params.index]
    pd.testing.assert_frame_equal(by_name, aibmd.wald_test(found, [row]))


@pytest.mark.parametrize(
    "L",
    [
        "x",
        ["x"],
        {"x": 1.0},
        [[np.nan] + [0.0] * 6],
        np.ones((1, 1, 7)),
        np.ones((1, 2)),
        np.zeros((1, 7)),
        np.zeros((0, 7)),
        pd.DataFrame({"nothing": [1.0]}),
        pd.DataFrame({"x": [np.nan]}),
        pd.DataFrame({"x": ["a"]}),
    ],
    ids=repr,
)
def test_what_is_no_hypothesis_is_refused(found, L):
    with pytest.raises(AibmdError):
        aibmd.wald_test(found, L)


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1.0, 1e3, 1e9])
@pytest.mark.filterwarnings("ignore:columns that repeat:aibmd.errors.DataWarning")
def test_what_a_dropped_column_says_is_not_estimable_in_any_unit(trial, unit):
    again = fit("y ~ visit + x + again", trial.assign(again=unit * trial["x"]))
    # The data determine beta_x + unit * beta_again, and nothing else of the two.
    for L in ({"again": [1.0]}, {"x": [1.0]}, {"x": [1.0], "again": [-unit]}):
        with pytest.raises(NotEstimableError, match="row 0 of L is not estimable"):
            aibmd.wald_test(again, pd.DataFrame(L))
    lean = fit("y ~ visit + x", trial)
    along = aibmd.wald_test(again, pd.DataFrame({"x": [1.0], "again": [unit]}))
    np.testing.assert_allclose(
        along.to_numpy(), aibmd.wald_test(lean, pd.DataFrame({"x": [1.0]})).to_numpy(), rtol=1e-8
    )


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
@pytest.mark.filterwarnings("ignore:columns that repeat:aibmd.errors.DataWarning")
def test_the_mean_of_rows_that_occur_is_estimable_despite_a_dropped_column(trial, unit):
    lean = fit("y ~ visit + x", trial)
    again = fit("y ~ visit + x + again", trial.assign(again=unit * trial["x"]))
    rows = trial.assign(again=unit * trial["x"]).head(6)
    np.testing.assert_allclose(
        aibmd.predict(again, rows)["estimate"], aibmd.predict(lean, rows)["estimate"], atol=1e-9
    )
    with pytest.raises(NotEstimableError):
        aibmd.predict(again, rows.assign(again=unit * (trial["x"] + 1.0)))
