"""Adjusted p-values and simultaneous limits of families of tests: one table of rules."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtrit

from aibmd.errors import AibmdError, MissingExtraError
from aibmd.linalg.symmetric import BoolArray, FloatArray

# Our word -> that of statsmodels.
STEPWISE: Final = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh"}


@dataclass(frozen=True, slots=True)
class HypothesisFamily:
    """Estimable members of one family.

    Attributes
    ----------
    statistic, df, p_value : (r,) arrays
        Each t, its own df, and its unadjusted p.
    vcov : (r, r) array
        Of the estimates; only their correlation matters.
    n_means : int
        Number of means that the members compare.
    """

    statistic: FloatArray
    df: FloatArray
    p_value: FloatArray
    vcov: FloatArray
    n_means: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """How one rule adjusts p-values, and the t that its limits use (None: unadjusted)."""

    title: str
    adjust: Callable[[HypothesisFamily], FloatArray]
    quantile: Callable[[HypothesisFamily, float], FloatArray] | None = None


def _stepwise(name: str) -> Callable[[HypothesisFamily], FloatArray]:
    return lambda family: adjust_p_values(family.p_value, name)


def _bonferroni_quantile(family: HypothesisFamily, conf_level: float) -> FloatArray:
    return t_quantile(family.df, 1.0 - (1.0 - conf_level) / len(family.df))


def _tukey_tail(family: HypothesisFamily) -> FloatArray:
    from aibmd.inference.largest_t import build_range_t

    distribution = build_range_t(family.n_means)
    return np.array([distribution.compute_tail(t, df) for t, df in _members(family)])


def _tukey_quantile(family: HypothesisFamily, conf_level: float) -> FloatArray:
    from aibmd.inference.largest_t import build_range_t

    distribution = build_range_t(family.n_means)
    return np.array([distribution.find_quantile(conf_level, df) for df in family.df.tolist()])


def _mvt_tail(family: HypothesisFamily) -> FloatArray:
    from aibmd.inference.largest_t import build_multivariate_t

    distribution = build_multivariate_t(_correlate(family.vcov))
    return np.array([distribution.compute_tail(t, df) for t, df in _members(family)])


def _mvt_quantile(family: HypothesisFamily, conf_level: float) -> FloatArray:
    from aibmd.inference.largest_t import build_multivariate_t

    distribution = build_multivariate_t(_correlate(family.vcov))
    return np.array([distribution.find_quantile(conf_level, df) for df in family.df.tolist()])


ADJUSTMENTS: Final[Mapping[str, Adjustment]] = {
    "none": Adjustment("none", lambda family: family.p_value),
    "holm": Adjustment("Holm", _stepwise("holm")),
    "bonferroni": Adjustment("Bonferroni", _stepwise("bonferroni"), _bonferroni_quantile),
    "bh": Adjustment("Benjamini-Hochberg", _stepwise("bh")),
    "tukey": Adjustment("Tukey", _tukey_tail, _tukey_quantile),
    "dunnett": Adjustment("Dunnett", _mvt_tail, _mvt_quantile),
    "mvt": Adjustment("multivariate t", _mvt_tail, _mvt_quantile),
}


def check_adjustment(adjust: str) -> None:
    """Refuse an adjustment that is not available, listing those that are."""
    if adjust not in ADJUSTMENTS:
        names = ", ".join(ADJUSTMENTS)
        raise AibmdError(f"adjust={adjust!r} is not available; available: {names}")


def adjust_p_values(p_values: FloatArray, adjust: str) -> FloatArray:
    """Adjust one family from its p-values alone; NaN (not estimable) is no member of it.

    Parameters
    ----------
    p_values : (r,) array
    adjust : "none", "holm", "bonferroni" or "bh"
    """
    check_adjustment(adjust)
    p_values = np.asarray(p_values, dtype=float)
    members = np.isfinite(p_values)
    if adjust == "none" or members.sum() < 2:
        return p_values
    if adjust not in STEPWISE:
        raise AibmdError(
            f"adjust={adjust!r} needs the correlation of the estimates, not p-values alone; pass "
            f"it to contrast()"
        )
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise MissingExtraError.for_extra("statsmodels", "stats") from error
    adjusted = p_values.copy()
    adjusted[members] = multipletests(p_values[members], method=STEPWISE[adjust])[1]
    return adjusted


def adjust_family(
    family: HypothesisFamily, adjust: str, conf_level: float
) -> tuple[FloatArray, ...]:
    """Adjusted p-values of a family, and the t value of each member's limits."""
    check_adjustment(adjust)
    rule = ADJUSTMENTS[adjust]
    if len(family.df) < 2 or rule.quantile is None:
        quantile = t_quantile(family.df, conf_level)
    else:
        quantile = rule.quantile(family, conf_level)
    return family.p_value if len(family.df) < 2 else rule.adjust(family), quantile


def t_quantile(df: FloatArray, conf_level: float) -> FloatArray:
    """The t that two-sided limits of this level use."""
    return np.asarray(-stdtrit(df, (1.0 - conf_level) / 2.0))


def find_families(family: np.ndarray | None, members: BoolArray) -> list[np.ndarray]:
    """Row numbers of each family's members; without families all rows are one."""
    if family is None:
        return [np.flatnonzero(members)]
    return [np.flatnonzero(members & (family == own)) for own in np.unique(family)]


def _members(family: HypothesisFamily) -> Iterator[tuple[float, float]]:
    """Each statistic with its own degrees of freedom."""
    return zip(family.statistic.tolist(), family.df.tolist(), strict=True)


def _correlate(vcov: FloatArray) -> FloatArray:
    scale = np.sqrt(np.diagonal(vcov))
    correlation = vcov / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray((correlation + correlation.T) / 2.0)
