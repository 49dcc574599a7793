"""The README's table of what other Python packages return, held against the stored numbers."""

import numpy as np
import pytest
import stored

STORED = stored.load("python_packages")["models"]


def polished(key):
    return stored.load_model("random_slopes", key)


def test_versions_are_those_of_the_readme():
    text = (stored.HERE / "README.md").read_text(encoding="utf-8")
    for name, version in stored.load("python_packages")["meta"]["packages"].items():
        assert name == "numpy" or f"{name} {version}" in text


@pytest.mark.parametrize("key", STORED)
@pytest.mark.parametrize("package", ["mixedlm", "mixedlm-rs"])
def test_two_packages_reach_the_optimum(package, key):
    assert STORED[key][package]["loglik"] == pytest.approx(polished(key).loglik, abs=1e-7)


def test_bmd_scale_slopes_stop_far_below_the_optimum_and_say_converged():
    best = polished("irregular_rs_reml").loglik
    without_slopes = polished("irregular_ri_reml").loglik
    found = STORED["irregular_rs_reml"]
    assert (found["statsmodels"]["converged"], found["lme-python"]["converged"]) == (True, True)
    assert found["statsmodels"]["loglik"] == pytest.approx(496.10, abs=0.005)
    assert found["statsmodels"]["loglik"] < without_slopes < best - 14
    assert found["lme-python"]["loglik"] == pytest.approx(503.92, abs=0.01)
    assert found["lme-python"]["warnings"] == []
    assert (
        found["lme-python"]["variances"][1][3] < 1e-7 < polished("irregular_rs_reml").theta.iloc[2]
    )


def test_standard_errors_there_are_off_by_a_third_and_more():
    right = polished("irregular_rs_reml").block("satterthwaite", information="observed")
    right = right.table("coefficients").set_index("name")["se"]
    found = STORED["irregular_rs_reml"]
    statsmodels = dict(zip(found["statsmodels"]["names"], found["statsmodels"]["se"], strict=True))
    assert statsmodels["time"] / right["time"] == pytest.approx(1.81, abs=0.01)
    lme = dict(zip(found["lme-python"]["names"], found["lme-python"]["se"], strict=True))
    assert lme["arm:timeplacebo:"] / right["armactive:time"] == pytest.approx(0.657, abs=0.001)


def test_statsmodels_misses_orthodont_and_says_so():
    found = STORED["orthodont_rs_reml"]["statsmodels"]
    assert not found["converged"]
    assert polished("orthodont_rs_reml").loglik - found["loglik"] == pytest.approx(1.373, abs=0.001)


@pytest.mark.parametrize("key", STORED)
def test_kenward_roger_of_mixedlm_is_satterthwaite(key):
    found = STORED[key]["mixedlm"]
    assert found["df"]["kenward_roger"] == found["df"]["satterthwaite"]
    assert found["se"]["kenward_roger"] == found["se"]["satterthwaite"]


def test_kenward_roger_of_the_unbalanced_sleepstudy():
    right = polished("sleepstudy_unbalanced_rs_reml").block("kenward_roger", information="expected")
    right = right.table("coefficients").set_index("name").loc["days"]
    assert (round(right["df"], 2), round(right["se"], 4)) == (16.07, 1.8304)
    found = STORED["sleepstudy_unbalanced_rs_reml"]
    assert found["mixedlm"]["df"]["kenward_roger"]["days"] == pytest.approx(14.78, abs=0.005)
    assert found["mixedlm"]["se"]["kenward_roger"]["days"] == pytest.approx(1.8200, abs=5e-5)
    lme = found["lme-python"]
    assert lme["df"]["kenward_roger"][1] == pytest.approx(right["df"], rel=1e-4)
    np.testing.assert_array_equal(lme["se_after"]["kenward_roger"], lme["se"])
    assert lme["se"][1] == pytest.approx(1.8204, abs=5e-5)
