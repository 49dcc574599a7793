"""Where statsmodels' MixedLM can express a model it finds ours; elsewhere the reason is said."""

import dataclasses
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import MissingExtraError, SingularFitWarning
from aibmd.fitting.crosscheck import crosscheck

DATA = Path(__file__).resolve().parents[2] / "reference" / "data"


@pytest.fixture(scope="module")
def trial():
    table = make_trial(3, 40, 3)
    level = np.random.default_rng(4).normal(size=40)  # so that visits of a subject go together
    return table.assign(y=table["y"] + 2.0 * level[table["who"]])


@pytest.fixture(scope="module")
def scans():
    return pd.read_csv(DATA / "irregular.csv")


@pytest.fixture(scope="module")
def slopes(scans):
    return aibmd.fit_lmm("bmd ~ arm * time", scans, subject="subject", random="1 + time")


@pytest.mark.parametrize("method", ["reml", "ml"])
def test_random_slopes_on_the_scale_of_bmd_agree(method, scans):
    found = crosscheck(
        aibmd.fit_lmm(
            "bmd ~ arm * time", scans, subject="subject", random="1 + time", method=method
        )
    )
    assert found.agrees
    table = found.to_frame()
    assert table["quantity"].value_counts().to_dict() == {
        "estimate": 4,
        "std_error": 4,
        "covariance": 4,
        "log-likelihood": 2,
    }
    # Its formula at our estimates is ours; its own maximum is as high, and no higher.
    assert table["difference"].iloc[:2].abs().max() < 1e-6
    assert table["difference"].abs().max() < 1e-5


def test_compound_symmetry_is_a_random_intercept(trial):
    made = fit("y ~ arm * visit", trial, covariance="cs", df_method="satterthwaite")
    found = crosscheck(made)
    assert found.agrees
    table = found.to_frame().query("quantity == 'covariance'")
    assert table["name"].tolist() == ["variance", "covariance"]
    np.testing.assert_allclose(table["mixedlm"], made.covariance_parameters, rtol=1e-4)


def test_standard_errors_compared_are_model_based_under_any_vcov(trial):
    tables = [
        crosscheck(fit("y ~ arm + visit", trial, covariance="cs", **options)).to_frame()
        for options in ({}, {"vcov": "CR2"}, {"df_method": "normal"})
    ]
    assert len(tables[0]) == 2 + 4 + 4 + 2
    pd.testing.assert_frame_equal(tables[0], tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2])


def test_the_unit_of_the_response_changes_no_difference(scans, slopes):
    in_mg = aibmd.fit_lmm(
        "bmd ~ arm * time", scans.assign(bmd=1000 * scans["bmd"]), subject="subject",
        random="1 + time",
    )  # fmt: skip
    ours, theirs = (crosscheck(made).to_frame()["difference"] for made in (slopes, in_mg))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_wrong_estimate_standard_error_or_covariance_does_not_agree(slopes):
    inference, engine = slopes.inference, slopes.engine
    wrong = [
        {"inference": dataclasses.replace(inference, beta=inference.beta * 1.001)},
        {"inference": dataclasses.replace(inference, Phi=inference.Phi * 1.01)},
        {"engine": dataclasses.replace(engine, theta=engine.theta * 1.01)},
        {"engine": dataclasses.replace(engine, loglik=engine.loglik + 1e-3)},
    ]
    for change in wrong:
        found = crosscheck(dataclasses.replace(slopes, **change))
        assert found.agrees is False
        assert "differs" in found.summary()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"covariance": "un"}, "no covariance of the errors, such as 'un' (unstructured)"),
        ({"covariance": "ar1"}, "'ar1'"),
        ({"covariance": "cs", "group": "arm"}, "no group"),
        ({"covariance": "cs", "weights": "w"}, "no weights"),
        ({"covariance": "cs", "sampling_weights": "s", "vcov": "CR0"}, "no sampling weights"),
    ],
)
def test_what_mixed_lm_cannot_express_is_named(options, reason, trial):
    weighted = trial.assign(w=1.0 + (trial["x"] > 0), s=1.0 + (trial["base"] > 0))
    found = crosscheck(fit("y ~ arm + visit", weighted, **options))
    assert not found.is_expressible
    assert found.agrees is None
    assert reason in found.reason
    assert found.to_frame().empty
    assert found.summary().startswith("Crosscheck with statsmodels MixedLM: not expressible")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"random": "1 + time", "random_covariance": "diagonal"}, "at zero"),
        ({"random": "1", "residual_group": "scanner"}, "no residual group"),
        ({"random": {"subject": "1", "subject:scanner": "1"}}, "nested"),
        ({"random": "1", "residual": "sp_exp", "time": "time"}, "residual='sp_exp'"),
    ],
)
def test_random_effects_that_mixed_lm_cannot_express_are_named(options, reason, scans):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        made = aibmd.fit_lmm("bmd ~ arm + time", scans, subject="subject", **options)
    assert reason in crosscheck(made).reason


def test_a_negative_covariance_is_no_random_intercept():
    table = pd.read_csv(DATA / "negative_correlation.csv")
    response = table.columns[-1]
    made = aibmd.fit_mmrm(
        f"{response} ~ visit", table, subject="subject", visit="visit", covariance="cs"
    )
    assert made.covariance_parameters["covariance"] < 0
    assert "negative covariance" in crosscheck(made).reason


def test_coefficients_of_zero_at_a_variance_of_zero_are_not_compared():
    table = pd.read_csv(DATA / "dyestuff2.csv")
    with pytest.warns(SingularFitWarning):
        made = aibmd.fit_lmm("yield ~ 1", table,
                             subject="batch", random="1", df_method="normal")  # fmt: skip
    found = crosscheck(made)
    assert found.is_expressible
    assert found.agrees is None
    assert found.differences == ()
    assert "no comparison" in found.summary()
    assert "10239" in found.summary()


def test_without_statsmodels_the_error_names_the_command(slopes, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aibmd\[stats\]'"):
        crosscheck(slopes)


def test_what_cannot_be_expressed_needs_no_statsmodels(trial, monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    assert not crosscheck(fit("y ~ arm + visit", trial)).is_expressible


def test_it_prints_and_cannot_be_changed(slopes):
    found = crosscheck(slopes)
    assert repr(found) == found.summary()
    assert "log-likelihood" in repr(found)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.reason = "changed"
