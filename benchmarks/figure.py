"""Time against subjects, both logarithmic: a line a program."""

import pandas as pd
import seaborn
from matplotlib.figure import Figure

from aibmd.report.style import FAINT, INK, MARKS, QUIET, Mark, house_style, render_figure

TITLE = "Seconds for one fit against the number of subjects"
PANELS = {
    "Unstructured covariance, 5 visits": "un,",
    "Random intercept and slope, 4 scans": "random intercept and slope,",
}
FLOOR_NAME = "X.T @ X alone\n(no fit)"
_OURS, _FLOOR = MARKS[0], Mark(QUIET, "", (0, (1, 1.5)))
# A program keeps its mark in both panels.
_PEERS = {
    "nlme gls": Mark(INK, "D", "-"),
    "lme4 lmer": MARKS[1],
    "statsmodels MixedLM": Mark(QUIET, "P", "--"),
    "lme-python lmer": MARKS[3],
    "mixedlm lmer": MARKS[2],
    "mixedlm-rs": Mark("#a67c00", "X", "--"),
}


def draw_times(sections, path):
    """One panel a model, from the rows of the report; computes nothing."""
    table = tabulate(sections)
    with house_style():
        figure = Figure(figsize=(9.6, 3.7))
        axes = figure.subplots(1, 2, sharey=True)
        for ax, (title, rows) in zip(axes, table.groupby("panel", sort=False), strict=False):
            draw_panel(rows, ax)
            ax.set_title(title)
        axes[0].set_ylabel(
            "Seconds of processor time for one fit,\nfrom data frame to standard errors"
        )
        figure.subplots_adjust(left=0.095, right=0.8, bottom=0.135, top=0.91, wspace=0.6)
        path.write_bytes(render_figure(figure, "png", TITLE))
    return path


def tabulate(sections):
    """One row a point: panel, series, subjects, seconds; the first of equal points."""
    rows = [row for section in sections.values() for row in section]
    points = [
        {
            "panel": title,
            "series": row.series,
            "subjects": row.subjects,
            "seconds": row.took.processor,
        }
        for title, start in PANELS.items()
        for row in rows
        if row.series and row.took and row.what.startswith(start)
    ]
    return pd.DataFrame(points).drop_duplicates(["panel", "series", "subjects"])


def draw_panel(rows, ax):
    """Lines and marks of one model, slowest first in the legend."""
    speed = rows.assign(each=rows["seconds"] / rows["subjects"]).groupby("series")["each"].min()
    for series in speed.sort_values(ascending=False).index:
        own, mark = rows[rows["series"] == series], _mark(series)
        is_ours = series == "aibmd"
        seaborn.lineplot(
            own, x="subjects", y="seconds", ax=ax, color=mark.color, linestyle=mark.line,
            marker=mark.marker, markersize=5.5, linewidth=2.3 if is_ours else 1.2,
            markeredgecolor="white", zorder=3 if is_ours else 2, errorbar=None,
            label=FLOOR_NAME if series == "X.T @ X" else series, legend=False,
        )  # fmt: skip
    ax.set(xscale="log", yscale="log", xlabel="Subjects", ylabel="")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.xaxis.set_minor_formatter(lambda *_: "")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.tick_params(labelleft=True)
    ax.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    legend = ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=2.6)
    for text in legend.get_texts():
        text.set_fontweight("bold" if text.get_text() == "aibmd" else "normal")


def _mark(series):
    return {"aibmd": _OURS, "X.T @ X": _FLOOR}.get(series) or _PEERS[series]
