import struct

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from aibmd.report.figures.change import draw_change
from aibmd.report.figures.trajectory import LOOKING_BACK_LABEL, draw_trajectory
from aibmd.report.figures.withdrawal import SYNTHETIC_LABEL, draw_withdrawal
from aibmd.report.style import MARKS, house_style, render_figure


def at_spine(table, model=None):
    rows = table[table["skeletal_site"] == "lumbar_spine"]
    return rows if model is None else rows[rows["model"] == model]


def drawn(ax, marker):
    """Horizontal places of a marker."""
    return sorted(float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == marker)


def whole(result, note="SYNTHETIC DATA"):
    log = result.changes[result.changes["model"] == "log"]
    return draw_withdrawal(log, result.trajectories, note)


def laid_out(result):
    """The figure after drawing, when every word has its place."""
    figure = whole(result)
    with house_style():
        FigureCanvasAgg(figure).draw()
    return figure


def words(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def seen(figure):
    """Words that are drawn, with their boxes."""
    hidden = {
        text
        for ax in figure.axes
        if not ax.axison
        for axis in (ax.xaxis, ax.yaxis)
        for text in axis.findobj(matplotlib.text.Text)
    }
    for ax in figure.axes:
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            hidden |= {text for tick in beyond for text in (tick.label1, tick.label2)}
    texts = [
        text
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_text() and text.get_visible() and text not in hidden
    ]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [(words, box) for words, box in boxes if box.width > 0]


def test_every_mark_of_the_change_panel_stands_at_its_number(result):
    table = at_spine(result.changes, "log")
    ax = draw_change(table, Figure().add_subplot())
    assert drawn(ax, "D") == sorted(table["published"])
    assert drawn(ax, "|") == sorted(table["design_truth"])
    assert drawn(ax, "o") + drawn(ax, "s") == table["estimate"].tolist()
    limits = {tuple(map(float, line.get_xdata())) for line in ax.lines}
    assert set(zip(table["conf_low"], table["conf_high"], strict=True)) <= limits


def test_numbers_that_are_not_known_are_not_drawn(result):
    table = at_spine(result.changes, "log").assign(published=np.nan, design_truth=np.nan)
    ax = draw_change(table, Figure().add_subplot())
    assert drawn(ax, "D") == drawn(ax, "|") == []


@pytest.mark.parametrize("name", ["result", "reversed_result"])
def test_all_marks_lie_inside_the_axes_whatever_the_sign_of_the_effects(name, request):
    figure = laid_out(request.getfixturevalue(name))
    for ax in figure.axes:
        if not ax.axison:
            continue
        low, high = sorted(ax.get_xlim())
        bottom, top = sorted(ax.get_ylim())
        for line in ax.lines:
            if line.get_transform() == ax.transData:
                assert low <= min(line.get_xdata()) <= max(line.get_xdata()) <= high
                assert bottom <= min(line.get_ydata()) <= max(line.get_ydata()) <= top


def test_years_before_the_reference_are_faint_and_later_years_are_not(result):
    ax = draw_trajectory(at_spine(result.trajectories), Figure().add_subplot())
    points = [line for line in ax.lines if line.get_marker() in "os" and len(line.get_xdata()) == 1]
    faint = {round(float(line.get_xdata()[0])) for line in points if (line.get_alpha() or 1) < 1}
    full = {round(float(line.get_xdata()[0])) for line in points if (line.get_alpha() or 1) == 1}
    assert (faint, full) == ({0, 1, 3}, {5, 10})


def test_the_figure_says_what_the_reader_must_know(result):
    said = words(whole(result))
    assert "SYNTHETIC DATA" in said
    assert said.count(LOOKING_BACK_LABEL) == 3
    assert "published (set the shipped design)" in said
    assert "design truth" in said
    assert "Change, % of year 5" in said
    assert "AI withdrawn\nn = 190 (156)" in said


def test_every_panel_says_synthetic_so_that_a_cropped_one_still_does(result):
    figure = whole(result)
    marked = [ax for ax in figure.axes if SYNTHETIC_LABEL in [text.get_text() for text in ax.texts]]
    assert marked == [ax for ax in figure.axes if ax.axison]
    assert len(marked) == 6
    assert SYNTHETIC_LABEL not in words(whole(result, note=""))


def test_the_key_shows_marks_that_are_there_and_the_level_that_was_used(result):
    log = result.changes[result.changes["model"] == "log"].assign(published=np.nan)
    said = words(draw_withdrawal(log, result.trajectories, "", conf_level=0.9))
    assert "published (set the shipped design)" not in said
    assert "design truth" in said
    assert "estimate, 90 % interval" in said
    assert not [text for text in said if "95 %" in text]


def test_numbers_scanned_stand_under_their_years(result):
    figure = whole(result)
    rows = at_spine(result.trajectories)
    placed = {
        (text.get_position()[0], text.get_text())
        for text in figure.axes[2].texts
        if text.get_text().isdigit()
    }
    assert placed == {(r.time, str(r.n_scanned)) for r in rows.itertuples()}


@pytest.mark.parametrize("name", ["result", "reversed_result", "null_result"])
def test_no_two_words_of_the_figure_overlap(name, request):
    figure = laid_out(request.getfixturevalue(name))
    boxes = seen(figure)
    assert len(boxes) > 80
    clashes = [
        (one, other)
        for k, (one, box) in enumerate(boxes)
        for other, next_box in boxes[k + 1 :]
        if box.overlaps(next_box)
    ]
    assert clashes == []


def test_all_words_lie_inside_the_picture(result):
    figure = laid_out(result)
    width, height = figure.canvas.get_width_height()
    for text, box in seen(figure):
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text


def test_groups_differ_in_shape_and_line_and_in_grey():
    assert len({mark.marker for mark in MARKS}) == len({mark.line for mark in MARKS}) == len(MARKS)


def test_a_picture_has_at_least_200_dpi_and_no_date_or_software(result):
    png = render_figure(whole(result), "png", "SYNTHETIC DATA")
    svg = render_figure(whole(result), "svg", "SYNTHETIC DATA").decode()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width = struct.unpack(">I", png[16:20])[0]
    assert width >= 200 * 9.2
    assert b"Software" not in png
    assert b"SYNTHETIC DATA" in png
    assert "SYNTHETIC DATA" in svg
    assert "<dc:date>" not in svg


def test_settings_of_the_user_come_back_and_change_nothing(result):
    plain = render_figure(whole(result), "svg", "t")
    with matplotlib.rc_context({"font.size": 31, "svg.hashsalt": "mine", "axes.grid": True}):
        again = render_figure(whole(result), "svg", "t")
        assert matplotlib.rcParams["font.size"] == 31
    assert again == plain
