"""Inference: from a fitted engine to estimates, standard errors, degrees of freedom and tests."""

from aibmd.inference.build import build_inference
from aibmd.inference.coefficients import CoefficientInference, FTest
from aibmd.inference.distributions import check_conf_level, compute_t_p_value
from aibmd.inference.estimates import LinearEstimates
from aibmd.inference.multiplicity import adjust_p_values, check_adjustment
from aibmd.inference.options import DF_METHODS, DF_TITLES, VCOV_TITLES

__all__ = [
    "DF_METHODS",
    "DF_TITLES",
    "VCOV_TITLES",
    "CoefficientInference",
    "FTest",
    "LinearEstimates",
    "adjust_p_values",
    "build_inference",
    "check_adjustment",
    "check_conf_level",
    "compute_t_p_value",
]
