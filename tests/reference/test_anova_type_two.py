"""Type II tables against lmerTest (Satterthwaite) and pbkrtest (Kenward-Roger)."""

import numpy as np
import pandas as pd
import pytest
import stored
import stored_files

import aibmd

MODELS = stored.load("anova_type_two")["models"]
# Relative. lmerTest differentiates numerically twice; its df carry about six digits.
LMERTEST_DF = 1e-4
# Relative, F: as peers stop, see PEER_STATISTIC.
STATISTIC = 1e-5
INFORMATION = {"satterthwaite": "observed", "kenward_roger": "expected"}


def fitted(model, df_method):
    factors = tuple((name, tuple(stored_files.listed(v))) for name, v in model["factors"].items())
    data = stored_files.read_data(model["data"], "", factors)
    return aibmd.fit_lmm(
        model["formula"], data.dropna(subset=[model["formula"].split(" ~ ")[0]]),
        subject=model["subject"], random=model["random"], df_method=df_method,
        information=INFORMATION[df_method],
    )  # fmt: skip


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("key", MODELS)
def test_type_two_table_of_lmer_test(key, df_method):
    model = MODELS[key]
    fit = fitted(model, df_method)
    # Restricted likelihoods depend on the coding of X.
    assert fit.llf == pytest.approx(model["treatment"]["loglik"], abs=1e-6)
    got = aibmd.anova(fit, type="II")
    want = pd.DataFrame(model["sum_to_zero"][df_method])
    order = [stored.position(term, list(want["term"])) for term in got["term"]]
    want = want.iloc[order].reset_index(drop=True)
    assert got["df_num"].tolist() == want["df_num"].tolist()
    np.testing.assert_allclose(got["statistic"], want["statistic"], rtol=STATISTIC)
    np.testing.assert_allclose(got["df_denom"], want["df_denom"], rtol=LMERTEST_DF)
    np.testing.assert_allclose(np.log(got["p_value"]), np.log(want["p_value"]), rtol=1e-4)


@pytest.mark.parametrize("key", MODELS)
def test_kenward_roger_of_the_peer_is_free_of_its_coding(key):
    """So ours needs one comparison; its Satterthwaite df are of the basis, which coding sets."""
    by_sum, by_treatment = (
        pd.DataFrame(MODELS[key][coding]["kenward_roger"])
        for coding in ("sum_to_zero", "treatment")
    )
    np.testing.assert_allclose(by_sum["statistic"], by_treatment["statistic"], rtol=1e-5)
    np.testing.assert_allclose(by_sum["df_denom"], by_treatment["df_denom"], rtol=1e-5)
