"""The covariance structures as one table. Adding a structure is adding a row to `STRUCTURES`.

Parameters are those of SAS: covariances where Sigma is linear in them (un, cs, toep),
variances and correlations elsewhere.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import combinations_with_replacement
from types import MappingProxyType

import numpy as np

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import BoolArray, FloatArray, triangle
from aibmd.model.covariance.correlation import (
    BY_LAG,
    CHAIN,
    EQUAL,
    POWER,
    POWER_OF_TIME,
    SAME_TIME,
    distance,
)
from aibmd.model.covariance.structure import (
    CovarianceStructure,
    average_variance,
    moment_correlations,
    one_variance,
    own_variances,
    positive_variances,
)

Derivatives = Callable[[int], FloatArray]


@lru_cache(maxsize=64)
def _un_derivatives(m: int) -> FloatArray:
    rows, cols = triangle(m)
    E = np.zeros((len(rows), m, m))
    element = np.arange(len(rows))
    E[element, rows, cols] = E[element, cols, rows] = 1.0
    E.flags.writeable = False
    return E


def _un_names(labels: tuple[str, ...]) -> tuple[str, ...]:
    pairs = combinations_with_replacement(labels, 2)
    return tuple(f"var({a})" if a == b else f"cov({a}, {b})" for a, b in pairs)


def _un_start(moments: FloatArray, counts: FloatArray) -> FloatArray:
    """Pairwise moments, shrunk to their diagonal until positive definite."""
    variances = positive_variances(moments, counts)
    off_diagonal = np.where(counts > 0, moments, 0.0)
    np.fill_diagonal(off_diagonal, 0.0)
    scale = 1.0 / np.sqrt(variances)
    lowest = np.linalg.eigvalsh(off_diagonal * scale[:, None] * scale)[0]
    # Correlations times share have eigenvalues from 1 + share * lowest up.
    share = min(1.0, 0.98 / max(-lowest, 0.98))
    Sigma = np.diag(variances) + share * off_diagonal
    return np.asarray(Sigma[triangle(len(variances))])


@lru_cache(maxsize=64)
def _by_lag_derivatives(m: int) -> FloatArray:
    lag = distance(np.arange(m, dtype=float))
    E: FloatArray = (lag == np.arange(m)[:, None, None]).astype(np.float64)
    E.flags.writeable = False
    return E


def _by_lag_start(moments: FloatArray, counts: FloatArray) -> FloatArray:
    rho = BY_LAG.start(moment_correlations(moments, counts), counts)
    return average_variance(moments, counts) * np.concatenate([[1.0], rho])


@lru_cache(maxsize=64)
def _equal_derivatives(m: int) -> FloatArray:
    E = np.array([np.eye(m), 1.0 - np.eye(m)])
    E.flags.writeable = False
    return E


def _equal_start(moments: FloatArray, counts: FloatArray) -> FloatArray:
    rho = EQUAL.start(moment_correlations(moments, counts), counts)
    return average_variance(moments, counts) * np.concatenate([[1.0], rho])


def _linear(
    name: str,
    title: str,
    when: str,
    derivatives: Derivatives,
    names: Callable[[tuple[str, ...]], tuple[str, ...]],
    start: Callable[[FloatArray, FloatArray], FloatArray],
    has_own_variances: bool = False,
) -> CovarianceStructure:
    """Sigma = sum_h theta_h E_h; positions are the visits in order."""

    def value(theta: FloatArray, positions: FloatArray) -> FloatArray:
        m = len(positions)
        return np.asarray(theta @ derivatives(m).reshape(-1, m * m)).reshape(m, m)

    def is_variance(m: int) -> BoolArray:
        return np.asarray(derivatives(m).diagonal(0, 1, 2).any(axis=1))

    return CovarianceStructure(
        name=name,
        title=title,
        when=when,
        parameter_names=names,
        value=value,
        first=lambda theta, positions: derivatives(len(positions)),
        second=None,
        start=start,
        is_variance=is_variance,
        has_unit=lambda m: np.ones(len(derivatives(m)), dtype=bool),
        has_own_variances=has_own_variances,
    )


_ROWS = (
    _linear(
        "un",
        "unstructured",
        "the default with few visits: every variance and covariance is its own parameter",
        _un_derivatives,
        _un_names,
        _un_start,
        has_own_variances=True,
    ),
    _linear(
        "toep",
        "Toeplitz",
        "evenly spaced visits, one variance, a covariance for every distance between visits",
        _by_lag_derivatives,
        lambda labels: ("variance", *(f"cov(lag {lag})" for lag in range(1, len(labels)))),
        _by_lag_start,
    ),
    own_variances(
        "toeph",
        "heterogeneous Toeplitz",
        "evenly spaced visits whose variances differ, correlation by distance",
        BY_LAG,
    ),
    one_variance(
        "ar1",
        "first-order autoregressive",
        "evenly spaced visits, one variance, correlation falling as a power of the distance",
        POWER,
    ),
    own_variances(
        "ar1h",
        "heterogeneous first-order autoregressive",
        "as ar1, with a variance for each visit",
        POWER,
    ),
    _linear(
        "cs",
        "compound symmetry",
        "few subjects, and equal variances and correlations at all visits are believable",
        _equal_derivatives,
        lambda labels: ("variance", "covariance"),
        _equal_start,
    ),
    own_variances(
        "csh",
        "heterogeneous compound symmetry",
        "as cs, with a variance for each visit",
        EQUAL,
    ),
    one_variance(
        "ad",
        "ante-dependence",
        "unevenly spaced visits, one variance; a correlation for each pair of neighbours",
        CHAIN,
    ),
    own_variances(
        "adh",
        "heterogeneous ante-dependence",
        "as ad, with a variance for each visit (SAS ANTE(1))",
        CHAIN,
    ),
    one_variance(
        "sp_exp",
        "spatial power of time",
        "unscheduled scans at their real times: correlation rho^|t - s| (needs time=)",
        POWER_OF_TIME,
        is_scheduled=False,
    ),
)
STRUCTURES: Mapping[str, CovarianceStructure] = MappingProxyType({row.name: row for row in _ROWS})
# Not options of covariance=: the limit of sp_exp at rho = 0, and what remains beside random
# effects.
NO_MEMORY = one_variance(
    "sp_exp",
    "spatial power of time, without correlation",
    "where the maximum of sp_exp lies at a correlation of zero",
    SAME_TIME,
    is_scheduled=False,
)
INDEPENDENT = _linear(
    "independent",
    "independent",
    "errors that repeat nothing",
    lambda m: np.eye(m)[None],
    lambda labels: ("variance",),
    lambda moments, counts: np.array([average_variance(moments, counts)]),
)


def get_structure(name: str) -> CovarianceStructure:
    """Look a structure up; the error lists what there is."""
    if not isinstance(name, str) or name not in STRUCTURES:
        known = "\n".join(f"  {row.name}: {row.title}; {row.when}" for row in STRUCTURES.values())
        raise AibmdError(f"covariance={name!r} is not available. Available:\n{known}")
    return STRUCTURES[name]
