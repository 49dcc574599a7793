"""What covariance parameters are, and the correlations they imply without being them."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from aibmd.linalg.symmetric import FloatArray
from aibmd.model.covariance.compositions import GroupedTerm, ProductTerm, RestrictedTerm
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.terms import CovarianceTerm, StructureTerm

# Place of a variance that is pinned at one.
PINNED = -1

ParameterKind = Literal["variance", "covariance", "correlation", "positive correlation"]


@dataclass(frozen=True, slots=True)
class DerivedCorrelation:
    """Covariance over the root of two variances.

    Attributes
    ----------
    name : str
    covariance, first, second : int
        Places in theta; a variance may be `PINNED` at one.
    """

    name: str
    covariance: int
    first: int
    second: int

    def value(self, theta: FloatArray) -> float:
        """The correlation at theta."""
        return float(theta[self.covariance] / np.sqrt(self._variances(theta).prod()))

    def gradient(self, theta: FloatArray) -> FloatArray:
        """Derivative by theta, (n_theta,)."""
        out, rho = np.zeros(len(theta)), self.value(theta)
        out[self.covariance] = 1.0 / np.sqrt(self._variances(theta).prod())
        for place in (self.first, self.second):
            if place != PINNED:
                out[place] -= 0.5 * rho / theta[place]
        return out

    def _variances(self, theta: FloatArray) -> FloatArray:
        return np.array([1.0 if i == PINNED else theta[i] for i in (self.first, self.second)])

    def shift(self, by: int) -> "DerivedCorrelation":
        """The same with theta beginning `by` places later."""
        first, second = (i if i == PINNED else i + by for i in (self.first, self.second))
        return replace(self, covariance=self.covariance + by, first=first, second=second)


def list_correlations(term: CovarianceTerm) -> list[DerivedCorrelation]:
    """Every correlation implied by the covariances among the parameters of a term."""
    if isinstance(term, StructureTerm):
        return _of_structure(term)
    if isinstance(term, RandomEffectsTerm):
        return _of_pairs(term.names, term.pairs)
    if isinstance(term, ProductTerm):
        return _of_product(term)
    if isinstance(term, GroupedTerm):
        own, n = list_correlations(term.base), len(term.base.names)
        return [
            replace(one.shift(g * n), name=f"{one.name} [{label}]")
            for g, label in enumerate(term.labels)
            for one in own
        ]
    if isinstance(term, SumTerm):
        begins = np.cumsum([0, *(len(part.names) for part in term.parts)])
        return [
            one.shift(int(begin))
            for part, begin in zip(term.parts, begins, strict=False)
            for one in list_correlations(part)
        ]
    if isinstance(term, RestrictedTerm):
        return _of_restricted(term)
    return []


def _of_structure(term: StructureTerm) -> list[DerivedCorrelation]:
    names = term.names
    if term.structure.name == "un":
        rows, cols = np.triu_indices(len(term.labels))
        return _of_pairs(names, list(zip(rows.tolist(), cols.tolist(), strict=True)))
    if term.structure.name == "toep":
        return [DerivedCorrelation(_name(names[i]), i, 0, 0) for i in range(1, len(names))]
    if term.structure.name == "cs":
        return [DerivedCorrelation("correlation", 1, 0, 0)]
    return []


def _of_pairs(names: tuple[str, ...], pairs: list[tuple[int, int]]) -> list[DerivedCorrelation]:
    """Parameters that are elements of a matrix, by row and column."""
    variance = {u: place for place, (u, v) in enumerate(pairs) if u == v}
    return [
        DerivedCorrelation(_name(names[place]), place, variance[u], variance[v])
        for place, (u, v) in enumerate(pairs)
        if u != v
    ]


def _name(covariance: str) -> str:
    return "cor" + covariance.removeprefix("cov")


def _of_product(term: ProductTerm) -> list[DerivedCorrelation]:
    """Those of the right factor stand after the left one's, without its first parameter."""
    shift = len(term.left.names) - 1

    def place(i: int) -> int:
        return PINNED if i == 0 else i + shift

    right = [
        replace(
            one, covariance=place(one.covariance), first=place(one.first), second=place(one.second)
        )
        for one in list_correlations(term.right)
    ]
    return [*list_correlations(term.left), *right]


def _of_restricted(term: RestrictedTerm) -> list[DerivedCorrelation]:
    """Those whose covariance and variances are all estimated."""
    place = {int(old): new for new, old in enumerate(np.flatnonzero(term.free))} | {PINNED: PINNED}
    return [
        replace(
            one, covariance=place[one.covariance], first=place[one.first], second=place[one.second]
        )
        for one in list_correlations(term.base)
        if {one.covariance, one.first, one.second} <= set(place)
    ]


def list_kinds(term: CovarianceTerm) -> list[ParameterKind]:
    """What each covariance parameter is, whatever its unit."""
    if isinstance(term, ProductTerm):
        return [*list_kinds(term.left), *list_kinds(term.right)[1:]]
    if isinstance(term, GroupedTerm):
        return list_kinds(term.base) * len(term.labels)
    if isinstance(term, SumTerm):
        return [kind for part in term.parts for kind in list_kinds(part)]
    if isinstance(term, RestrictedTerm):
        kinds = list_kinds(term.base)
        return [kinds[i] for i in np.flatnonzero(term.free)]
    is_share = isinstance(term, StructureTerm) and term.structure.lowest == 0.0
    other: ParameterKind = "positive correlation" if is_share else "correlation"
    return [
        "variance" if is_variance else "covariance" if has_unit else other
        for is_variance, has_unit in zip(term.is_variance, term.has_unit, strict=True)
    ]
