"""`StudyDesign`: everything that decides what a made-up cohort looks like."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aibmd.errors import AibmdError
from aibmd.simulation.parameter import Parameter
from aibmd.simulation.section import (
    AiSection,
    BisphosphonateSection,
    BoneSection,
    ChemotherapySection,
    CoursesSection,
    ExerciseSection,
    FollowUpSection,
    MenopauseSection,
    StoppingSection,
    TamoxifenSection,
    VisitsSection,
    WithdrawalSection,
    WomenSection,
)
from aibmd.simulation.study_parameter import Arms, EffectMultipliers


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDesign:
    """Design of a synthetic study: effects, variation, courses, follow-up, and a seed.

    Each parameter carries a flag (published, recalled, chosen) and its source. Numbers that
    set a design are not evidence: whatever is estimated from the cohort gives them back.

    Attributes
    ----------
    name : str
        Short name; `source` of the cohort.
    time_zero : str
        What times count from, in words.
    seed : int
        Seed used where no other is given.
    arms, effect_multipliers : Parameter
        Women per arm; dials that switch effects off or turn them round.
    women, bone, menopause, chemotherapy, ai, withdrawal, tamoxifen, bisphosphonate, exercise, \
courses, stopping, visits, follow_up
        Sections; see `docs/synthetic_data.md`.

    Examples
    --------
    >>> from aibmd.resources import data_path
    >>> design = StudyDesign.from_toml(data_path("synthetic", "brex.toml"))
    >>> design.arms.n_women, design.arms.flag
    (573, 'published')
    >>> design.replace_values({"withdrawal.later_rate_pct_per_year.lumbar_spine": -0.3}).name
    'brex'
    """

    name: str
    time_zero: str
    seed: int
    arms: Arms
    effect_multipliers: EffectMultipliers
    women: WomenSection
    bone: BoneSection
    menopause: MenopauseSection
    chemotherapy: ChemotherapySection
    ai: AiSection
    withdrawal: WithdrawalSection
    tamoxifen: TamoxifenSection
    bisphosphonate: BisphosphonateSection
    exercise: ExerciseSection
    courses: CoursesSection
    stopping: StoppingSection
    visits: VisitsSection
    follow_up: FollowUpSection

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise AibmdError(f"seed is {self.seed}; expected a whole number, 0 or more.")
        _check_variances(self.bone)

    @classmethod
    def from_toml(cls, path: str | Path) -> "StudyDesign":
        """Read a design file; any wrong key or value is one error that names its path.

        Parameters
        ----------
        path : str or Path
            A TOML file with every table of `data/synthetic/brex.toml`.

        Raises
        ------
        AibmdError
            If the file cannot be read, or a key is unknown, missing or has a wrong value.
        """
        from aibmd.simulation.design_file import read_design_table

        return cls.from_mapping(read_design_table(path), str(path))

    @classmethod
    def from_mapping(cls, table: Mapping[str, Any], source: str = "design") -> "StudyDesign":
        """Build a design from nested tables, as `tomllib` returns them."""
        from aibmd.simulation.design_file import build

        try:
            return build(cls, table, "")
        except AibmdError as error:
            raise AibmdError(f"{source}: {error}") from None

    def replace_values(self, values: Mapping[str, Any]) -> "StudyDesign":
        """The same design with other values at dotted key paths; checked like a file.

        Parameters
        ----------
        values : mapping
            For example ``{"effect_multipliers.withdrawal": -1.0}``.

        Raises
        ------
        AibmdError
            If a path names no key, or the new design cannot be.
        """
        table = asdict(self)
        for path, value in values.items():
            *parents, key = path.split(".")
            inner: Any = table
            for parent in parents:
                inner = inner.get(parent) if isinstance(inner, dict) else None
            if not isinstance(inner, dict) or key not in inner:
                raise AibmdError(f"{path} names no key of a design.")
            inner[key] = value
        return type(self).from_mapping(table, self.name)

    def parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter with its dotted path, in the order of the file."""
        yield from _walk(self, "")


def _walk(node: Any, path: str) -> Iterator[tuple[str, Parameter]]:
    if isinstance(node, Parameter):
        yield path, node
    elif is_dataclass(node):
        for field in fields(node):
            yield from _walk(getattr(node, field.name), f"{path}.{field.name}".lstrip("."))


def _check_variances(bone: BoneSection) -> None:
    """The total spread of a scan must leave room for deviation and error."""
    deviation = bone.deviation_sd_pct.array() / 100 * bone.mean_at_58.array()
    rest = bone.sd.array() ** 2 - deviation**2 - bone.scan_error_sd.array() ** 2
    if np.any(rest < 0):
        raise AibmdError(
            "bone.sd is the total spread of a scan between women; at one skeletal site it is "
            "smaller than bone.deviation_sd_pct and bone.scan_error_sd together. Raise it."
        )
