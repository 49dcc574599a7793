"""CR0 and CR3 against clubSandwich; its CR2 has another root, ours is that of mmrm and dense.R."""

import model_comparison as mc
import numpy as np
import pandas as pd
import peer_fits
import pytest
import stored

PEER = "clubSandwich"
CASES = [(k, v) for k in stored.model_keys("sandwiches") for v in ("CR0", "CR3")
        ]  # fmt: skip


@pytest.mark.parametrize(("key", "vcov"), CASES, ids=["-".join(c) for c in CASES])
def test_clubsandwich(key, vcov):
    model = stored.load_model("sandwiches", key)
    stored_one = model.numbers["clubsandwich"][vcov]
    fit = peer_fits.fit("sandwiches", key, "satterthwaite", "observed", vcov)
    table = pd.DataFrame(stored_one["coefficients"])
    mc.compare_coefficients(f"{PEER} {vcov}", "SANDWICH", model, fit, table)
    mc.compare_vcov(
        f"{PEER} {vcov}", "SANDWICH", model, fit, np.array(stored_one["vcov"]), table["name"]
    )


@pytest.mark.parametrize("vcov", ["CR0", "CR3"])
def test_clubsandwich_on_the_unstructured_model(vcov):
    """On nlme's optimum, which is 1e-7 of the log-likelihood short."""
    want = stored.load("fev")["models"]["clubsandwich_us"]["vcov"][vcov]
    model = stored.load_model("fev", "mmrm_us_reml")
    fit = peer_fits.fit("fev", "mmrm_us_reml", "satterthwaite", "observed", vcov)
    mc.compare_vcov(PEER + " on gls", "NLME", model, fit, np.array(want["values"]), want["cols"])


def test_the_other_root_of_clubsandwich_is_not_ours():
    """So that nobody takes its CR2 for a reference: standard errors differ by 1e-4."""
    model = stored.load_model("sandwiches", "irregular_rs")
    fit = peer_fits.fit("sandwiches", "irregular_rs", "satterthwaite", "observed", "CR2")
    want = pd.DataFrame(model.numbers["clubsandwich"]["CR2"]["coefficients"])
    at = mc.positions(model, fit, want["name"])
    assert 1e-6 < mc.relative(fit.bse.iloc[at], want["se"]) < 1e-3
