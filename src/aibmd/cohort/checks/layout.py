"""Checks of how the table is laid out: header, separators, row lengths."""

import difflib
import re
from collections import Counter
from typing import Final

from aibmd.cohort.csv_file import SEPARATORS
from aibmd.cohort.problem import ROWS_LISTED, Problem, align, more, plural, show, show_label
from aibmd.cohort.schema import REQUIRED, RULES
from aibmd.cohort.table import ScanTable
from aibmd.vocabulary import BMD, SKELETAL_SITE, SUBJECT, TIME, VISIT

# What other systems call the required columns: suggested, never taken for granted.
_OTHER_NAMES: Final = {
    SUBJECT: "usubjid subjid subject subjectid patient patientid patid person personid id pid",
    VISIT: "avisit visitname timepoint occasion wave",
    TIME: "years year timeyears followup followupyears ady",
    SKELETAL_SITE: "site region roi location bonesite",
    BMD: "bmdgcm2 aval density bonemineraldensity bonedensity",
}

_HOLDS: Final = {
    SUBJECT: "who was scanned",
    VISIT: "label of the planned visit",
    TIME: "years from time zero",
    SKELETAL_SITE: "LS, FN, TH or TB",
    BMD: "g/cm2",
}


def check_separator(table: ScanTable) -> list[Problem]:
    """Cells are separated by commas."""
    separator = table.layout.separator
    if separator == ",":
        return []
    message = f"cells are separated by {SEPARATORS[separator]}, not by commas"
    remedy = "Save the file as 'CSV UTF-8 (comma delimited)', with decimal points."
    return [Problem("separator", (), message, remedy)]


def check_ragged_rows(table: ScanTable) -> list[Problem]:
    """Every row has as many cells as the header."""
    ragged = table.layout.ragged
    if not ragged:
        return []
    lines = [[f"row {row}" for row, _ in ragged], [plural(n, "cell") for _, n in ragged]]
    shown = align([column[:ROWS_LISTED] for column in lines])
    width = len(table.layout.columns)
    n = len(ragged)
    have = "has" if n == 1 else "have"
    message = f"{plural(n, 'row')} {have} more or fewer cells than the header, which has {width}"
    if table.raw.empty and all(cells == width + 1 for _, cells in ragged):
        message += (
            ".\nEvery row has one cell too many, as where a decimal comma without quotation marks "
            "(1,8100) makes two cells of a number and shifts all cells after it"
        )
    remedy = (
        "Put text that holds a comma in quotation marks, write numbers with a decimal point "
        "(0.845, since 0,845 is two cells), and give every row all its separators."
    )
    rows = tuple(row for row, _ in ragged)
    return [Problem("ragged_rows", rows, message + shown + more(n - ROWS_LISTED), remedy)]


def check_repeated_columns(table: ScanTable) -> list[Problem]:
    """No two columns share a name."""
    repeats = [name for name, n in Counter(table.layout.columns).items() if n > 1]
    if not repeats:
        return []
    message = f"{plural(len(repeats), 'column name')} used more than once"
    places = [[i for i, c in enumerate(table.layout.columns, 1) if c == name] for name in repeats]
    where = ["columns " + ", ".join(map(str, place)) for place in places]
    message += align([[show(name) for name in repeats], where])
    return [Problem("repeated_columns", (), message, "Rename or remove all but one of each.")]


def check_column_names(table: ScanTable) -> list[Problem]:
    """Required columns are there, and no known column hides behind another spelling."""
    found = list(dict.fromkeys(table.layout.columns))
    missing = [name for name in REQUIRED if name not in found]
    free = [name for name in found if name not in RULES]
    near = {name: _near_name(name, free) for name in missing}
    disguised = _disguised(found, free, missing)
    if not missing and not disguised:
        return []
    problems = []
    if missing:
        problems.append(_missing_columns(near, found))
    if disguised:
        message = f"{plural(len(disguised), 'column')} almost named as a known column"
        message += align([[show(old) for old in disguised], list(disguised.values())])
        problems.append(Problem("column_names", (), message, _mapping(disguised)))
    return problems


def _missing_columns(near: dict[str, str | None], found: list[str]) -> Problem:
    message = f"{plural(len(near), 'required column')} {'is' if len(near) == 1 else 'are'} missing"
    hints = [f"did you mean {show(old)}?" if old else "" for old in near.values()]
    message += align([list(near), [_HOLDS[name] for name in near], hints])
    shown = ", ".join(show_label(name) for name in found[:20])
    message += f"\nThe table has: {shown}{' ...' if len(found) > 20 else ''}"
    remedies = []
    if guesses := {old: name for name, old in near.items() if old}:
        remedies += [_mapping(sure)] if (sure := _only(guesses, certain=True)) else []
        for old, name in _only(guesses, certain=False).items():
            remedies.append(
                f"If {show(old)} holds {name} ({_HOLDS[name]}): {_mapping({old: name})}"
            )
    if absent := [name for name, old in near.items() if not old]:
        remedies.append(f"Add {', '.join(absent)}, or say which column holds it (columns=).")
    return Problem("column_names", (), message, " ".join(remedies))


def _only(guesses: dict[str, str], *, certain: bool) -> dict[str, str]:
    """Guesses from a name in use elsewhere, or those from a like spelling alone.

    Times are certain in their own name alone: other names may count days or months.
    """
    return {old: name for old, name in guesses.items() if _is_certain(old, name) == certain}


def _is_certain(old: str, name: str) -> bool:
    known = () if name == TIME else _OTHER_NAMES[name].split()
    return _plain(old) in (_plain(name), *known)


def _mapping(guesses: dict[str, str]) -> str:
    pairs = ", ".join(f"{show(old)}: '{name}'" for old, name in guesses.items())
    options = " ".join(f"--columns '{show_label(old)}={name}'" for old, name in guesses.items())
    them = "it" if len(guesses) == 1 else "them"
    return f"Rename {them}, or read with columns={{{pairs}}}; on the command line {options}."


def _near_name(name: str, free: list[str]) -> str | None:
    """The free column that was probably meant."""
    plain = {_plain(column): column for column in reversed(free)}
    for other in (_plain(name), *_OTHER_NAMES.get(name, "").split()):
        if other in plain:
            return plain[other]
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
    return plain[near[0]] if near else None


def _disguised(found: list[str], free: list[str], missing: list[str]) -> dict[str, str]:
    """Columns that differ from an optional known name in case or punctuation alone."""
    known = {_plain(name): name for name in RULES if name not in found and name not in missing}
    return {column: known[_plain(column)] for column in free if _plain(column) in known}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def check_has_rows(table: ScanTable) -> list[Problem]:
    """There is at least one scan."""
    if len(table.raw) or table.layout.ragged:
        return []
    message = "the table has a header and no rows"
    return [Problem("has_rows", (), message, "Add one row per subject, visit and skeletal site.")]
