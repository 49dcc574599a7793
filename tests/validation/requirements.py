"""What the engine has to prove, in the words of its specification, and which tests prove it.

A test belongs to a requirement when its id holds every word of one of the patterns.
"""

from dataclasses import dataclass

REFERENCE = "tests/reference/"
# What `make validate` runs.
SUITES = (
    "tests/reference", "tests/oracle", "tests/properties", "tests/unit/model",
    "tests/unit/inference", "tests/unit/fitting", "tests/unit/means",
)  # fmt: skip


@dataclass(frozen=True)
class Requirement:
    """One line of the report."""

    id: str
    wording: str
    patterns: tuple[str, ...]

    def holds(self, test):
        return any(all(word in test for word in pattern.split()) for pattern in self.patterns)


REQUIREMENTS = (
    Requirement(
        "oracle",
        "A dense textbook engine checks likelihood, score, information, Satterthwaite and "
        "Kenward-Roger for every structure, product, group and G + R combination",
        ("test_criteria_against_oracle", "test_engine_against_oracle", "model/test_likelihood"),
    ),
    Requirement(
        "oracle-itself",
        "The dense engine is itself held against closed forms, laws, R and mmrm's parameters",
        ("oracle/test_dense", "test_oracle_in_two_languages", "test_textbook_covariances"),
    ),
    Requirement(
        "polished",
        "Polished optima of direct.R and dense.R: to the last digits, all structures, groups, "
        "weights, random effects, residual structures, products; Kenward-Roger of both orders",
        ("test_polished_against_engine", "test_fit_against_peers calcium",
         "test_fit_against_peers bmd_like", "test_fit_against_peers two_visits",
         "test_fit_against_peers negative_correlation", "test_fit_against_peers random_intercept",
         "test_fit_against_peers one_visit", "test_fit_against_peers sleep",
         "test_fit_against_peers empty_cell"),
    ),
    Requirement(
        "mmrm",
        "Tight mmrm fits: log-likelihood 1e-6, estimates 1e-5 SE, SE and df 1e-5 relative for "
        "the same definition",
        ("test_mmrm_against_peers", "test_fit_against_peers mmrm", "test_means_against_peers mmrm"),
    ),
    Requirement(
        "lme4",
        "lme4 with lmerTest and pbkrtest: log-likelihood 1e-6, estimates 1e-5 SE, SE and df 1e-5 "
        "relative for the same definition and the same information",
        ("test_lme4", "test_lmertest", "test_slopes_of", "_equal_lmertest_and_pbkrtest"),
    ),
    Requirement(
        "sandwich",
        "Sandwich CR0, CR2 (symmetric root, as mmrm), CR3 with Bell-McCaffrey df: 1e-6",
        ("test_sandwiches_against_peers", "test_mmrm_against_peers -CR", "test_polished -CR"),
    ),
    Requirement("nlme", "nlme: 1e-4", ("test_nlme",)),
    Requirement("glmmtmb", "glmmTMB: log-likelihood only", ("test_glmmtmb",)),
    Requirement(
        "sas",
        "SAS PROC MIXED only against printed listings, to the printed digits, as far as SAS "
        "itself converged",
        ("test_sas_against_engine",),
    ),
    Requirement(
        "exact",
        "Balanced designs: Kenward-Roger returns the exact tests of the mean squares; paired and "
        "two-sample tests are those of t.test and lm",
        ("test_exact_against_engine", "analysis_of_covariance_of_lm", "the_f_of_lm",
         "paired_t_test", "test_balanced_designs"),
    ),
    Requirement(
        "products",
        "Products for a second repeated factor: un@un un@ar1 un@cs un@sp_exp and un over all cells",
        ("test_polished products-", "test_criteria_against_oracle @"),
    ),
    Requirement(
        "groups",
        "group= gives each level its own covariance parameters",
        ("by_arm", "test_criteria_against_oracle arm", "_group_"),
    ),
    Requirement(
        "random-effects",
        "Random intercept, slopes, diagonal or full G, nested groups, with or without a residual "
        "structure, residual variance by group",
        ("random_slopes-", "residual_structures-", "test_random_effects"),
    ),
    Requirement(
        "weights",
        "Precision weights and sampling weights",
        ("weights", "weighted", "test_sampling_weights"),
    ),
    Requirement(
        "boundary",
        "converged and singular are separate and certified: zero variances and correlations of "
        "one are maxima on the boundary",
        ("test_boundary",),
    ),
    Requirement(
        "hard-designs",
        "Rank deficiency, visits never observed or never together, one subject, constant "
        "outcomes, perfect fit, visit SDs far apart: each works, or says what is wrong",
        ("test_hard_designs", "test_empty_cell", "test_fallback"),
    ),
    Requirement(
        "laws",
        "Laws: units, row order, relabelling, reference level, splitting a factor, subjects "
        "without outcomes, weights of one, weights times k, copies of every subject",
        ("tests/properties/",),
    ),
    Requirement(
        "forms",
        "Per-subject computation: three forms of one likelihood agree",
        ("test_forms_of_the_likelihood",),
    ),
    Requirement(
        "tests-of-terms",
        "Type II and III tests independent of the user's coding",
        ("test_anova", "type_three", "test_terms_to_fifteen_digits", "test_type_three_basis"),
    ),
    Requirement(
        "means",
        "emmeans with equal, proportional and counterfactual weights, at=, emtrends, contrasts; "
        "adjustments none, holm, bonferroni, bh, tukey, dunnett, mvt",
        ("test_means_", "tests/unit/means/", "test_mmrm_against_peers means"),
    ),
    Requirement(
        "intervals",
        "Profile and Wald intervals for variance parameters, likelihood-ratio tests",
        ("test_profile", "test_covariance_intervals", "test_likelihood_ratio"),
    ),
    Requirement(
        "influence",
        "Leave-one-subject-out influence, compared with true refits",
        ("test_influence",),
    ),
    Requirement(
        "prediction",
        "Prediction, conditional modes with conditional covariance, residuals, simulation",
        ("fitting/test_predict", "fitting/test_residuals", "fitting/test_random_effects",
         "fitting/test_simulate", "conditional_modes"),
    ),
    Requirement(
        "stored-numbers",
        "The stored numbers hang together, and peers agree where they should",
        ("test_stored_numbers",),
    ),
)  # fmt: skip

