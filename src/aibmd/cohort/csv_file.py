"""From the bytes of a CSV file to its cells, each with the row it stands in.

Cells stay text here, so that a message can quote what the file says. Rows are counted
as a spreadsheet shows them: the header is row 1, and blank rows count.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from aibmd.errors import AibmdError, CohortError
from aibmd.formatting import format_count

_READABLE: Final = (".csv", ".txt", "")
SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs"}
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_SAVE_AS: Final = "Save it as 'CSV UTF-8 (comma delimited)' and read that file."


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table was laid out before anything was made of its cells.

    Attributes
    ----------
    columns : tuple of str
        Names of the header as they stand, repeated ones included.
    separator : str
        What stands between cells; a comma for a DataFrame.
    ragged : tuple of (row, number of cells)
        Rows with more or fewer cells than the header; they are left out of the table.
    """

    columns: tuple[str, ...]
    separator: str = ","
    ragged: tuple[tuple[int, int], ...] = ()


def read_cells(path: str | Path) -> tuple[pd.DataFrame, Layout]:
    """Cells of a CSV file as text, indexed by row number, and the layout they had.

    Parameters
    ----------
    path : str or Path
        A CSV file in UTF-8, with or without a byte order mark.

    Returns
    -------
    tuple of (DataFrame, Layout)
        The first of each repeated column; the layout names the repeats.

    Raises
    ------
    AibmdError
        If the extension belongs to another format.
    FileNotFoundError, IsADirectoryError
        If there is no such file.
    CohortError
        If the file is empty, not text, not UTF-8, or has a quotation mark out of place.
    """
    text = _decode(_read_bytes(Path(path)), path)
    separator = _find_separator(text)
    records = _split(text, separator, path)
    header, start = _header(records, path)
    padded = len(records[start - 1])
    kept, rows, ragged = _sort_out(records[start:], start + 1, len(header), padded)
    columns: Iterable[tuple[str, ...]] = zip(*kept, strict=True) if kept else [()] * len(header)
    cells: dict[str, pd.Series] = {}
    for name, values in zip(header, columns, strict=True):
        cells.setdefault(name, pd.Series(list(values), index=rows, dtype="str"))
    return pd.DataFrame(cells, index=rows), Layout(tuple(header), separator, tuple(ragged))


def _read_bytes(path: Path) -> bytes:
    if path.suffix.lower() not in _READABLE:
        raise AibmdError(
            f"{path} has the extension {path.suffix}; aibmd reads CSV files. "
            "Save the table as CSV (UTF-8), or read it with pandas and pass the DataFrame."
        )
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name the CSV file in it.")
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}. Check the name and the folder.")
    return path.read_bytes()


def _decode(content: bytes, path: str | Path) -> str:
    if content.startswith(_UTF16_MARKS):
        raise CohortError(f"{path} is encoded in UTF-16, not in UTF-8. {_SAVE_AS}")
    if b"\x00" in content or content.startswith(b"PK\x03\x04"):
        raise CohortError(f"{path} is not a text file. aibmd reads CSV. {_SAVE_AS}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + (len(content) - len(error.object))
        row = content.count(b"\n", 0, at) + 1
        raise CohortError(
            f"{path} is not encoded in UTF-8: byte {format_count(at + 1)}, in line "
            f"{format_count(row)}, is 0x{content[at]:02X}. {_SAVE_AS}"
        ) from None
    if not text.strip():
        raise CohortError(f"{path} is empty. Expected a header line and one line per scan.")
    return text


def _find_separator(text: str) -> str:
    """The separator that splits the header into most names; a comma in doubt."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return max(SEPARATORS, key=header.count)


def _split(text: str, separator: str, path: str | Path) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[list[str]] = []
    try:
        for record in reader:
            records.append([cell.strip() for cell in record])
    except csv.Error:
        raise CohortError(
            f"{path} cannot be split into cells: the row that starts in line "
            f"{format_count(_line_after(records, text))} has a quotation mark out of place. "
            'Close the quotation, or write a quotation mark inside a cell as "".'
        ) from None
    return records


def _line_after(records: list[list[str]], text: str) -> int:
    """Line that follows the records read so far; cells may hold line breaks themselves."""
    return len(records) + sum(cell.count("\n") for record in records for cell in record) + 1


def _header(records: list[list[str]], path: str | Path) -> tuple[list[str], int]:
    """Names of the columns and the number of records up to the header."""
    for number, record in enumerate(records, start=1):
        if any(record):
            width = max(i for i, name in enumerate(record, start=1) if name)
            return [name or f"unnamed_{i}" for i, name in enumerate(record[:width], 1)], number
    raise CohortError(f"{path} holds no text. Expected a header line and one line per scan.")


def _sort_out(
    records: list[list[str]], first_row: int, width: int, padded: int
) -> tuple[list[list[str]], list[int], list[tuple[int, int]]]:
    """Rows as wide as the header, their numbers, and the ragged ones; blank rows go.

    A spreadsheet pads header and rows alike; blanks go only from a row as wide as such a
    header. One blank more is a sign of a cell too many, such as 0,845 for 0.845.
    """
    kept: list[list[str]] = []
    rows: list[int] = []
    ragged: list[tuple[int, int]] = []
    # Rows of both widths below a padded header: the wider ones may hold a cell too many.
    pads = not any(len(record) == width < padded for record in records if any(record))
    for row, record in enumerate(records, start=first_row):
        if not any(record):
            continue
        is_padded = pads and len(record) == padded and not any(record[width:])
        if len(record) == width or is_padded:
            kept.append(record[:width])
            rows.append(row)
        else:
            ragged.append((row, len(record)))
    return kept, rows, ragged
