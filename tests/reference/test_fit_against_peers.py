"""Fits against mmrm, nlme, lme4, lm, t.test and directly evaluated formulas."""

import compared
import numpy as np
import pandas as pd
import pytest
import stored
from compared import BLOCKS, CASES, agree_case, block_of, fit, largest, limit, relative

blocks = pytest.mark.parametrize(
    ("case_id", "df_method", "information"), BLOCKS, ids=["-".join(b) for b in BLOCKS]
)
cases = pytest.mark.parametrize("case_id", CASES)


def aligned(case, got, names):
    """Our series in the order of the peer's coefficient names."""
    at = [stored.position(stored.formulaic_name(n, case.factors), got.index) for n in names]
    return got.iloc[at].to_numpy()


@cases
def test_log_likelihood(case_id):
    case = CASES[case_id]
    agree_case(case, "LOGLIK", fit(case_id).llf - case.numbers["loglik"])


@cases
def test_fit_is_certified(case_id):
    assert fit(case_id).converged
    assert not fit(case_id).singular


@cases
def test_rows_and_subjects(case_id):
    case = CASES[case_id]
    assert (fit(case_id).n_obs, fit(case_id).n_subjects) == (
        case.numbers["n_obs"],
        case.numbers["n_subjects"],
    )


@cases
def test_covariance_elements(case_id):
    case = CASES[case_id]
    want = np.array(case.numbers["cov"] if case.exact else case.numbers["cov"]["values"])
    got = fit(case_id).covariance
    assert [str(v) for v in got.index] == case.factors.get(case.visit)
    agree_case(case, "COVARIANCE", (got.to_numpy() - want) / largest(want))


@blocks
def test_estimates_in_standard_errors(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("coefficients")
    got = aligned(case, fit(case_id, df_method, information).params, want["name"])
    agree_case(case, "ESTIMATE_IN_SE", (got - want["estimate"]) / want["se"])


@blocks
def test_standard_errors(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("coefficients")
    got = aligned(case, fit(case_id, df_method, information).bse, want["name"])
    agree_case(case, "SE", relative(got, want["se"]))


@pytest.mark.parametrize("case_id", [i for i, c in CASES.items() if c.exact])
def test_coefficient_covariance(case_id):
    """Before any adjustment; each element beside its two variances."""
    case = CASES[case_id]
    want = np.atleast_2d(case.numbers["vcov"])
    names = case.blocks[0].table("coefficients")["name"]
    index = fit(case_id).params.index
    at = [stored.position(stored.formulaic_name(n, case.factors), index) for n in names]
    got = fit(case_id).cov_params().to_numpy()[np.ix_(at, at)]
    sd = np.sqrt(np.diagonal(want))
    words = compared.WORDS["VCOV"]
    difference = largest((got - want) / np.outer(sd, sd))
    compared.agree("direct.R", words, difference, 2 * compared.tol.EXACT_SE)


@blocks
def test_degrees_of_freedom(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("coefficients")
    got = aligned(case, fit(case_id, df_method, information).df, want["name"])
    agree_case(case, "DF", relative(got, want["df"]))


@blocks
def test_p_values(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("coefficients")
    got = aligned(case, fit(case_id, df_method, information).pvalues, want["name"])
    seen = want["p"] > 1e-300
    agree_case(case, "P_VALUE", relative(got[seen], want["p"][seen]))


@blocks
def test_coefficient_covariance_is_the_matrix_the_tests_used(case_id, df_method, information):
    result = fit(case_id, df_method, information)
    assert relative(np.sqrt(np.diag(result.cov_params())), result.bse) <= 1e-12


@pytest.mark.parametrize("case_id", [i for i, c in CASES.items() if not c.exact])
def test_information_criteria_follow_mmrm(case_id):
    case = CASES[case_id]
    assert largest(fit(case_id).aic - case.numbers["aic"]) <= 2 * limit(case, "LOGLIK")
    assert largest(fit(case_id).bic - case.numbers["bic"]) <= 2 * limit(case, "LOGLIK")


def test_one_visit_is_the_analysis_of_covariance_of_lm():
    case = CASES["one_visit-ancova_un_reml"]
    lm = case.numbers["lm"]
    want = pd.DataFrame(lm["coefficients"])
    result = fit(case.id)
    assert result.llf == pytest.approx(lm["loglik_reml"], abs=limit(case, "LOGLIK"))
    assert result.covariance.iloc[0, 0] == pytest.approx(lm["sigma2"], rel=1e-9)
    np.testing.assert_allclose(aligned(case, result.bse, want["name"]), want["se"], rtol=1e-9)
    np.testing.assert_allclose(result.df, lm["df"], rtol=1e-9)


@pytest.mark.parametrize("df_method", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("structure", ["un", "cs"])
def test_complete_pairs_are_the_paired_t_test(structure, df_method):
    case = CASES[f"sleep-{structure}_reml"]
    want = case.numbers["paired_t"]
    result = fit(case.id, df_method)
    assert result.params.iloc[1] == pytest.approx(want["estimate"], rel=1e-9)
    assert result.bse.iloc[1] == pytest.approx(want["se"], rel=1e-9)
    assert result.df.iloc[1] == pytest.approx(want["df"], rel=1e-7)
    assert result.pvalues.iloc[1] == pytest.approx(want["p"], rel=1e-7)


@pytest.mark.parametrize("case_id", [i for i in CASES if i.startswith("random_intercept")])
@pytest.mark.parametrize(
    ("key", "df_method", "information"),
    [
        ("satterthwaite_observed", "satterthwaite", "observed"),
        ("kenward_roger_expected", "kenward_roger", "expected"),
    ],
)
def test_cs_is_the_random_intercept_of_lme4(case_id, key, df_method, information):
    case = CASES[case_id]
    want = pd.DataFrame(case.numbers["lmer"][key])
    result = fit(case_id, df_method, information)
    assert result.llf == pytest.approx(case.numbers["lmer"]["loglik"], abs=limit(case, "LOGLIK"))
    assert relative(aligned(case, result.bse, want["name"]), want["se"]) <= compared.tol.PEER_SE
    assert relative(aligned(case, result.df, want["name"]), want["df"]) <= compared.tol.PEER_DF


def test_negative_correlation_is_found_where_a_random_intercept_says_zero():
    covariance = fit("negative_correlation-cs_reml").covariance
    assert covariance.iloc[0, 1] < -0.1 * covariance.iloc[0, 0]
