"""Where a result came from: data, design, question, models and software; no clock, no paths."""

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import pandas as pd

from aibmd.bmd_change import WithdrawalQuestion
from aibmd.cohort import Cohort
from aibmd.report.tables.csv_text import SIGNIFICANT_DIGITS

PACKAGES: Final = ("aibmd", "numpy", "pandas", "scipy", "formulaic", "matplotlib", "seaborn",
                   "jinja2")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Origin:
    """How the cohort came to be, as far as it is known.

    Attributes
    ----------
    design : str
        Name of the study design; empty for data that were read.
    seed : int or None
        Of the generator.
    command : str
        What to type to get the same results again.
    design_sha256 : str
        Of the design file.
    design_changes : tuple of str
        Parameters whose values differ from the shipped design of that analysis.
    """

    design: str = ""
    seed: int | None = None
    command: str = ""
    design_sha256: str = ""
    design_changes: tuple[str, ...] = ()


def collect_versions() -> dict[str, str]:
    """Versions of Python and of the packages that make the numbers and the pictures."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def collect_provenance(
    cohort: Cohort, question: WithdrawalQuestion, fits: pd.DataFrame, origin: Origin
) -> dict[str, Any]:
    """All that is needed to judge and repeat a result, as plain values for JSON.

    Parameters
    ----------
    cohort : Cohort
    question : WithdrawalQuestion
    fits : DataFrame
        One row per fitted model.
    origin : Origin

    Notes
    -----
    The data hash is that of the cohort as a CSV file; it does not cover the truth table.
    """
    return {
        "synthetic": cohort.synthetic,
        "data": {
            "source": cohort.source,
            "sha256": cohort.data_hash,
            "n_subjects": cohort.n_subjects,
            "n_scans": cohort.n_scans,
            "time_zero": cohort.time_zero,
            "design": origin.design or None,
            "seed": origin.seed,
            "design_sha256": origin.design_sha256 or None,
            "design_changes": list(origin.design_changes),
        },
        "question": asdict(question),
        "fits": [_plain(row) for row in fits.to_dict("records")],
        "versions": collect_versions(),
        "command": origin.command or None,
    }


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    """Values JSON knows; floats by the digits of the CSV tables."""
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return None if pd.isna(value) else float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return value
