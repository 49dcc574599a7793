"""The figure of the study: error rates against the number of subjects, both runs."""

from typing import TYPE_CHECKING, Final

from calibration.design import CELLS, CONF_LEVEL, LIMITS, SUBJECTS
from calibration.summary import METHOD_TITLES, Rates
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from aibmd.report.style import FAINT, LOOKING_BACK, MARKS, QUIET, Mark, house_style, render_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS: Final = dict(zip(METHOD_TITLES, (*MARKS, Mark(QUIET, "D", ":")), strict=True))
_TITLES: Final = {
    "un": "true un, fitted un\nMAR",
    "ar1": "true ar1, fitted ar1\nMAR",
    "sandwich": "true un, fitted ar1\nMCAR",
    "sandwich_mar": "true un, fitted ar1\nMAR",
}
# Place among the measures, and the label of the row of panels.
_ROWS: Final = ((0, "Difference at the last visit:\n95 % interval misses, %"),
                (3, "Group by visit, 3 df:\ntrue null rejected, %"))  # fmt: skip
# Points of one number of subjects stand beside each other.
_STEP: Final = 0.12

Runs = dict[int, dict[tuple[int, str], Rates]]


def render_png(runs: Runs) -> bytes:
    """Two measures by kind of cell, a point per run with two Monte Carlo SEs each way."""
    with house_style():
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        axes = figure.subplots(len(_ROWS), len(_TITLES), sharey="row", sharex=True)
        for row, (place, label) in zip(axes, _ROWS, strict=True):
            for ax, name in zip(row, _TITLES, strict=True):
                _draw_panel(ax, runs, name, place)
            row[0].set_ylabel(label)
            row[0].yaxis.set_major_locator(MultipleLocator(5.0))
            row[0].set_ylim(bottom=0)  # shared, and only now that all points are known
        for ax, title in zip(axes[0], _TITLES.values(), strict=True):
            ax.set_title(title)
        for ax in axes[-1]:
            ax.set_xlabel("Subjects")
        handles = [_key(method) for method in METHOD_TITLES]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
        return render_figure(figure, "png", "Error rates of intervals and tests by sample size")


def _draw_panel(ax: "Axes", runs: Runs, name: str, place: int) -> None:
    ax.axhspan(100 * LIMITS[0], 100 * LIMITS[1], color=LOOKING_BACK, zorder=0)
    ax.axhline(100 * (1.0 - CONF_LEVEL), color=FAINT, linewidth=0.9, zorder=1)
    cells = [cell for cell in CELLS if cell.name == name]
    for number, method in enumerate(cells[0].methods):
        mark = _MARKS[method]
        for run, rates in runs.items():
            found = [rates[cell.number, method] for cell in cells]
            offset = (2.4 * number + run - 3.9) * _STEP
            ax.errorbar(
                [x + offset for x in range(len(cells))],
                [100 * one.missed[place] for one in found],
                yerr=[200 * one.monte_carlo_se[place] for one in found],
                color=mark.color,
                marker=mark.marker,
                markersize=3.2,
                linestyle="none",
                linewidth=0.9,
            )
    ax.set_xticks(range(len(SUBJECTS)), [str(n) for n in SUBJECTS])
    ax.spines[["top", "right"]].set_visible(False)


def _key(method: str):
    from matplotlib.lines import Line2D

    mark = _MARKS[method]
    return Line2D(
        [], [], color=mark.color, marker=mark.marker, linestyle="none", label=METHOD_TITLES[method]
    )
