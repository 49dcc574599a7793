"""A pre-specified path of covariances: left on a failed certificate and on nothing else."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import ConvergenceError


def trial(n, m, seed=4):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, m))
    return pd.DataFrame(
        {
            "who": np.repeat(np.arange(n), m),
            "visit": np.tile([f"v{j}" for j in range(m)], n),
            "y": y.ravel(),
        }
    )


def fit(table, covariance):
    return aibmd.fit_mmrm("y ~ visit", table, subject="who", visit="visit", covariance=covariance)


def test_the_first_is_kept_where_it_is_certified_however_good_the_others():
    """Equal variances and correlations: cs has the better AIC, and is not asked."""
    table = trial(80, 4)
    found = fit(table, ["un", "cs"])
    assert found.choice.text == "un"
    assert fit(table, "cs").aic < found.aic
    assert [attempt.covariance for attempt in found.attempts] == ["un"]


def test_too_few_women_for_un_lead_to_the_next_with_the_reason_on_record():
    found = fit(trial(4, 5), ["un", "toeph", "ar1"])
    tried = [attempt.covariance for attempt in found.attempts]
    assert tried[0] == "un"
    assert len(tried) > 1
    assert found.choice.text == tried[-1]
    assert found.attempts[-1].converged
    assert not found.attempts[0].converged
    assert found.attempts[0].messages
    assert "left, because" in found.summary()
    assert f"{tried[-1]}: certified" in found.summary()
    assert found.glance()["covariance"].item() == tried[-1]


def test_a_path_and_its_end_give_the_same_numbers():
    table = trial(4, 5)
    by_path = fit(table, ["un", "cs"])
    alone = fit(table, "cs")
    assert by_path.choice.text == "cs"
    pd.testing.assert_frame_equal(by_path.tidy(), alone.tidy())


def test_a_path_without_a_certified_fit_is_an_error_that_tells_every_step():
    table = trial(3, 3)
    table["y"] = table.groupby("who")["y"].transform("mean")  # nothing within a woman
    with pytest.raises(ConvergenceError, match=r"(?s)no covariance of the list.*1\. un.*2\. cs"):
        fit(table, ["un", "cs"])
