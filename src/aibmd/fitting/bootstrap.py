"""`bootstrap`: how a statistic varies when data are drawn from the fitted model again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.refit import Refitter
from aibmd.fitting.replicates import Failure, ShowProgress, run_replicates
from aibmd.formatting import format_plural
from aibmd.inference import check_conf_level
from aibmd.linalg.symmetric import FloatArray

Statistic = Callable[[MixedFit], Any]
# Fewer values than this do not make a quantile.
_FEWEST = 10


@dataclass(frozen=True, slots=True, repr=False)
class BootstrapResult:
    """Replicates of a statistic, and what they say.

    Attributes
    ----------
    replicates : DataFrame
        One row per replicate, one column per value of the statistic; rows of failed refits
        are NaN and stay.
    estimate : Series
        The statistic of the fit itself.
    failures : Series
        Reason by replicate, for those that failed.
    conf_level : float
    """

    replicates: pd.DataFrame
    estimate: pd.Series
    failures: pd.Series
    conf_level: float

    @property
    def n_failed(self) -> int:
        """Replicates without a value."""
        return len(self.failures)

    def to_frame(self) -> pd.DataFrame:
        """One row per value of the statistic.

        ``statistic, estimate, bias, std_error``, the percentile limits, the basic limits
        (twice the estimate less the opposite percentile limit), and the Monte Carlo standard
        errors of the two percentile limits, label (PB3) of ``docs/methods/likelihood_ratio.md``.
        """
        kept = self.replicates.drop(index=self.failures.index)
        alpha = 1.0 - self.conf_level
        rows = [
            _summarise(name, float(estimate), kept[name].to_numpy(), alpha)
            for name, estimate in self.estimate.items()
        ]
        return pd.DataFrame(rows)

    def summary(self) -> str:
        """The table, and how many refits it rests on."""
        total = len(self.replicates)
        lines = [
            f"Parametric bootstrap, {format_plural(total, 'replicate')}, "
            f"{100 * self.conf_level:g} % limits",
            self.to_frame().to_string(index=False, float_format="{:.5g}".format),
        ]
        if self.n_failed:
            lines.append(
                f"{format_plural(self.n_failed, 'refit')} of {total} failed and are not counted: "
                "limits describe the others only. Reasons:"
            )
            for reason, count in self.failures.value_counts().items():
                lines.append(f"  {count} x {reason}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()


def bootstrap(
    fit: MixedFit,
    statistic: Statistic,
    n_replicates: int = 1000,
    rng: np.random.Generator | int | None = None,
    n_jobs: int | None = None,
    progress: ShowProgress = None,
    conf_level: float = 0.95,
) -> BootstrapResult:
    """Draw data from the fitted model again and again, and refit: the parametric bootstrap.

    Answers how far a number would scatter over repetitions of the study, where no formula gives
    it: a ratio, a correlation, a variance close to zero.

    Parameters
    ----------
    fit : MixedFit
    statistic : callable
        Of a MixedFit; returns a number (named after the function), Series, mapping or 1-d array.
    n_replicates : int
    rng : Generator or int
        Replicates have streams of their own, spawned from it: the result is the same for any
        `n_jobs`.
    n_jobs : int, optional
        Processes. More than one needs a statistic from the top of an importable module, or such
        as ``operator.attrgetter("params")``, and in a script ``if __name__ == "__main__":``.
    progress : bool or callable, optional
        True shows a bar in a terminal where ``rich`` is installed; a function is called with
        the number of replicates done and their total.
    conf_level : float

    Returns
    -------
    BootstrapResult
        ``.replicates``, ``.to_frame()``, ``.failures``.

    Raises
    ------
    AibmdError
        No rng; a statistic that returns something else, or that other processes cannot find.
    ConvergenceError
        The fit is not certified, or (nearly) every refit failed.

    Notes
    -----
    Labels (PB1) to (PB3) of ``docs/methods/likelihood_ratio.md``. Rows, covariates, missing visits
    and weights stay as they are. Limits mislead when the model is wrong, because data are drawn
    from it; percentile limits of a biased estimator, such as a variance by ML, are off by
    about twice the bias; and fewer than 1000 replicates make limits at 95 % noisy: the
    Monte Carlo standard errors beside them tell.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    >>> table["y"] = rng.normal(size=40) + np.repeat(rng.normal(size=20), 2)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit", covariance="cs")
    >>> def correlation(fit):
    ...     variance, covariance = fit.covariance_parameters
    ...     return {"correlation": covariance / variance}
    >>> result = aibmd.bootstrap(fit, correlation, n_replicates=50, rng=2)
    >>> result.to_frame().columns.tolist()[:4]
    ['statistic', 'estimate', 'bias', 'std_error']
    """
    check_conf_level(conf_level)
    if rng is None:
        raise AibmdError(
            "rng= is missing: give a number or a Generator, so that the result can be had again"
        )
    if not fit.converged:
        raise ConvergenceError("the fit is no certified maximum; there is nothing to draw from")
    estimate = as_series(statistic(fit), _name_of(statistic))
    found = run_replicates(
        fit, _StatisticOfRefit(fit, statistic), n_replicates, rng, n_jobs, progress
    )
    failed = {place: one.reason for place, one in enumerate(found) if isinstance(one, Failure)}
    if len(found) - len(failed) < min(_FEWEST, len(found)):
        raise ConvergenceError(
            f"{len(failed)} of {len(found)} refits failed: {next(iter(failed.values()))}"
        )
    blank = pd.Series(np.nan, index=estimate.index)
    rows = [blank if isinstance(one, Failure) else one for one in found]
    return BootstrapResult(
        replicates=pd.DataFrame(
            np.array([row.to_numpy() for row in rows]), columns=estimate.index
        ).rename_axis("replicate"),
        estimate=estimate,
        failures=pd.Series(failed, name="reason", dtype="str").rename_axis("replicate"),
        conf_level=conf_level,
    )


@dataclass(frozen=True, slots=True)
class _StatisticOfRefit:
    """A task: the statistic of a refit to new outcomes."""

    fit: MixedFit
    statistic: Statistic

    def __call__(self) -> Callable[[FloatArray], pd.Series]:
        refitter, name = Refitter(self.fit), _name_of(self.statistic)
        names = as_series(self.statistic(self.fit), name).index

        def compute(y: FloatArray) -> pd.Series:
            values = as_series(self.statistic(refitter.refit(y)), name)
            if not values.index.equals(names):
                raise ConvergenceError("the statistic of the refit has other names")
            if not np.isfinite(values.to_numpy()).all():
                raise ConvergenceError("the statistic of the refit is not finite")
            return values

        return compute


def _name_of(statistic: Statistic) -> str:
    """What a single number is called: the function's name, if it has one."""
    name = getattr(statistic, "__name__", "")
    return name if name.isidentifier() else "statistic"


