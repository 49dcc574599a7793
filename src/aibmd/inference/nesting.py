"""Whether one covariance is a special case of another, and how it lies in it.

Nesting is told from what the terms are, not from numbers: what is not known to be nested counts
as not nested. Label (L3) of docs/methods/likelihood_ratio.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aibmd.model.covariance.compositions import GroupedTerm, ProductTerm, RestrictedTerm
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.terms import CovarianceTerm, IndependentTerm, StructureTerm

# Each structure with those it is a special case of, one step at a time.
WIDER: Mapping[str, tuple[str, ...]] = {
    "cs": ("csh", "toep"),
    "ar1": ("ar1h", "toep", "ad"),
    "toep": ("toeph",),
    "csh": ("toeph",),
    "ar1h": ("toeph", "adh"),
    "toeph": ("un",),
    "ad": ("adh",),
    "adh": ("un",),
    "sp_exp": (),
    "un": (),
}


@dataclass(frozen=True, slots=True)
class Nesting:
    """How a smaller covariance lies in a larger one.

    Attributes
    ----------
    n_variances : int
        Variances of random effects that are zero in the smaller one: each on its boundary.
    on_other_boundary : bool
        Whether another parameter of the larger one is at a bound.
    """

    n_variances: int = 0
    on_other_boundary: bool = False

    def join(self, other: "Nesting") -> "Nesting":
        """Of two parts with parameters of their own."""
        return Nesting(
            self.n_variances + other.n_variances,
            self.on_other_boundary or other.on_other_boundary,
        )


_INSIDE = Nesting()


def find_nesting(smaller: CovarianceTerm, larger: CovarianceTerm) -> Nesting | None:
    """How `smaller` lies in `larger`; None where it is not known to.

    Parameters
    ----------
    smaller, larger : CovarianceTerm
        Over the same rows.
    """
    if isinstance(smaller, RestrictedTerm):
        smaller = smaller.base
    if isinstance(larger, RestrictedTerm):
        larger = larger.base
    if isinstance(smaller, SumTerm) and isinstance(larger, SumTerm):
        return _nest_sums(smaller, larger)
    if isinstance(larger, GroupedTerm):
        return _nest_in_groups(smaller, larger)
    if isinstance(larger, ProductTerm) and isinstance(smaller, ProductTerm):
        return _join(
            find_nesting(smaller.left, larger.left), find_nesting(smaller.right, larger.right)
        )
    if isinstance(larger, StructureTerm):
        return _nest_in_structure(smaller, larger)
    both_independent = isinstance(smaller, IndependentTerm) and isinstance(larger, IndependentTerm)
    return _INSIDE if both_independent else None


def is_structure_nested(smaller: str, larger: str) -> bool:
    """Whether a structure of the table is a special case of another, or the same."""
    return smaller == larger or any(
        is_structure_nested(wider, larger) for wider in WIDER.get(smaller, ())
    )


def _join(first: Nesting | None, second: Nesting | None) -> Nesting | None:
    return None if first is None or second is None else first.join(second)


def _nest_in_groups(smaller: CovarianceTerm, larger: GroupedTerm) -> Nesting | None:
    if not isinstance(smaller, GroupedTerm):
        return find_nesting(smaller, larger.base)
    if (smaller.labels, smaller.axis) != (larger.labels, larger.axis):
        return None
    return find_nesting(smaller.base, larger.base)


def _nest_in_structure(smaller: CovarianceTerm, larger: StructureTerm) -> Nesting | None:
    if isinstance(smaller, IndependentTerm):
        # A correlation over time is nil only at its bound; between visits nil lies inside.
        return Nesting(on_other_boundary=not larger.structure.is_scheduled)
    if isinstance(smaller, ProductTerm):
        n_cells = _count_labels(smaller.left) * _count_labels(smaller.right)
        over_cells = larger.structure.name == "un" and len(larger.labels) == n_cells
        return _INSIDE if over_cells else None
    if not isinstance(smaller, StructureTerm) or smaller.axis != larger.axis:
        return None
    if larger.structure.is_scheduled and smaller.labels != larger.labels:
        return None
    is_nested = is_structure_nested(smaller.structure.name, larger.structure.name)
    return _INSIDE if is_nested else None


def _count_labels(term: CovarianceTerm) -> int:
    if not isinstance(term, StructureTerm) or not term.structure.is_scheduled:
        return -1
    return len(term.labels)


def _nest_sums(smaller: SumTerm, larger: SumTerm) -> Nesting | None:
    effects = {part.grouping: part for part in smaller.parts if isinstance(part, RandomEffectsTerm)}
    found = find_nesting(smaller.parts[-1], larger.parts[-1])
    for part in larger.parts:
        if isinstance(part, RandomEffectsTerm):
            found = _join(found, _nest_effects(effects.pop(part.grouping, None), part))
    return None if effects else found


def _nest_effects(smaller: RandomEffectsTerm | None, larger: RandomEffectsTerm) -> Nesting | None:
    """Effects of one grouping; those absent from the smaller model have variance zero there."""
    if smaller is None:
        return Nesting(len(larger.columns))
    if not set(smaller.columns) <= set(larger.columns):
        return None
    if larger.is_diagonal and not smaller.is_diagonal and len(smaller.columns) > 1:
        return None
    return Nesting(len(larger.columns) - len(smaller.columns))
