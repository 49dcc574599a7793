"""Every public name stands on the reference page and has a docstring."""

import re
from pathlib import Path

import pytest

import aibmd

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
NAMES = [name for name in aibmd.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_on_the_page_and_explains_itself(name):
    assert re.search(rf"`{name}[`(]", PAGE)
    assert len(getattr(aibmd, name).__doc__.strip()) > 20


def test_the_page_names_nothing_that_is_not_public():
    listed = re.findall(r"^\| `(\w+)", PAGE, re.M)
    assert sorted(set(listed) - set(NAMES)) == []
