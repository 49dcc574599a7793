"""Tails of t and F, with their digits kept."""

import numpy as np
from scipy.special import fdtrc, stdtr

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import FloatArray


def check_conf_level(conf_level: float) -> None:
    """Refuse a level that is no probability; 95 is meant as 0.95."""
    if not 0.0 < conf_level < 1.0:
        raise AibmdError(f"the level {conf_level!r} is not between 0 and 1; 95 % is 0.95")


def compute_t_p_value(statistic: FloatArray, df: FloatArray) -> FloatArray:
    """Two-sided, from the tail, so that small values keep their digits."""
    return np.asarray(2.0 * stdtr(df, -np.abs(statistic)), dtype=float)


def compute_f_p_value(statistic: float, df_num: float, df_denom: float) -> float:
    """Upper tail of F; infinite df_denom is the chi-square limit."""
    if np.isinf(df_denom):
        from scipy.special import chdtrc

        return float(chdtrc(df_num, df_num * statistic))
    return float(fdtrc(df_num, df_denom, statistic))
