"""`DisplayTable`: a table as a reader sees it, every cell a string."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Align = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class DisplayTable:
    """Headings and cells, rounded and worded; the same for page and terminal.

    Attributes
    ----------
    title : str
        What the table shows, with the unit.
    columns : tuple of str
    rows : tuple of tuple of str
    align : tuple of "left" or "right"
        One per column; numbers stand right.
    notes : tuple of str
        What the reader must know to read it rightly.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: tuple[Align, ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.columns)]
        if wrong or len(self.align) != len(self.columns):
            raise ValueError(f"table {self.title!r}: {len(self.columns)} columns, but {wrong[:1]}")


def make_table(
    title: str,
    columns: dict[str, Align],
    rows: Iterable[Iterable[str]],
    notes: Iterable[str] = (),
) -> DisplayTable:
    """A table from headings with their alignment, and rows of strings."""
    return DisplayTable(
        title,
        tuple(columns),
        tuple(tuple(row) for row in rows),
        tuple(columns.values()),
        tuple(notes),
    )
