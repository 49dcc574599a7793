"""The limit of a covariance as its correlation over time goes to zero.

rho^|t - s| has no derivative at rho = 0 for distances below one, so that limit cannot be
reached by steps; it is a model of its own, with one parameter less.
"""

from dataclasses import replace

from aibmd.model.covariance.compositions import GroupedTerm, ProductTerm
from aibmd.model.covariance.effects import SumTerm
from aibmd.model.covariance.table import NO_MEMORY
from aibmd.model.covariance.terms import CovarianceTerm, StructureTerm


def without_memory(term: CovarianceTerm) -> CovarianceTerm:
    """The same term with every correlation over time at zero (C13)."""
    if isinstance(term, StructureTerm) and not term.structure.is_scheduled:
        return replace(term, structure=NO_MEMORY)
    if isinstance(term, ProductTerm):
        return replace(term, right=without_memory(term.right))
    if isinstance(term, GroupedTerm):
        return replace(term, base=without_memory(term.base))
    if isinstance(term, SumTerm):
        return replace(term, parts=tuple(without_memory(part) for part in term.parts))
    return term
