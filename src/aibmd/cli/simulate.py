"""`aibmd simulate DESIGN.toml -o FILE`: a synthetic cohort and its truth table as CSV."""

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from aibmd.cohort import truth_path, write_cohort, write_truth
from aibmd.errors import AibmdError
from aibmd.formatting import format_count
from aibmd.simulation import StudyDesign, simulate_cohort


def simulate(
    design: Annotated[Path, typer.Argument(metavar="DESIGN.toml", help="Design of the study.")],
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="CSV to write; the truth goes beside it."),
    ],
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Seed in place of the one in the design."),
    ] = None,
) -> None:
    """Make up a cohort from a design file; the women in it do not exist.

    Writes FILE and, beside it, <stem>_truth.csv with the noise-free BMD of each woman.
    """
    study = StudyDesign.from_toml(design)
    _check_target(out, design)
    used = study.seed if seed is None else seed
    cohort = simulate_cohort(study, used)
    truth = write_truth(cohort, out)
    table = write_cohort(cohort, out)
    typer.echo(
        f"SYNTHETIC cohort of design {study.name}, seed {used}: "
        f"{format_count(cohort.n_subjects)} women, {format_count(cohort.n_scans)} scans."
    )
    for path in (table, truth):
        typer.echo(f"wrote {path}  sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}")


def _check_target(out: Path, design: Path) -> None:
    """Refuse a target before anything is written."""
    if not out.parent.is_dir():
        raise AibmdError(f"There is no folder {out.parent} for {out.name}. Make it first.")
    for path in (out, truth_path(out)):
        if path.exists() and not path.is_file():
            raise AibmdError(f"{path} is not a regular file. Name a file to write after -o.")
        if path.exists() and path.samefile(design):
            raise AibmdError(f"{path} is the design itself. Name another file after -o.")
