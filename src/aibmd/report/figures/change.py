"""The change panel: estimate with interval, design truth and published value of each group."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from aibmd.formatting import format_count
from aibmd.report.style import FAINT, INK, QUIET, Mark, choose_marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Places within the row of one group, from its middle, so that marks never hide each other.
_ESTIMATE: Final = 0.2
_TRUTH: Final = -0.08
_PUBLISHED: Final = -0.3

TRUTH_LABEL: Final = "design truth"
PUBLISHED_LABEL: Final = "published (set the shipped design)"


def draw_change(table: pd.DataFrame, ax: "Axes") -> "Axes":
    """Draw the change of each group at one skeletal site.

    Parameters
    ----------
    table : DataFrame
        One row per group, first group on top: ``group, n_year_5, n_year_10, estimate, conf_low,
        conf_high`` and, missing where there is none, ``design_truth, published``; percent.
    ax : Axes

    Returns
    -------
    Axes

    Notes
    -----
    Limits of the axis follow the data, so panels to be compared share one x axis. A published
    value that set the design lies near the estimate by construction.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> row = {"group": "AI withdrawn", "n_year_5": 190, "n_year_10": 158, "estimate": 2.4,
    ...        "conf_low": 1.5, "conf_high": 3.3, "design_truth": 2.5, "published": 2.6}
    >>> draw_change(pd.DataFrame([row]), Figure().add_subplot()).get_xlabel()
    'Change, % of year 5'
    """
    marks = choose_marks(table["group"].tolist())
    ax.axvline(0.0, color=QUIET, linewidth=0.9, zorder=1)
    ax.grid(axis="x", color=FAINT, linewidth=0.5, alpha=0.6)
    ax.set_axisbelow(True)
    for row, place in zip(table.to_dict("records"), _places(table), strict=True):
        _draw_group(row, float(place), marks[row["group"]], ax)
    ax.set_yticks(_places(table), [_label(row) for row in table.to_dict("records")])
    ax.set_ylim(-0.55, len(table) - 0.45)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlabel("Change, % of year 5")
    return ax


def draw_change_key(table: pd.DataFrame, ax: "Axes", level: str = "95 %") -> "Axes":
    """Draw the key of the change panel, without marks for numbers that are not known.

    Parameters
    ----------
    table : DataFrame
        All rows drawn: columns ``design_truth, published``.
    ax : Axes
    level : str
        Confidence level of the intervals, in words.
    """
    from matplotlib.lines import Line2D

    known = [True, table["design_truth"].notna().any(), table["published"].notna().any()]
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=5, linewidth=1.4,
               label=f"estimate, {level} interval"),
        Line2D([], [], color=INK, marker="|", markersize=9, markeredgewidth=2, linestyle="",
               label=TRUTH_LABEL),
        Line2D([], [], color=INK, marker="D", markersize=5, markerfacecolor="none", linestyle="",
               label=PUBLISHED_LABEL),
    ]  # fmt: skip
    shown = [handle for handle, there in zip(handles, known, strict=True) if there]
    ax.legend(handles=shown, loc="center left", borderaxespad=0.0, borderpad=0.0, ncols=3,
              handlelength=1.8, columnspacing=1.6)  # fmt: skip
    ax.axis("off")
    return ax


def _places(table: pd.DataFrame) -> np.ndarray:
    return np.arange(len(table))[::-1]


def _label(row: dict[Hashable, Any]) -> str:
    n_year_5, n_year_10 = (format_count(int(row[name])) for name in ("n_year_5", "n_year_10"))
    return f"{row['group']}\nn = {n_year_5} ({n_year_10})"


def _draw_group(row: dict[Hashable, Any], place: float, mark: Mark, ax: "Axes") -> None:
    ax.plot([row["conf_low"], row["conf_high"]], [place + _ESTIMATE] * 2, color=mark.color,
            linewidth=1.8, solid_capstyle="butt", zorder=3)  # fmt: skip
    ax.plot(row["estimate"], place + _ESTIMATE, color=mark.color, marker=mark.marker, markersize=6,
            linestyle="", zorder=4)  # fmt: skip
    if pd.notna(row["design_truth"]):
        ax.plot(row["design_truth"], place + _TRUTH, color=mark.color, marker="|", markersize=9,
                markeredgewidth=2.2, linestyle="", zorder=3)  # fmt: skip
    if pd.notna(row["published"]):
        ax.plot(row["published"], place + _PUBLISHED, color=mark.color, marker="D", markersize=5,
                markerfacecolor="white", linestyle="", zorder=3)  # fmt: skip
