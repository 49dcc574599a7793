"""Grid, weights and contrasts against R emmeans (reference/scripts/means_lm.R)."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aibmd.means import contrast, emmeans
from aibmd.vocabulary import ESTIMATE_COLUMNS

STORED = Path(__file__).resolve().parents[2] / "reference" / "peers" / "means_lm.json"
CASES = json.loads(STORED.read_text(encoding="utf-8"))["cases"]
# Two least-squares solvers on the same well-conditioned design; p-values are relative too.
RTOL = 1e-8


def python_formula(text):
    return text.replace("fev1_bl^2", "fev1_bl**2")


@pytest.fixture(scope="module")
def fitted(ols, fev, empty_cell):
    data = {"fev": fev, "empty_cell": empty_cell}
    return {name: ols(python_formula(c["formula"]), data[c["data"]]) for name, c in CASES.items()}


def means_of(case, fit):
    at = {k: v if isinstance(v, list) else [v] for k, v in (case.get("at") or {}).items()}
    return emmeans(fit, case["over"], case["by"], at=at or None, weights=case["weights"])


def assert_same(found, stored):
    stored = pd.DataFrame(stored)
    labels = [name for name in stored.columns if name not in ESTIMATE_COLUMNS]
    for name in labels:
        # R writes covariate values into labels as fev1_bl30, here fev1_bl=30
        assert [str(v).replace("=", "") for v in found[name]] == [str(v) for v in stored[name]]
    for name in ESTIMATE_COLUMNS:
        expected = stored[name].astype(float)
        # p-values of means near 40 SE from zero lose digits in any program
        rtol = 1e-5 if name == "p_value" else RTOL
        np.testing.assert_allclose(found[name], expected, rtol=rtol, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("name", CASES)
def test_marginal_means_are_those_of_r(name, fitted):
    means = means_of(CASES[name], fitted[name])
    assert_same(means.to_frame(), CASES[name]["means"])


@pytest.mark.parametrize(
    ("name", "method"), [(n, m) for n, c in CASES.items() for m in c["contrasts"]]
)
def test_contrasts_are_those_of_r(name, method, fitted):
    case = CASES[name]
    found = contrast(means_of(case, fitted[name]), method, adjust=case["adjust"])
    assert_same(found.to_frame(), case["contrasts"][method])


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if "again" in c])
def test_contrasts_of_contrasts_are_those_of_r(name, fitted):
    again = CASES[name]["again"]
    first = contrast(means_of(CASES[name], fitted[name]), again["first"])
    second = contrast(first, again["method"], by=again["by"]).to_frame()
    assert list(second.iloc[:, 0]) == again["labels"]
    assert_same(second, again["table"])
