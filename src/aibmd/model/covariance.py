"""Visit covariance structures as one table: name, parameters, Sigma, its derivatives.

Adding a structure is adding a row to `STRUCTURES`. Both rows here are linear in
their parameters, Sigma = sum_h theta_h E_h, so their second derivatives vanish.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from types import MappingProxyType

import numpy as np

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import BoolArray, FloatArray, triangle


@dataclass(frozen=True, slots=True)
class CovarianceStructure:
    """One row of the table.

    Attributes
    ----------
    name : str
        Option value of ``covariance=``.
    title : str
        How the summary calls it.
    parameter_names : callable
        Visit labels -> a name per parameter.
    derivatives : callable
        Number of visits m -> E, (n_theta, m, m): the derivative of Sigma by each parameter.
    start : callable
        (moments, counts), each (m, m) -> theta: where scoring begins.
    has_own_variances : bool
        Whether each visit has a variance of its own.
    when : str
        When to choose it.
    """

    name: str
    title: str
    parameter_names: Callable[[tuple[str, ...]], tuple[str, ...]]
    derivatives: Callable[[int], FloatArray]
    start: Callable[[FloatArray, FloatArray], FloatArray]
    has_own_variances: bool
    when: str


@lru_cache(maxsize=64)
def _un_derivatives(m: int) -> FloatArray:
    rows, cols = triangle(m)
    E = np.zeros((len(rows), m, m))
    element = np.arange(len(rows))
    E[element, rows, cols] = E[element, cols, rows] = 1.0
    E.flags.writeable = False
    return E


def _un_names(visits: tuple[str, ...]) -> tuple[str, ...]:
    pairs = combinations_with_replacement(visits, 2)
    return tuple(f"var({a})" if a == b else f"cov({a}, {b})" for a, b in pairs)


def _un_start(moments: FloatArray, counts: FloatArray) -> FloatArray:
    """Pairwise moments, shrunk to their diagonal until positive definite."""
    variances = _positive_variances(moments, counts)
    off_diagonal = np.where(counts > 0, moments, 0.0)
    np.fill_diagonal(off_diagonal, 0.0)
    scale = 1.0 / np.sqrt(variances)
    lowest = np.linalg.eigvalsh(off_diagonal * scale[:, None] * scale)[0]
    # Correlations times share have eigenvalues from 1 + share * lowest up.
    share = min(1.0, 0.98 / max(-lowest, 0.98))
    Sigma = np.diag(variances) + share * off_diagonal
    return np.asarray(Sigma[triangle(len(variances))])


def _cs_derivatives(m: int) -> FloatArray:
    E = np.zeros((2, m, m))
    E[0] = np.eye(m)
    E[1] = 1.0 - np.eye(m)
    return E


def _cs_start(moments: FloatArray, counts: FloatArray) -> FloatArray:
    m = len(moments)
    diagonal = np.eye(m, dtype=bool)
    variance = np.average(_positive_variances(moments, counts), weights=np.diagonal(counts) + 1e-9)
    pairs = counts * ~diagonal
    covariance = float((pairs * moments).sum() / pairs.sum()) if pairs.sum() else 0.0
    low = -0.9 * variance / max(m - 1, 1)
    return np.array([variance, min(max(covariance, low), 0.95 * variance)])


def _positive_variances(moments: FloatArray, counts: FloatArray) -> FloatArray:
    """Visit variances; a visit with next to no residual takes a hundredth of the average."""
    variances = np.diagonal(moments).copy()
    seen = np.diagonal(counts) > 0
    typical = float(variances[seen].mean())
    variances[~seen] = typical
    return (
        np.maximum(variances, 1e-2 * typical) if (variances < 1e-12 * typical).any() else variances
    )


STRUCTURES: Mapping[str, CovarianceStructure] = MappingProxyType(
    {
        "un": CovarianceStructure(
            name="un",
            title="unstructured",
            parameter_names=_un_names,
            derivatives=_un_derivatives,
            start=_un_start,
            has_own_variances=True,
            when="the default with few visits: every variance and covariance is its own parameter",
        ),
        "cs": CovarianceStructure(
            name="cs",
            title="compound symmetry",
            parameter_names=lambda visits: ("variance", "covariance"),
            derivatives=_cs_derivatives,
            start=_cs_start,
            has_own_variances=False,
            when="few subjects, and equal variances and correlations at all visits are believable",
        ),
    }
)


def get_structure(name: str) -> CovarianceStructure:
    """Look a structure up; the error lists what there is."""
    if not isinstance(name, str) or name not in STRUCTURES:
        known = "\n".join(f"  {row.name}: {row.title}; {row.when}" for row in STRUCTURES.values())
        raise AibmdError(f"covariance={name!r} is not available. Available:\n{known}")
    return STRUCTURES[name]


def identified_parameters(E: FloatArray, co_observed: BoolArray) -> BoolArray:
    """Which parameters touch a visit or pair of visits that some subject has.

    A parameter that touches none leaves the likelihood unchanged: it is set aside,
    so that coefficients and their inference are those of the data that exist.
    """
    return np.asarray((np.abs(E) * co_observed).sum(axis=(1, 2)) > 0)
