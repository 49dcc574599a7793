"""Each refusal in the catalogue refuses, and its right call works."""

import re
import warnings
from pathlib import Path

import pytest

import aibmd

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "refusals.md").read_text(encoding="utf-8")
SETUP, *SECTIONS = re.split(r"^## ", TEXT, flags=re.M)


def _blocks(text):
    return re.findall(r"```python\n(.*?)```", text, flags=re.S)


def _run(code, space):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(code, "refusals.md", "exec"), space)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.split("\n", 1)[0])
def test_refusal_and_its_right_call(section):
    space = {}
    _run(_blocks(SETUP)[0], space)
    wrong, right = _blocks(section)
    error = getattr(aibmd, re.search(r"Raises `(\w+)`", section)[1])
    with pytest.raises(aibmd.AibmdError) as caught:
        _run(wrong, space)
    assert type(caught.value) is error
    assert right.startswith("# right")
    _run(right, space)


def test_catalogue_is_not_empty():
    assert len(SECTIONS) >= 6
