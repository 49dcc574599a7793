"""The figure of the withdrawal analysis: a row per skeletal site, change left, years right."""

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from aibmd.report.figures.change import draw_change, draw_change_key
from aibmd.report.figures.trajectory import (
    draw_line_names,
    draw_looking_back,
    draw_scanned,
    draw_trajectory,
)
from aibmd.report.style import QUIET, house_style
from aibmd.vocabulary import SITE_LABELS, SKELETAL_SITE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches above the first and below the last row of panels.
_HEAD: Final = 0.72
_FOOT: Final = 1.12
SYNTHETIC_LABEL: Final = "synthetic data"
_HEADINGS: Final = {
    "change": "A  Change from year 5 to year 10",
    "years": "B  Model means with {level} intervals, years 0 to 10",
}


def draw_withdrawal(
    changes: pd.DataFrame, trajectories: pd.DataFrame, note: str, conf_level: float = 0.95
) -> "Figure":
    """Compose the figure.

    Parameters
    ----------
    changes : DataFrame
        Rows of one model: ``skeletal_site`` and the columns of `draw_change`.
    trajectories : DataFrame
        ``skeletal_site`` and the columns of `draw_trajectory` and `draw_scanned`.
    note : str
        Printed at the foot where the data are synthetic, and every panel is marked; else empty.
    conf_level : float
        Of the intervals in both tables.

    Returns
    -------
    Figure
    """
    from matplotlib.figure import Figure

    sites = list(dict.fromkeys(changes[SKELETAL_SITE]))
    with house_style():
        figure = Figure(figsize=(9.2, 2.3 * len(sites) + _HEAD + _FOOT))
        rows = _lay_out(figure, len(sites))
        for place, site in enumerate(sites):
            _draw_site(_of(changes, site), _of(trajectories, site), rows[place], site)
            if note:
                _mark_synthetic(rows[place])
        for place, site in enumerate(sites):
            draw_line_names(_of(trajectories, site), rows[place]["years"])
        level = f"{100 * conf_level:g} %"
        _write_headings(figure, rows, level)
        _write_foot(figure, rows[-1]["change"], changes, note, level)
    return figure


def _of(table: pd.DataFrame, site: str) -> pd.DataFrame:
    return table[table[SKELETAL_SITE] == site]


def _lay_out(figure: "Figure", n_sites: int) -> list[dict[str, "Axes"]]:
    """Axes by row: all change panels share their x axis, all trajectories both axes."""
    height = figure.get_figheight()
    outer = figure.add_gridspec(
        n_sites, 2, width_ratios=[1.0, 1.3], left=0.125, right=0.865, wspace=0.5, hspace=0.3,
        top=1 - _HEAD / height, bottom=_FOOT / height,
    )  # fmt: skip
    rows: list[dict[str, Axes]] = []
    for place in range(n_sites):
        first: dict[str, Any] = rows[0] if rows else {"change": None, "years": None}
        right = outer[place, 1].subgridspec(2, 1, height_ratios=[3.2, 1], hspace=0.2)
        change = figure.add_subplot(outer[place, 0], sharex=first["change"])
        years = figure.add_subplot(right[0], sharex=first["years"], sharey=first["years"])
        scanned = figure.add_subplot(right[1], sharex=years)
        rows.append({"change": change, "years": years, "scanned": scanned})
    return rows


def _draw_site(
    changes: pd.DataFrame, trajectories: pd.DataFrame, axes: dict[str, "Axes"], site: str
) -> None:
    name = SITE_LABELS.get(site, site)
    draw_change(changes, axes["change"]).set_title(name)
    draw_trajectory(trajectories, axes["years"]).set_ylabel(f"{name}\n% change from year 5")
    draw_looking_back(axes["years"])
    draw_scanned(trajectories, axes["scanned"])


def _mark_synthetic(axes: dict[str, "Axes"]) -> None:
    """Say it at every panel: pictures are cropped, and the note at the foot goes first."""
    for name in ("change", "years"):
        axes[name].text(1.0, 1.03, SYNTHETIC_LABEL, transform=axes[name].transAxes, color=QUIET,
                        fontsize=7.5, ha="right", va="bottom")  # fmt: skip


def _write_headings(figure: "Figure", rows: list[dict[str, "Axes"]], level: str) -> None:
    """Headings of the columns; one label for the shared axis."""
    for axes in rows[:-1]:
        axes["change"].set_xlabel("")
    top = 1 - 0.14 / figure.get_figheight()
    for name, text in _HEADINGS.items():
        left = rows[0][name].get_position().x0
        figure.text(left, top, text.format(level=level), fontsize=10, weight="bold", va="top")


def _write_foot(
    figure: "Figure", lowest: "Axes", changes: pd.DataFrame, note: str, level: str
) -> None:
    """The key of the change panels and the note, under the lowest of them."""
    left, height = lowest.get_position().x0, figure.get_figheight()
    key = figure.add_axes((left, 0.3 / height, 0.7, 0.25 / height))
    draw_change_key(changes, key, level)
    figure.text(left, 0.1 / height, note, fontsize=8, color=QUIET, va="bottom")
