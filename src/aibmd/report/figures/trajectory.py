"""The trajectory panel: model means over the years, and how many women were scanned."""

from typing import TYPE_CHECKING, Final

import pandas as pd

from aibmd.formatting import format_count
from aibmd.report.style import FAINT, LOOKING_BACK, QUIET, Mark, choose_marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKING_BACK_LABEL: Final = "years 0–5: the same women looking back"
_FAINT_ALPHA: Final = 0.45
# Intervals of two groups at one visit stand side by side, years apart.
_DODGE: Final = 0.07
# Names of lines keep this share of the height of the panel apart.
_LABEL_GAP: Final = 0.105


def draw_trajectory(table: pd.DataFrame, ax: "Axes") -> "Axes":
    """Draw the change from year 5 of each group at one skeletal site over all years.

    Parameters
    ----------
    table : DataFrame
        One row per group and visit: ``group, time`` (years), ``change_from_year_5_pct,
        conf_low, conf_high, retrospective``.
    ax : Axes

    Returns
    -------
    Axes

    Notes
    -----
    Groups are formed by what happened at year 5. What lies before is how those women came to
    year 5, not an effect of what they did afterwards; it is drawn faint and says so.
    """
    marks = choose_marks(list(dict.fromkeys(table["group"])))
    reference = table.loc[~table["retrospective"], "time"].min()
    ax.axvspan(table["time"].min() - 0.4, reference, color=LOOKING_BACK, linewidth=0, zorder=0)
    ax.axhline(0.0, color=QUIET, linewidth=0.9, zorder=1)
    for place, (group, mark) in enumerate(marks.items()):
        rows = table[table["group"] == group].sort_values("time", kind="stable")
        shift = _DODGE * (place - (len(marks) - 1) / 2)
        _draw_group(rows, shift, mark, ax)
    ax.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    ax.set_axisbelow(True)
    ax.set_xlim(table["time"].min() - 0.4, table["time"].max() + 0.4)
    ax.set_xticks(_years(table), [f"{year:g}" for year in _years(table)])
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_ylabel("Change from year 5 (%)")
    return ax


def draw_line_names(table: pd.DataFrame, ax: "Axes") -> "Axes":
    """Name each line at its last visit, names of near lines pushed apart.

    Parameters
    ----------
    table : DataFrame
        As for `draw_trajectory`.
    ax : Axes
        With its final limits: panels that share them must all be drawn before.
    """
    marks = choose_marks(list(dict.fromkeys(table["group"])))
    last = table[table["time"] == table["time"].max()].sort_values("change_from_year_5_pct")
    low, high = ax.get_ylim()
    heights = _push_apart(last["change_from_year_5_pct"].tolist(), _LABEL_GAP * (high - low))
    for row, height in zip(last.to_dict("records"), heights, strict=True):
        ax.annotate(row["group"], (row["time"], height), xytext=(9, 0),
                    textcoords="offset points", color=marks[row["group"]].color, va="center",
                    fontsize=8, annotation_clip=False)  # fmt: skip
    return ax


def draw_looking_back(ax: "Axes") -> "Axes":
    """Write above the shaded years what they are; nothing of the data stands there."""
    ax.text(0.0, 1.03, LOOKING_BACK_LABEL, transform=ax.transAxes, color=QUIET, fontsize=7.5,
            style="italic", va="bottom")  # fmt: skip
    return ax


def draw_scanned(table: pd.DataFrame, ax: "Axes") -> "Axes":
    """Write how many women of each group were scanned, under the years of the panel above.

    Parameters
    ----------
    table : DataFrame
        ``group, time, n_scanned``.
    ax : Axes
        Shares the x axis of the trajectory panel.
    """
    marks = choose_marks(list(dict.fromkeys(table["group"])))
    ax.set_ylim(len(marks) + 0.1, -0.4)
    ax.axis("off")
    left = ax.get_yaxis_transform()
    ax.text(-0.02, -0.5, "n scanned at year", transform=left, ha="right", va="center",
            fontsize=7.5, color=QUIET)  # fmt: skip
    for place, (group, mark) in enumerate(marks.items()):
        ax.text(-0.02, place + 0.4, group, transform=left, ha="right", va="center",
                fontsize=7.5, color=mark.color)  # fmt: skip
        for row in table[table["group"] == group].to_dict("records"):
            ax.text(row["time"], place + 0.4, format_count(int(row["n_scanned"])), ha="center",
                    va="center", fontsize=7.5, color=mark.color)  # fmt: skip
    return ax


def _years(table: pd.DataFrame) -> list[float]:
    return sorted(table["time"].unique())


def _draw_group(rows: pd.DataFrame, shift: float, mark: Mark, ax: "Axes") -> None:
    back = rows["retrospective"].to_numpy()
    split = int(back.sum())
    time, change = rows["time"].to_numpy() + shift, rows["change_from_year_5_pct"].to_numpy()
    ax.plot(time[: split + 1], change[: split + 1], color=mark.color, linestyle=mark.line,
            linewidth=1.2, alpha=_FAINT_ALPHA, zorder=2)  # fmt: skip
    ax.plot(time[split:], change[split:], color=mark.color, linestyle=mark.line, linewidth=1.8,
            zorder=3)  # fmt: skip
    for k, row in enumerate(rows.to_dict("records")):
        alpha = _FAINT_ALPHA if row["retrospective"] else 1.0
        ax.plot([time[k]] * 2, [row["conf_low"], row["conf_high"]], color=mark.color,
                linewidth=1.4, alpha=alpha, solid_capstyle="butt", zorder=3)  # fmt: skip
        ax.plot(time[k], change[k], color=mark.color, marker=mark.marker, markersize=4.5,
                alpha=alpha, linestyle="", zorder=4)  # fmt: skip


def _push_apart(heights: list[float], gap: float) -> list[float]:
    """Ascending heights at least `gap` apart, their mean unchanged."""
    apart: list[float] = []
    for height in heights:
        apart.append(max(height, apart[-1] + gap) if apart else height)
    moved = (sum(apart) - sum(heights)) / len(heights)
    return [height - moved for height in apart]