NOT_COMPARED = (
    ("`mmrm_spatial`, SAS `sp_exp2`: two coordinates", "our times have one dimension"),
    ("mmrm's second-order Kenward-Roger standard errors and F",
     "the second-order term is in the parameters of the program; ours are SAS's: see dense.R"),
    ("SAS's second order for `sp_exp`", "SAS takes second derivatives in the range, we in rho"),
    ("clubSandwich's CR2", "another root; ours is mmrm's and dense.R's, a test says they differ"),
    ("SAS's df with `WEIGHT`", "350 where mmrm, nlme and we have 147 for the same mean"),
    ("SAS's joint Satterthwaite df", "another basis of the hypothesis: see the README"),
    ("SAS's between-within df of the intercept and of means",
     "SAS counts the intercept between subjects, R mmrm and we within"),
    ("SAS coefficients of the weighted listing", "coded against VIS4; its means are compared"),
    ("Inference of nlme", "its df are not those of any method here"),
    ("glmmTMB beyond the log-likelihood", "its standard errors ignore the restricted likelihood"),
    ("lme4's and nlme's AIC and BIC of marginal models", "other counts; with random effects equal"),
    ("`lme_rs_ar1` of nlme beyond the log-likelihood", "nlme stops below the boundary optimum"),
    ("Type III main effects with an empty cell", "a matter of definition; the rest is compared"),
)  # fmt: skip
