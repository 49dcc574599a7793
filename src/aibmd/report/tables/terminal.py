"""A display table on the terminal: framed where a person reads, plain where a file does."""

import os
import sys
import textwrap
from typing import IO, TYPE_CHECKING

from aibmd.report.tables.display import Align, DisplayTable

if TYPE_CHECKING:
    from rich.table import Table


def format_plain(table: DisplayTable, width: int = 100) -> str:
    """Aligned columns of text, without colour or frame.

    Parameters
    ----------
    table : DisplayTable
    width : int
        Characters. A wider table gets headings of several lines; cells are never cut.

    Examples
    --------
    >>> from aibmd.report.tables.display import make_table
    >>> print(format_plain(make_table("Change", {"group": "left", "%": "right"}, [["A", "1.2"]])))
    Change
    <BLANKLINE>
    group    %
    -----  ---
    A      1.2
    """
    heads = [[name] for name in table.columns]
    if _width(table, gap=2) > width:
        heads = [_wrap_heading(table, k) for k in range(len(table.columns))]
    depth = max(len(head) for head in heads)
    above = [tuple(head[k - depth] if k >= depth - len(head) else "" for head in heads)
             for k in range(depth)]  # fmt: skip
    cells = [*above, *table.rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(table.columns))]
    lines = [_line(row, widths, table.align) for row in cells]
    lines.insert(depth, "  ".join("-" * width for width in widths))
    notes = [line for note in table.notes for line in textwrap.wrap(note, width)]
    return "\n".join([table.title, "", *lines, *([""] if notes else []), *notes])


def _wrap_heading(table: DisplayTable, column: int) -> list[str]:
    """Lines of a heading, no wider than its cells or its longest word."""
    name = table.columns[column]
    cells = max((len(row[column]) for row in table.rows), default=0)
    return textwrap.wrap(name, max(cells, *map(len, name.split()), 4)) or [""]


def print_table(table: DisplayTable, stream: IO[str] | None = None) -> None:
    """Print with a frame on a terminal, else as `format_plain`.

    Parameters
    ----------
    table : DisplayTable
    stream : text stream, optional
        Standard output unless given. ``NO_COLOR`` in the environment means no colour.
    """
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        print(format_plain(table), file=stream)
        return
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    if console.width < _width(table, gap=3):
        print(format_plain(table, console.width), file=stream)
        return
    console.print(_framed(table))


def _line(row: tuple[str, ...], widths: list[int], align: tuple[Align, ...]) -> str:
    cells = [
        cell.rjust(width) if side == "right" else cell.ljust(width)
        for cell, width, side in zip(row, widths, align, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _width(table: DisplayTable, gap: int) -> int:
    """Characters of the longest line, columns `gap` apart."""
    cells = [table.columns, *table.rows]
    widest = [max(len(row[k]) for row in cells) for k in range(len(table.columns))]
    return sum(widest) + gap * (len(widest) - 1)


def _framed(table: DisplayTable) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    framed = Table(
        title=Text(table.title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        caption=Text("\n".join(table.notes), style="dim"),
        caption_justify="left",
    )
    for name, side in zip(table.columns, table.align, strict=True):
        framed.add_column(Text(name), justify=side)
    for row in table.rows:
        framed.add_row(*(Text(cell) for cell in row))
    return framed