def as_series(value: Any, name: str = "statistic") -> pd.Series:
    """Whatever a statistic returned, with names; `name` is that of a single number."""
    if isinstance(value, Mapping):
        value = pd.Series(value)
    if not isinstance(value, pd.Series):
        array = np.asarray(value)
        if array.ndim > 1 or array.dtype.kind not in "fiub":
            raise AibmdError(
                f"the statistic returned a {type(value).__name__}; return a number, a Series, a "
                "mapping of names to numbers or a one-dimensional array"
            )
        names = [name] if array.ndim == 0 else [f"statistic_{i}" for i in range(len(array))]
        value = pd.Series(np.atleast_1d(array), index=names)
    named: pd.Series = value.astype(float).rename(index=str).rename_axis("statistic")
    return named


def _summarise(name: Any, estimate: float, values: FloatArray, alpha: float) -> dict[str, Any]:
    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2], method="weibull")
    return {
        "statistic": name,
        "estimate": estimate,
        "bias": values.mean() - estimate,
        "std_error": values.std(ddof=1),
        "percentile_low": low,
        "percentile_high": high,
        "basic_low": 2 * estimate - high,
        "basic_high": 2 * estimate - low,
        "monte_carlo_se_low": quantile_std_error(values, alpha / 2),
        "monte_carlo_se_high": quantile_std_error(values, 1 - alpha / 2),
        "n_used": len(values),
    }


def quantile_std_error(values: FloatArray, probability: float) -> float:
    """Standard error of a sample quantile from its order statistics (Maritz and Jarrett 1978)."""
    from scipy.special import betainc

    ordered, n = np.sort(values - np.mean(values)), len(values)
    middle = np.floor(n * probability + 0.5)
    a, b = max(middle, 1.0), max(n - middle, 0.0) + 1.0
    weights = np.diff(betainc(a, b, np.arange(n + 1) / n))
    first, second = weights @ ordered, weights @ ordered**2
    return float(np.sqrt(max(second - first**2, 0.0)))
