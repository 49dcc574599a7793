"""Fitting: `fit_mmrm`, what it returns, and the verbs that take a fit."""

from aibmd.fitting.anova import anova
from aibmd.fitting.bootstrap import BootstrapResult, bootstrap
from aibmd.fitting.covariance_intervals import covariance_intervals
from aibmd.fitting.crosscheck import crosscheck
from aibmd.fitting.explained_variance import icc, r_squared
from aibmd.fitting.influence import SubjectInfluence, influence
from aibmd.fitting.likelihood_ratio import LikelihoodRatioTest, likelihood_ratio_test
from aibmd.fitting.lmm import fit_lmm
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.mmrm import fit_mmrm
from aibmd.fitting.outcomes import OutcomeFits, fit_outcomes
from aibmd.fitting.predict import predict
from aibmd.fitting.random_effects import random_effects_covariance
from aibmd.fitting.residuals import residuals
from aibmd.fitting.simulate import simulate_response
from aibmd.fitting.wald import wald_test

__all__ = [
    "BootstrapResult",
    "LikelihoodRatioTest",
    "MixedFit",
    "OutcomeFits",
    "SubjectInfluence",
    "anova",
    "bootstrap",
    "covariance_intervals",
    "crosscheck",
    "fit_lmm",
    "fit_mmrm",
    "fit_outcomes",
    "icc",
    "influence",
    "likelihood_ratio_test",
    "predict",
    "r_squared",
    "random_effects_covariance",
    "residuals",
    "simulate_response",
    "wald_test",
]
