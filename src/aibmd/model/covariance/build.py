"""From what the user wrote to a covariance term over rows."""

from dataclasses import dataclass

from aibmd.errors import AibmdError
from aibmd.model.covariance.compositions import GroupedTerm, ProductTerm
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.structure import CovarianceStructure
from aibmd.model.covariance.table import get_structure
from aibmd.model.covariance.terms import CovarianceTerm, IndependentTerm, StructureTerm


@dataclass(frozen=True, slots=True)
class CovarianceChoice:
    """One covariance as asked for.

    Attributes
    ----------
    text : str
        As written, for example ``"un@ar1"``.
    right : CovarianceStructure
        Over visits or times.
    left : CovarianceStructure or None
        Over the levels of the second repeated factor.
    """

    text: str
    right: CovarianceStructure
    left: CovarianceStructure | None = None

    @property
    def is_scheduled(self) -> bool:
        """Whether visits are numbered; otherwise rows lie at times."""
        return self.right.is_scheduled

    @property
    def title(self) -> str:
        """How the summary calls it."""
        if self.left is None:
            return self.right.title
        return f"{self.left.title} by {self.right.title}"


def parse_covariance(text: str) -> CovarianceChoice:
    """Read ``un`` or ``un@ar1``."""
    if isinstance(text, str) and text.count("@") == 1:
        left, right = (get_structure(name.strip()) for name in text.split("@"))
        if not left.is_scheduled:
            raise AibmdError(
                f"covariance={text!r}: left of @ stands the structure over the levels of "
                f"repeated=, and {left.name!r} needs times; write un@{left.name}"
            )
        return CovarianceChoice(text, right, left)
    return CovarianceChoice(text, get_structure(text))


def check_choice(choice: CovarianceChoice, repeated: str | None, time: str | None) -> None:
    """Refuse a structure without the columns it needs, and columns it would not use."""
    if choice.left is not None and repeated is None:
        raise AibmdError(
            f"covariance={choice.text!r} needs repeated=, the column left of @ "
            "(for example repeated='skeletal_site')"
        )
    if choice.left is None and repeated is not None and choice.text != "un":
        raise AibmdError(
            f"covariance={choice.text!r} with repeated={repeated!r}: say how both repeat, for "
            f"example covariance='un@{choice.text}', or covariance='un' over all cells"
        )
    if not choice.is_scheduled and time is None:
        raise AibmdError(f"covariance={choice.text!r} needs time=, the column of scan times")


def build_visit_term(
    choice: CovarianceChoice,
    visits: tuple[str, ...],
    repeated: tuple[str, ...] | None,
    group: tuple[str, ...] | None,
) -> CovarianceTerm:
    """The covariance of a marginal model.

    Parameters
    ----------
    choice : CovarianceChoice
    visits, repeated, group : tuple of str
        Labels of the levels, None where not used.
    """
    right = StructureTerm(choice.right, visits, "visit" if choice.is_scheduled else "time")
    term: CovarianceTerm = right
    if choice.left is not None and repeated is not None:
        term = ProductTerm(StructureTerm(choice.left, repeated, "repeated"), right)
    elif repeated is not None:
        cells = tuple(f"{level} {visit}" for level in repeated for visit in visits)
        term = StructureTerm(choice.right, cells, "visit")
    return term if group is None else GroupedTerm(term, group, "group")


def build_effects_term(
    effects: tuple[RandomEffectsTerm, ...], residual: CovarianceTerm
) -> CovarianceTerm:
    """Random effects and a residual covariance."""
    return SumTerm((*effects, residual))


def build_residual_term(
    residual: str, visits: tuple[str, ...], residual_group: tuple[str, ...] | None
) -> CovarianceTerm:
    """What remains beside random effects: independent errors, or a structure."""
    term: CovarianceTerm = IndependentTerm()
    if residual != "independent":
        choice = parse_covariance(residual)
        if choice.left is not None:
            raise AibmdError(f"residual={residual!r}: products are for fit_mmrm")
        term = StructureTerm(choice.right, visits, "visit" if choice.is_scheduled else "time")
    return term if residual_group is None else GroupedTerm(term, residual_group, "residual_group")
