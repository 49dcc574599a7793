"""Fitting: `fit_mmrm`, what it returns, and the verbs that take a fit."""

from aibmd.fitting.anova import anova
from aibmd.fitting.crosscheck import crosscheck
from aibmd.fitting.lmm import fit_lmm
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.mmrm import fit_mmrm
from aibmd.fitting.outcomes import OutcomeFits, fit_outcomes
from aibmd.fitting.predict import predict
from aibmd.fitting.wald import wald_test

__all__ = [
    "MixedFit",
    "OutcomeFits",
    "anova",
    "crosscheck",
    "fit_lmm",
    "fit_mmrm",
    "fit_outcomes",
    "predict",
    "wald_test",
]
