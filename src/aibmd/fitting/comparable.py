"""Whether the log-likelihoods of two fits may be compared."""

import numpy as np

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.engine import EngineFit

# Relative to the log-likelihood: what two certified maxima may miss.
ROUNDING = 1e-7
# Sine of the angle between column spaces below which one lies in the other.
_SAME_SPACE = 1e-7


def comparable_loglik(engine: EngineFit) -> float:
    """Log-likelihood as if X were orthonormal, so that the coding of factors does not matter.

    The restricted likelihood (M1) has no ``log|X'X|`` term and moves with the coding; the
    column space alone decides this one.
    """
    if engine.method == "ml":
        return engine.loglik
    return float(engine.loglik - engine.least_squares.basis.log_det)


def check_comparable(smaller: MixedFit, larger: MixedFit) -> None:
    """Refuse fits whose likelihoods are not of the same data, or not of the same criterion.

    Raises
    ------
    AibmdError, ConvergenceError
        With what differs and the remedy.
    """
    for name, fit in (("smaller", smaller), ("larger", larger)):
        if not isinstance(fit, MixedFit):
            raise AibmdError(
                f"{name} is a {type(fit).__name__}; give what fit_mmrm or fit_lmm returned"
            )
        if not fit.converged:
            raise ConvergenceError(f"the {name} fit is not certified as a maximum")
        if fit.design.rows.sampling_weights is not None:
            raise AibmdError(
                "with sampling weights the criterion is no likelihood of the data and its ratio "
                "has no known distribution; use wald_test, which takes the sandwich"
            )
    methods = smaller.spec.method, larger.spec.method
    if methods[0] != methods[1]:
        raise AibmdError(f"one fit is by {methods[0]!r}, the other by {methods[1]!r}; refit one")
    _check_rows(smaller, larger)
    _check_columns(smaller, larger)


def _check_rows(smaller: MixedFit, larger: MixedFit) -> None:
    first, second = smaller.design.rows, larger.design.rows
    if len(first.y) != len(second.y):
        raise AibmdError(
            f"the fits use {len(first.y)} and {len(second.y)} rows: a covariate of one of them is "
            "missing in some; fit both to the rows complete for both"
        )
    if not np.array_equal(first.y, second.y):
        raise AibmdError(
            "the fits have different outcomes, or the same rows in another order; fit both to one "
            "table, with one response"
        )
    if not np.array_equal(first.subject, second.subject):
        raise AibmdError("the fits group the rows into different subjects")
    for role in ("weights", "visit", "time"):
        one, other = getattr(first, role), getattr(second, role)
        is_both = one is not None and other is not None and len(one) and len(other)
        if role == "visit":
            is_both = is_both and bool(first.visits) and bool(second.visits)
        if (role == "weights" and (one is None) != (other is None)) or (
            is_both and not np.array_equal(one, other)
        ):
            raise AibmdError(f"the fits use different columns as {role}")
    for role in ("repeated", "group", "residual_group"):
        one, other = getattr(first, role), getattr(second, role)
        if one is not None and other is not None and not np.array_equal(one.codes, other.codes):
            raise AibmdError(f"the fits use different columns as {role}")


def _check_columns(smaller: MixedFit, larger: MixedFit) -> None:
    if is_within(smaller, larger):
        if smaller.spec.method == "ml" or has_same_space(smaller, larger):
            return
        raise AibmdError(
            "the fits have different fixed effects, and restricted likelihoods of different fixed "
            "effects cannot be compared: refit both with method='ml'"
        )
    raise AibmdError(
        f"the fixed effects {smaller.spec.formula!r} are not a special case of "
        f"{larger.spec.formula!r}: the models are not nested"
    )


def has_same_space(smaller: MixedFit, larger: MixedFit) -> bool:
    """Whether both have the same column space, given that one lies in the other."""
    return len(smaller.inference.beta) == len(larger.inference.beta)


def is_within(smaller: MixedFit, larger: MixedFit) -> bool:
    """Whether every column of X of one fit is a combination of those of the other."""
    small, large = _orthonormal(smaller), _orthonormal(larger)
    left = small - large @ (large.T @ small)
    return bool(np.abs(left).max(initial=0.0) < _SAME_SPACE)


def _orthonormal(fit: MixedFit) -> FloatArray:
    """Columns of X, times the root of the precision weight, in their orthonormal basis."""
    design = fit.design
    Q = design.columns_of(np.arange(fit.n_obs)) @ design.least_squares.basis.transform
    weights = design.rows.weights
    return np.asarray(Q if weights is None else Q * np.sqrt(weights)[:, None])
