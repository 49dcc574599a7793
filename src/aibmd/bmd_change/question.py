"""`WithdrawalQuestion`: what is asked, with every choice that could be made otherwise."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from aibmd.errors import AibmdError
from aibmd.vocabulary import SKELETAL_SITES

Comparator = Literal["no_withdrawal", "ai_continued"]

WITHDRAWN: Final = "AI withdrawn"
COMPARATOR_LABELS: Final[dict[str, str]] = {
    "no_withdrawal": "No AI withdrawal",
    "ai_continued": "AI continued",
}
INTERPRETATIONS: Final[dict[str, str]] = {
    "no_withdrawal": (
        "Descriptive and unweighted. The comparator is a declared mixture that holds women who "
        "were never on an AI, so the difference is not an effect of withdrawal."
    ),
    "ai_continued": (
        "An association among women on an AI at year 5. No weights are fitted, so women who "
        "stopped and women who continued can differ in other ways."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalQuestion:
    """How bone changes after year 5 by whether an aromatase inhibitor (AI) was withdrawn then.

    Attributes
    ----------
    lookback_years, grace_years : float
        An AI that ends from `lookback_years` before to `grace_years` after a woman's own
        reference scan, ends included, was withdrawn. Nothing later moves her.
    comparator : {"no_withdrawal", "ai_continued"}
        Everyone else in the population (a declared mixture), or only women on an AI on the
        day of the reference scan who do not stop it in the grace window.
    reference_visit, outcome_visit : str
        Change is from the first to the second, in percent of the first.
    baseline_visit : str
        First visit of the study; a covariate in one way of handling baseline.
    primary_sites, secondary_sites : tuple of str
        Skeletal sites; Holm runs over the primary ones, secondary ones are not adjusted.
    conf_level : float

    Examples
    --------
    >>> WithdrawalQuestion(comparator="ai_continued").groups
    ('AI withdrawn', 'AI continued')
    """

    lookback_years: float = 1.0
    grace_years: float = 0.5
    comparator: Comparator = "no_withdrawal"
    reference_visit: str = "year_5"
    outcome_visit: str = "year_10"
    baseline_visit: str = "baseline"
    primary_sites: tuple[str, ...] = ("lumbar_spine", "femoral_neck")
    secondary_sites: tuple[str, ...] = ("total_hip",)
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        for name in ("lookback_years", "grace_years"):
            if not 0 <= getattr(self, name) < 5:
                raise AibmdError(f"{name} is {getattr(self, name)}; expected 0 to 5 years.")
        if self.comparator not in get_args(Comparator):
            options = ", ".join(map(repr, get_args(Comparator)))
            raise AibmdError(f"comparator={self.comparator!r} is not known. Choose {options}.")
        self._check_sites()
        if not 0 < self.conf_level < 1:
            raise AibmdError(f"conf_level={self.conf_level} is not between 0 and 1.")

    def _check_sites(self) -> None:
        sites = self.sites
        unknown = [site for site in sites if site not in SKELETAL_SITES]
        if unknown or not self.primary_sites or len(set(sites)) < len(sites):
            raise AibmdError(
                f"skeletal sites {', '.join(sites) or 'none'}: expected at least one primary, "
                f"each once, out of {', '.join(SKELETAL_SITES)}."
            )

    @property
    def sites(self) -> tuple[str, ...]:
        """Primary, then secondary skeletal sites."""
        return (*self.primary_sites, *self.secondary_sites)

    @property
    def groups(self) -> tuple[str, str]:
        """Labels of the women whose AI was withdrawn and of the comparator."""
        return (WITHDRAWN, COMPARATOR_LABELS[self.comparator])

    @property
    def interpretation(self) -> str:
        """What a difference between the groups may be called."""
        return INTERPRETATIONS[self.comparator]

    @property
    def family(self) -> str:
        """The family of primary tests, in words."""
        sites = ", ".join(site.replace("_", " ") for site in self.primary_sites)
        return f"Holm over {len(self.primary_sites)} primary skeletal sites ({sites})"
