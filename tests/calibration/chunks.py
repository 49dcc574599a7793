"""Replicates in chunks: one chunk to its counts, and the files that hold the counts."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from calibration.design import CELLS, CHUNK_BOUNDS, ROOT_SEEDS, Cell
from calibration.outcomes import judge_trial
from calibration.trial import simulate_trial

from aibmd.files import write_atomic

FOLDER = Path(__file__).parent / "runs"
# Coarser than the rounding of any machine.
_DIGITS = 4


@dataclass(frozen=True, slots=True, order=True)
class Counts:
    """What one method did in one chunk of one cell; a line of the result files.

    Attributes
    ----------
    cell, name, n_subjects
        As in `Cell`.
    chunk, replicates : int
    method : str
    failed : int
        Fits that were not certified or gave no inference; they count as missed below.
    missed_difference, missed_change : int
        95 % intervals without the truth.
    rejected_trend, rejected_interaction : int
        Tests at 5 % of a true null: 1 df, 3 df.
    sum_error, sum_square, sum_se : float
        Of the difference at the last visit, over fits that did not fail: estimate minus truth,
        its square, and the standard error.
    """

    cell: int
    name: str
    n_subjects: int
    chunk: int
    replicates: int
    method: str
    failed: int
    missed_difference: int
    missed_change: int
    rejected_trend: int
    rejected_interaction: int
    sum_error: float
    sum_square: float
    sum_se: float


def run_chunk(run: int, cell: Cell, chunk: int) -> list[Counts]:
    """Simulate, fit and count one chunk; it depends on nothing but its three numbers."""
    replicates = range(*CHUNK_BOUNDS[chunk : chunk + 2])
    root = ROOT_SEEDS[run]
    trials = [judge_trial(simulate_trial(cell, root, r), cell) for r in replicates]
    counted = []
    for method, outcomes in zip(cell.methods, zip(*trials, strict=True), strict=True):
        fitted = [outcome for outcome in outcomes if not outcome.failed]
        error = np.array([outcome.error for outcome in fitted])
        missed = np.sum([outcome.missed for outcome in outcomes], axis=0)
        counted.append(
            Counts(
                cell.number,
                cell.name,
                cell.n_subjects,
                chunk,
                len(replicates),
                method,
                len(outcomes) - len(fitted),
                *missed.tolist(),
                float(error.sum()),
                float((error**2).sum()),
                float(sum(outcome.se for outcome in fitted)),
            )
        )
    return counted


def list_tasks() -> list[tuple[Cell, int]]:
    """Every chunk of every cell, the smallest trials first."""
    return [(cell, chunk) for cell in CELLS for chunk in range(len(CHUNK_BOUNDS) - 1)]


def result_path(run: int) -> Path:
    """Where the counts of a run stand."""
    return FOLDER / f"run_{run}.csv"


def read_counts(run: int) -> list[Counts]:
    """The lines of a result file; none where there is no file yet."""
    path = result_path(run)
    if not path.exists():
        return []
    kinds = {field.name: field.type for field in fields(Counts)}
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            Counts(**{name: kinds[name](text) for name, text in row.items()})
            for row in csv.DictReader(lines)
        ]


def write_counts(run: int, counts: Iterable[Counts]) -> None:
    """Replace a result file in one step, in an order that no schedule of work changes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Counts))
    for line in sorted(counts):
        values = astuple(line)
        writer.writerow(f"{v:.{_DIGITS}f}" if isinstance(v, float) else v for v in values)
    write_atomic(result_path(run), text.getvalue())
