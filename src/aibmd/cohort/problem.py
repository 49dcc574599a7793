"""A problem in a table of scans, and how a list of them is worded."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from aibmd.errors import CohortError
from aibmd.formatting import format_count

ROWS_LISTED: Final = 10
_WIDEST_VALUE: Final = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a table of scans.

    Attributes
    ----------
    check : str
        Name of the check that found it, as in the data dictionary.
    rows : tuple
        Every row concerned: row numbers of the file (row 1 is the header), or index
        labels of a DataFrame. Empty where the whole table is concerned.
    message : str
        What was found and where: one line, then one line for each of the first rows.
    remedy : str
        What to do next.
    """

    check: str
    rows: tuple[Hashable, ...]
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}"


def show(value: Any) -> str:
    r"""A cell as it may be printed: short, and without characters that steer a terminal.

    Examples
    --------
    >>> show("0.8 g"), show("a\x1b[2J"), show(0.845), show(None)
    ("'0.8 g'", "'a?[2J'", '0.845', 'blank')
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return "blank"
    if isinstance(value, float):
        return "blank" if value != value else f"{value:.6g}"
    return f"'{show_label(value)}'" if isinstance(value, str) else show_label(value)


def show_label(value: Any) -> str:
    """A label without quotes, as `show` prints it otherwise."""
    text = "".join(c if c.isprintable() else "?" for c in str(value))
    return text if len(text) <= _WIDEST_VALUE else text[: _WIDEST_VALUE - 3] + "..."


def list_rows(cells: pd.DataFrame, extra: Sequence[str] = ()) -> str:
    """Row number and cells of the first rows, in columns; then how many more there are.

    Parameters
    ----------
    cells : DataFrame
        The cells to show, indexed by row number.
    extra : sequence of str, optional
        A remark for each row.

    Returns
    -------
    str
        Indented lines, each after a newline, ready to follow a headline.
    """
    head = cells.head(ROWS_LISTED)
    columns = [[f"row {show_label(row)}" for row in head.index]]
    columns += [[_plain(value) for value in head[name]] for name in head.columns]
    if extra:
        columns.append(list(extra[:ROWS_LISTED]))
    return align(columns) + more(len(cells) - len(head))


def _plain(value: Any) -> str:
    return show_label(value) if isinstance(value, str) else show(value)


def row_numbers(group: pd.Series, listed: int = 5) -> str:
    """Row numbers of some cells on one line.

    Examples
    --------
    >>> row_numbers(pd.Series("a", index=[2, 5, 9]))
    'rows 2, 5, 9'
    """
    head = ", ".join(show_label(row) for row in group.index[:listed])
    rest = f" and {len(group) - listed} more" if len(group) > listed else ""
    return f"{'row' if len(group) == 1 else 'rows'} {head}{rest}"


def align(columns: Sequence[Sequence[str]]) -> str:
    """Indented lines whose cells stand under each other."""
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    return "".join("\n  " + "   ".join(line).rstrip() for line in zip(*padded, strict=True))


def more(n: int) -> str:
    """Closing line of a shortened list, or nothing."""
    return f"\n  and {format_count(n)} more" if n > 0 else ""


def plural(n: int, noun: str, nouns: str | None = None) -> str:
    """Count and noun.

    Examples
    --------
    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{format_count(n)} {noun if n == 1 else nouns or noun + 's'}"


def cohort_error(problems: Sequence[Problem], source: str, counting: str) -> CohortError:
    """Error that words all problems at once, numbered, each with its remedy.

    Parameters
    ----------
    problems : sequence of Problem
    source : str
        Where the table came from.
    counting : str
        How its rows are counted.
    """
    head = f"{plural(len(problems), 'problem')} in {source}"
    if any(problem.rows for problem in problems):
        head += f" ({counting})"
    marks = [f"{number}. " for number in range(1, len(problems) + 1)] if problems[1:] else [""]
    entries = [
        mark + str(problem).replace("\n", "\n" + " " * len(mark))
        for mark, problem in zip(marks, problems, strict=True)
    ]
    return CohortError("\n\n".join([head, *entries]), tuple(problems))
