"""Display table of where regenerated and committed tables disagree."""

from typing import Final

from aibmd.formatting import format_count
from aibmd.report.comparison import RELATIVE, TableDifference
from aibmd.report.tables.display import DisplayTable, make_table

_SHOWN: Final = 20


def tabulate_disagreements(differences: list[TableDifference]) -> DisplayTable:
    """The first disagreements by file, row and column, and how many more there are."""
    rows = [(d.file, d.row, d.column, d.expected, d.found) for d in differences[:_SHOWN]]
    more = len(differences) - len(rows)
    notes = [f"Numbers agree within {RELATIVE:g} relative; row 1 is the header."]
    if more:
        notes.insert(0, f"{format_count(more)} further cells differ.")
    return make_table(
        "Tables that differ from the committed ones",
        {"File": "left", "Row": "right", "Column": "left", "Expected": "right", "Found": "right"},
        rows,
        notes,
    )
