"""Every equation label in the numerics leads to one equation of one method note."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "aibmd"
NOTES = {path.name: path.read_text("utf-8") for path in (ROOT / "docs" / "methods").glob("*.md")}
# An equation is numbered in bold, or at the start of an indented block.
BOLD = r"\*\*\(([A-Z]\d+)\)\*\*"
INDENTED = r"^ {4}\(([A-Z]\d+)\)  "
DEFINED = Counter(label for text in NOTES.values() for label in re.findall(BOLD, text))
KNOWN = {label for text in NOTES.values() for label in re.findall(f"{BOLD}|{INDENTED}", text, re.M)}
KNOWN = {one for pair in KNOWN for one in pair if one}
FILES = sorted(
    path
    for stage in ("model", "inference", "fitting", "means")
    for path in (SOURCE / stage).rglob("*.py")
)


def test_a_label_is_defined_once():
    assert [label for label, count in DEFINED.items() if count > 1] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_labels_in_comments_and_docstrings_are_defined(path):
    used = set(re.findall(r"(?<!\w)\(([A-Z]\d+)\)", path.read_text("utf-8")))  # no len(A1)
    assert sorted(used - KNOWN) == []


@pytest.mark.parametrize("name", NOTES)
def test_labels_a_note_cites_are_defined(name):
    cited = set(re.findall(r"\(([A-Z]\d+)\)", NOTES[name]))
    assert sorted(cited - KNOWN) == []


def test_a_note_that_is_named_in_the_code_is_there():
    named = {
        note
        for path in SOURCE.rglob("*.py")
        for note in re.findall(r"docs/methods/(\w+\.md)", path.read_text("utf-8"))
    }
    assert sorted(named - set(NOTES)) == []
