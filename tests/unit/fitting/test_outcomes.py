"""Many outcomes at once give what each gives alone."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import AibmdError
from aibmd.fitting import outcomes as module


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(8)
    n, m = 40, 4
    made = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), m),
            "visit": np.tile(list("abcd"), n),
            "group": np.repeat(rng.choice(["x", "z"], n), m),
            "y": (rng.normal(size=(n, 1)) + rng.normal(size=(n, m))).ravel(),
        }
    )
    return made[rng.uniform(size=len(made)) > 0.2].reset_index(drop=True)


def fit(table, covariance="un", method="reml"):
    return aibmd.fit_mmrm(
        "y ~ group * visit",
        table,
        subject="who",
        visit="visit",
        covariance=covariance,
        method=method,
        df_method="satterthwaite",
    )


def draws(table, n, seed=1):
    rng = np.random.default_rng(seed)
    level = rng.normal(size=(table["who"].max() + 1, n))[table["who"]]
    return 100.0 + level + rng.normal(size=(len(table), n))


@pytest.mark.parametrize("method", ["reml", "ml"])
@pytest.mark.parametrize("covariance", ["un", "cs", "toep"])
def test_every_outcome_has_its_own_fit(table, covariance, method):
    Y = draws(table, 7)
    found = aibmd.fit_outcomes(fit(table, covariance, method), Y)
    assert len(found) == 7
    for b in range(7):
        alone = fit(table.assign(y=Y[:, b]), covariance, method)
        np.testing.assert_allclose(found.estimate[b], alone.params, rtol=1e-9)
        np.testing.assert_allclose(found.std_error[b], alone.bse, rtol=1e-7)
        np.testing.assert_allclose(found.df[b], alone.df, rtol=1e-6)
        np.testing.assert_allclose(found.theta[b], alone.covariance_parameters, rtol=1e-6)
        assert found.log_likelihood[b] == pytest.approx(alone.llf, abs=1e-8)
        assert found.converged[b] == alone.converged


def test_how_outcomes_are_batched_is_of_no_matter(table, monkeypatch):
    Y, model = draws(table, 9), fit(table)
    whole = aibmd.fit_outcomes(model, Y)
    monkeypatch.setattr(module, "_BATCH", 2)
    parts = aibmd.fit_outcomes(model, Y)
    np.testing.assert_allclose(parts.estimate, whole.estimate, rtol=1e-12)
    np.testing.assert_allclose(parts.df, whole.df, rtol=1e-8)


def test_an_outcome_without_a_maximum_stays_in_its_row_as_failed(table):
    Y = draws(table, 3)
    Y[:, 1] = Y[:, 1].mean() + table["who"].to_numpy()  # nothing within a woman
    found = aibmd.fit_outcomes(fit(table), Y)
    assert found.converged.tolist() == [True, False, True]
    assert np.isnan(found.df[1]).all()
    frame = found.to_frame()
    assert len(frame) == found.estimate.size
    assert frame.loc[frame["outcome"] == 1, "converged"].eq(False).all()


def test_a_pair_of_visits_that_nobody_has_is_set_aside_for_all(table):
    early = table["who"] % 2 == 0
    split = table[np.where(early, table["visit"] != "d", table["visit"] != "a")].reset_index()
    with pytest.warns(aibmd.DataWarning, match="no subject has both visits"):
        model = fit(split)
    Y = draws(split, 2)
    found = aibmd.fit_outcomes(model, Y)
    with pytest.warns(aibmd.DataWarning, match="no subject has both visits"):
        alone = fit(split.assign(y=Y[:, 1]))
    np.testing.assert_allclose(found.std_error[1], alone.bse, rtol=1e-7)
    np.testing.assert_allclose(found.df[1], alone.df, rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 2), (0, 0), (5,)])
def test_outcomes_of_another_shape_are_refused(table, shape):
    with pytest.raises(AibmdError, match="outcomes has the shape"):
        aibmd.fit_outcomes(fit(table), np.zeros(shape))


def test_missing_outcomes_are_refused(table):
    Y = draws(table, 2)
    Y[3, 1] = np.nan
    with pytest.raises(AibmdError, match="missing or infinite"):
        aibmd.fit_outcomes(fit(table), Y)


def test_a_model_that_is_not_linear_in_its_covariance_is_refused_with_the_list(table):
    with pytest.raises(AibmdError, match="'un', 'cs' or 'toep'"):
        aibmd.fit_outcomes(fit(table, "ar1"), draws(table, 2))
