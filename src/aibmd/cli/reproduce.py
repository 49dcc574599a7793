"""`aibmd reproduce NAME`: run a shipped analysis again, or check it against its own results.

An analysis is a folder ``analyses/NAME`` with a ``run.py`` that holds its question as the first
line of its docstring, the name of its shipped cohort in ``COHORT``, and ``run(cohort, out, origin,
progress)``, which writes all outputs into ``out`` and returns their paths, the page last. One of
them is ``summary.txt``, the tables for the terminal.
"""

import ast
import hashlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from aibmd.cli.progress import show_progress
from aibmd.errors import AibmdError
from aibmd.resources import analysis_path, data_path, list_analyses

if TYPE_CHECKING:
    from aibmd.cohort import Cohort
    from aibmd.report import Origin
    from aibmd.simulation import StudyDesign

_SUMMARY: Final = "summary.txt"
Progress = Callable[[str], None]


def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Analyses; none lists them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Run every analysis.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the committed tables; write nothing.")
    ] = False,
    design: Annotated[
        Path | None,
        typer.Option(metavar="DESIGN.toml", help="Generate the cohort from this design."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Generate the cohort with this seed.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write to DIR for one analysis, to DIR/NAME for several; default results/NAME.",
        ),
    ] = None,
) -> None:
    """Run shipped analyses: tables, figure and page; or list them.

    Reads the shipped cohort unless --design or --seed asks for a new one. Exit code of
    --check: 0 same results, 1 different.
    """
    chosen = list(list_analyses()) if every else list(dict.fromkeys(names or []))
    if not chosen:
        _list_analyses()
        return
    _refuse(chosen, check, design, seed, out)
    if check:
        same = [_check(name) for name in chosen]
        raise typer.Exit(0 if all(same) else 1)
    for name in chosen:
        folder = out or Path("results") / name
        _reproduce(name, folder / name if out and len(chosen) > 1 else folder, design, seed)


def _list_analyses() -> None:
    for name in list_analyses():
        typer.echo(f"{name}\n    {_read_question(name)}")


def _read_question(name: str) -> str:
    """First line of the docstring of an analysis, read without running it."""
    tree = ast.parse(analysis_path(name, "run.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "no question stated").splitlines()[0]


def _refuse(
    chosen: list[str], check: bool, design: Path | None, seed: int | None, out: Path | None
) -> None:
    """Wrong usage, before anything is computed or written."""
    known = list_analyses()
    if unknown := [name for name in chosen if name not in known]:
        raise AibmdError(
            f"There is no analysis {', '.join(map(repr, unknown))}. Available: {', '.join(known)}."
        )
    if check and (design is not None or seed is not None or out is not None):
        raise AibmdError(
            "--check compares the shipped cohort with the committed tables and writes nothing; "
            "leave out --design, --seed and --out."
        )
    if out is not None and out.exists() and not out.is_dir():
        raise AibmdError(f"--out {out} is not a folder. Name a folder for the outputs.")


def _reproduce(name: str, out: Path, design: Path | None, seed: int | None) -> None:
    with show_progress() as progress:
        paths = _run(name, out, design, seed, progress)
    for path in paths:
        if path.name == _SUMMARY:
            typer.echo(path.read_text(encoding="utf-8"))
    typer.echo(f"Page: {paths[-1]}")


def _run(
    name: str, out: Path, design: Path | None, seed: int | None, progress: Progress
) -> list[Path]:
    """Load the analysis and its cohort, and run it into `out`; the files, the page last."""
    analysis = _load(name)
    generate = design is not None or seed is not None
    progress("Generating the cohort" if generate else f"Reading cohort {analysis.COHORT}")
    cohort, origin = _find_cohort(name, analysis.COHORT, design, seed)
    return list(analysis.run(cohort, out, origin=origin, progress=progress))


def _load(name: str) -> ModuleType:
    """The ``run.py`` of an analysis as a module, without leaving bytecode beside it."""
    path = analysis_path(name, "run.py")
    spec = importlib.util.spec_from_file_location(f"aibmd_analysis_{name}", path)
    if spec is None or spec.loader is None:
        raise AibmdError(f"{path} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = kept
    return module


def _find_cohort(
    name: str, shipped: str, design: Path | None, seed: int | None
) -> "tuple[Cohort, Origin]":
    """The shipped cohort, or one generated from a design and a seed."""
    from aibmd.cohort import load_cohort
    from aibmd.report import Origin
    from aibmd.simulation import StudyDesign, simulate_cohort

    standard = data_path("synthetic", f"{shipped}.toml")
    study = StudyDesign.from_toml(design or standard)
    used = study.seed if seed is None else seed
    command = f"aibmd reproduce {name}"
    command += f" --design {design.name}" if design else ""
    command += f" --seed {seed}" if seed is not None else ""
    origin = Origin(
        design=study.name,
        seed=used,
        command=command,
        design_sha256=hashlib.sha256((design or standard).read_bytes()).hexdigest(),
        design_changes=_list_changes(StudyDesign.from_toml(standard), study),
    )
    generate = design is not None or seed is not None
    return simulate_cohort(study, used) if generate else load_cohort(shipped), origin


def _list_changes(shipped: "StudyDesign", used: "StudyDesign") -> tuple[str, ...]:
    """Each parameter whose values differ, with both."""
    from aibmd.simulation.parameter_table import tabulate_parameters

    before, after = (
        dict(zip(table["parameter"], table["values"], strict=True))
        for table in (tabulate_parameters(shipped), tabulate_parameters(used))
    )
    return tuple(
        f"{name}: {before[name]} -> {values}"
        for name, values in after.items()
        if values != before[name]
    )


def _check(name: str) -> bool:
    """Whether the analysis gives its committed tables again; says where not."""
    from aibmd.report.comparison import compare_tables
    from aibmd.report.tables import print_table
    from aibmd.report.tables.comparison import tabulate_disagreements

    expected = analysis_path(name, "expected")
    if not any(expected.glob("*.csv")):
        raise AibmdError(f"{name} has no committed tables in {expected} to compare with.")
    with tempfile.TemporaryDirectory(prefix="aibmd-check-") as folder, show_progress() as progress:
        _run(name, Path(folder), None, None, progress)
        differences = compare_tables(expected, Path(folder))
    n_tables = len(list(expected.glob("*.csv")))
    if not differences:
        typer.echo(f"{name}: all {n_tables} tables agree with the committed ones.")
        return True
    n = len(differences)
    word = "difference" if n == 1 else "differences"
    typer.echo(f"{name}: {n} {word} from the committed tables.\n")
    print_table(tabulate_disagreements(differences))
    return False
