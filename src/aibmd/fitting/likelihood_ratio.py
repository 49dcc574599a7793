"""`likelihood_ratio_test`: two nested fits, and the right reference distribution."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.comparable import ROUNDING, check_comparable, comparable_loglik
from aibmd.fitting.likelihood_reference import describe_model, tail_from_theory
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.refit import Refitter
from aibmd.fitting.replicates import Failure, ShowProgress, run_replicates
from aibmd.formatting import format_count, format_number, format_p_value
from aibmd.linalg.symmetric import FloatArray


@dataclass(frozen=True, slots=True, repr=False)
class LikelihoodRatioTest:
    """A likelihood ratio with its reference distribution.

    Attributes
    ----------
    smaller, larger : str
        The models.
    loglik_smaller, loglik_larger : float
        Restricted where `method` is "reml".
    statistic : float
        Twice their difference.
    df : int
        Parameters the larger model has more.
    reference : str
        The distribution the p-value was taken from.
    p_value : float
    method : str
    n_replicates, n_failed : int
        Of a bootstrap; zero otherwise.
    """

    smaller: str
    larger: str
    loglik_smaller: float
    loglik_larger: float
    statistic: float
    df: int
    reference: str
    p_value: float
    method: str
    n_replicates: int = 0
    n_failed: int = 0

    @property
    def monte_carlo_se(self) -> float:
        """Of a bootstrap's p-value; NaN for a formula's."""
        used = self._n_drawn
        return float(np.sqrt(self.p_value * (1 - self.p_value) / used)) if used else np.nan

    @property
    def _n_drawn(self) -> int:
        """Replicates with a statistic; zero without a bootstrap."""
        return self.n_replicates - self.n_failed

    def to_frame(self) -> pd.DataFrame:
        """One row."""
        names = [
            "smaller", "larger", "loglik_smaller", "loglik_larger", "statistic", "df",
            "reference", "p_value", "monte_carlo_se", "n_replicates", "n_failed",
        ]  # fmt: skip
        return pd.DataFrame([{name: getattr(self, name) for name in names}])

    def __repr__(self) -> str:
        names = (self.smaller, self.larger)
        width = max(map(len, names))
        logliks = [f"{value:.4f}" for value in (self.loglik_smaller, self.loglik_larger)]
        digits = max(map(len, logliks))
        lines = [f"Likelihood-ratio test ({self.method.upper()})"]
        for role, name, loglik in zip(("smaller", "larger"), names, logliks, strict=True):
            lines.append(f"  {role:9s}  {name:<{width}s}   log-likelihood {loglik:>{digits}s}")
        lines += [
            f"  statistic  {format_number(self.statistic, 4)} on {self.df} df",
            f"  reference  {self.reference}",
            f"  p-value    {self._describe_p_value()}",
        ]
        if self.n_failed:
            lines.append(f"  {self.n_failed} of {self.n_replicates} refits failed, not counted")
        return "\n".join(lines)

    def _describe_p_value(self) -> str:
        """With the Monte Carlo error of a bootstrap, or its bound where no draw came as far."""
        if not self.n_replicates:
            return format_p_value(self.p_value)
        if self.p_value * (1 + self._n_drawn) < 1.5:  # (L4) with no draw counted
            return (
                f"none of {format_count(self._n_drawn)} draws reached "
                f"{format_number(self.statistic, 4)}: p is at most {self.p_value:.2g}"
            )
        error = format_number(self.monte_carlo_se, 4)
        return f"{format_p_value(self.p_value)}   (Monte Carlo SE {error})"


def likelihood_ratio_test(
    smaller: MixedFit,
    larger: MixedFit,
    reference: Literal["bootstrap"] | None = None,
    *,
    n_replicates: int = 999,
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
    progress: ShowProgress = None,
) -> LikelihoodRatioTest:
    """Test whether a model needs what a larger one has more.

    Answers whether the data contradict the smaller of two nested models: a simpler covariance,
    no random slope, no interaction.

    Parameters
    ----------
    smaller, larger : MixedFit
        On the same rows, by the same criterion.
    reference : {"bootstrap"}, optional
        None takes the distribution from theory: chi-square, or for one more random effect
        the equal mixture of two chi-squares. ``"bootstrap"`` draws it from the smaller fit.
    n_replicates, rng, n_jobs, progress
        Of the bootstrap, as in `bootstrap`.

    Returns
    -------
    LikelihoodRatioTest

    Raises
    ------
    AibmdError
        The fits cannot be compared, are not nested as far as can be told, or no theory
        gives the reference distribution; with the remedy.
    ConvergenceError
        A fit is not certified as a maximum.

    Notes
    -----
    Labels (L1) to (L4) of ``docs/methods/likelihood_ratio.md``. Under REML only covariances can be
    compared. Chi-square p-values of fixed effects are too small in small samples: prefer
    `wald_test` or `anova` with Kenward-Roger there. A covariance picked because its p-value
    was large is not confirmed by it.

    Examples
    --------
    >>> import aibmd
    >>> scans = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> simple = aibmd.fit_mmrm("bmd ~ arm * visit", scans, covariance="adh")
    >>> full = aibmd.fit_mmrm("bmd ~ arm * visit", scans, covariance="un")
    >>> aibmd.likelihood_ratio_test(simple, full).reference
    'chi-square on 6 df'
    """
    check_comparable(smaller, larger)
    df = _count_parameters(larger) - _count_parameters(smaller)
    statistic = _statistic(smaller, larger, df)
    if reference is None:
        title, p_value = tail_from_theory(smaller, larger, statistic, df)
        n_replicates = n_failed = 0
    elif reference == "bootstrap":
        p_value, n_replicates, n_failed = _from_bootstrap(
            smaller, larger, statistic, n_replicates, rng, n_jobs, progress
        )
        title = f"parametric bootstrap, {n_replicates} replicates of the smaller model"
    else:
        raise AibmdError(f"reference={reference!r} is not None or 'bootstrap'")
    return LikelihoodRatioTest(
        smaller=describe_model(smaller),
        larger=describe_model(larger),
        loglik_smaller=smaller.llf,
        loglik_larger=larger.llf,
        statistic=statistic,
        df=df,
        reference=title,
        p_value=p_value,
        method=smaller.spec.method,
        n_replicates=n_replicates,
        n_failed=n_failed,
    )


def _count_parameters(fit: MixedFit) -> int:
    return fit.n_covariance_parameters + len(fit.inference.beta)


def _statistic(smaller: MixedFit, larger: MixedFit, df: int) -> float:
    if df <= 0:
        turned = "; the models are given in the wrong order" if df < 0 else ""
        raise AibmdError(
            f"the larger model has {_count_parameters(larger)} parameters and the smaller "
            f"{_count_parameters(smaller)}{turned}"
        )
    statistic = 2.0 * (comparable_loglik(larger.engine) - comparable_loglik(smaller.engine))  # (L1)
    if statistic < -ROUNDING * max(1.0, abs(smaller.llf)):
        raise AibmdError(
            f"the larger model has the smaller log-likelihood (by {-statistic / 2:.3g}): the "
            "models are not nested, or the larger fit is a local maximum"
        )
    return max(statistic, 0.0)


def _from_bootstrap(
    smaller: MixedFit,
    larger: MixedFit,
    statistic: float,
    n_replicates: int,
    rng: np.random.Generator | int | None,
    n_jobs: int | None,
    progress: ShowProgress,
) -> tuple[float, int, int]:
    """(L4): p-value, replicates, and how many of them failed."""
    if rng is None:
        raise AibmdError("reference='bootstrap' needs rng=, a number or a numpy Generator")
    found = run_replicates(
        smaller, _RatioOfRefits(smaller, larger), n_replicates, rng, n_jobs, progress
    )
    drawn = np.array([one for one in found if not isinstance(one, Failure)])
    reasons = [one.reason for one in found if isinstance(one, Failure)]
    if not len(drawn):
        raise ConvergenceError(f"every refit failed: {reasons[0]}")
    at_least = int((drawn >= statistic).sum())
    return (1 + at_least) / (1 + len(drawn)), len(found), len(reasons)


@dataclass(frozen=True, slots=True)
class _RatioOfRefits:
    """A task: the statistic of refits of both models."""

    smaller: MixedFit
    larger: MixedFit

    def __call__(self) -> Callable[[FloatArray], float]:
        both = Refitter(self.smaller), Refitter(self.larger)

        def compute(y: FloatArray) -> float:
            low, high = (comparable_loglik(one.refit_engine(y)) for one in both)
            if high < low - ROUNDING * max(1.0, abs(low)):
                raise ConvergenceError(
                    "the larger model ended at a local maximum below the smaller"
                )
            return max(2.0 * (high - low), 0.0)

        return compute
