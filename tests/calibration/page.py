"""Tables of the method note and of the README, written from the committed counts."""

import re
from pathlib import Path
from typing import Final

from calibration.chunks import Counts, read_counts
from calibration.design import CELLS, ROOT_SEEDS
from calibration.summary import (
    DEMONSTRATION_REPLICATES,
    MEASURES,
    METHOD_TITLES,
    Rates,
    find_breaches,
    summarise,
    take_first,
)

from aibmd.files import write_atomic

_ROOT: Final = Path(__file__).resolve().parents[2]
NOTE: Final = _ROOT / "docs" / "methods" / "calibration.md"
FIGURE: Final = NOTE.with_suffix(".png")
README: Final = Path(__file__).parent / "README.md"

KIND_TITLES: Final = {
    "un": "True and fitted covariance `un`, missing at random",
    "ar1": "True and fitted covariance `ar1`, missing at random",
    "sandwich": "True covariance `un`, fitted `ar1`, missing completely at random",
    "sandwich_mar": "True covariance `un`, fitted `ar1`, missing at random",
}
_HEAD: Final = (
    "| n | method | coverage, difference | coverage, change | type I, trend (1 df) | "
    "type I, group by visit (3 df) | failed | bias | SD / SE |",
    "|---|---|---|---|---|---|---|---|---|",
)
_COVERAGES: Final = 2  # the first measures are of intervals


def render_tables(runs: dict[int, list[Counts]]) -> str:
    """One table for each kind of cell; run 1 / run 2 (Monte Carlo SE of one run)."""
    rates = {run: summarise(counts) for run, counts in runs.items()}
    blocks = []
    for name, title in KIND_TITLES.items():
        rows = [
            _render_row([rates[run][cell.number, method] for run in rates])
            for cell in CELLS
            if cell.name == name
            for method in cell.methods
        ]
        blocks.append("\n".join([f"**{title}**", "", *_HEAD, *rows]))
    return "\n\n".join(blocks)


def _render_row(runs: list[Rates]) -> str:
    first = runs[0]
    cells = [str(first.cell.n_subjects), METHOD_TITLES[first.method]]
    for place in range(len(MEASURES)):
        missed = [rates.missed[place] for rates in runs]
        shown = [1.0 - share for share in missed] if place < _COVERAGES else missed
        error = max(rates.monte_carlo_se[place] for rates in runs)
        cells.append(_join([f"{100 * share:.1f}" for share in shown]) + f" ({100 * error:.2f})")
    cells.append(_join([str(rates.failed) for rates in runs]))
    bias_error = max(rates.spread / rates.replicates**0.5 for rates in runs)
    cells.append(_join([f"{rates.bias:.2f}" for rates in runs]) + f" ({bias_error:.3f})")
    cells.append(_join([f"{rates.spread / rates.mean_se:.2f}" for rates in runs]))
    return "| " + " | ".join(cells) + " |"


def _join(texts: list[str]) -> str:
    return " / ".join(texts)


def render_demonstration(counts: list[Counts]) -> str:
    """What the limits say of normal quantiles at n = 20, from the first replicates."""
    some = take_first(counts, DEMONSTRATION_REPLICATES)
    lines = find_breaches(some, "normal", lambda cell: cell.n_subjects == 20)
    return "\n".join(f"- {line}" for line in lines)


def fill(text: str, name: str, content: str) -> str:
    """Replace what stands between the two marks of this name."""
    pattern = rf"(<!-- {name} -->\n).*?(\n?<!-- end of {name} -->)"
    filled, n_places = re.subn(
        pattern, lambda found: f"{found[1]}{content}\n<!-- end of {name} -->", text, flags=re.S
    )
    if n_places != 1:
        raise ValueError(f"the marks of {name!r} stand {n_places} times; expected once")
    return filled


def render_pages() -> dict[Path, str]:
    """Every page that shows results, as it should read."""
    runs = {run: read_counts(run) for run in ROOT_SEEDS}
    return {
        NOTE: fill(NOTE.read_text("utf-8"), "results", render_tables(runs)),
        README: fill(README.read_text("utf-8"), "breaches", render_demonstration(runs[1])),
    }


def write_page() -> None:
    """Write the tables into the pages, and the figure."""
    from calibration.figure import render_png

    for path, text in render_pages().items():
        write_atomic(path, text)
    write_atomic(FIGURE, render_png({run: summarise(read_counts(run)) for run in ROOT_SEEDS}))
