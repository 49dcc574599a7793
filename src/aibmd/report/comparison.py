"""Whether regenerated tables agree with the committed ones, cell by cell."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Machines differ in the last bits, which iterations can enlarge; a changed result is far larger.
RELATIVE: Final = 1e-6
ABSOLUTE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class TableDifference:
    """One cell, or one table, that does not agree.

    Attributes
    ----------
    file : str
    row : str
        Row of the file as a spreadsheet counts, header 1; empty where the whole table differs.
    column : str
    expected, found : str
    """

    file: str
    row: str
    column: str
    expected: str
    found: str


def compare_tables(expected: Path, found: Path) -> list[TableDifference]:
    """Compare every CSV table of one folder with the table of the same name in another.

    Parameters
    ----------
    expected, found : Path
        Folders. A table that only one of them holds is a difference.

    Returns
    -------
    list of TableDifference
        Empty where all agree: cells have the same text, or are numbers within 1e-6 relative
        (1e-9 absolute) of each other.

    Notes
    -----
    Agreement says that results can be had again, not that they are right.
    """
    names = sorted({path.name for folder in (expected, found) for path in folder.glob("*.csv")})
    differences: list[TableDifference] = []
    for name in names:
        paths = expected / name, found / name
        if not all(path.is_file() for path in paths):
            there = ["present" if path.is_file() else "missing" for path in paths]
            differences.append(TableDifference(name, "", "", *there))
        else:
            differences += _compare_table(name, *(_read(path) for path in paths))
    return differences


def _read(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def _compare_table(
    name: str, expected: list[list[str]], found: list[list[str]]
) -> Iterator[TableDifference]:
    if expected[:1] != found[:1]:
        header = [", ".join(table[0]) if table else "nothing" for table in (expected, found)]
        yield TableDifference(name, "1", "header", *header)
        return
    if len(expected) != len(found):
        yield TableDifference(
            name, "", "number of rows", str(len(expected) - 1), str(len(found) - 1)
        )
        return
    for number, rows in enumerate(zip(expected[1:], found[1:], strict=True), start=2):
        for column, old, new in zip(expected[0], *rows, strict=False):
            if not _agree(old, new):
                yield TableDifference(name, str(number), column, old, new)


def _agree(expected: str, found: str) -> bool:
    if expected == found:
        return True
    try:
        numbers = float(expected), float(found)
    except ValueError:
        return False
    return math.isclose(*numbers, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
