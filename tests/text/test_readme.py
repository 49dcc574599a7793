"""The README's example prints what the README says, and its links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_prints_what_stands_below_it():
    code = re.search(r"```python\n(.*?)```", README, re.S)[1]
    expected = re.search(r"```text\n(.*?)```", README, re.S)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == expected
    assert len(code.strip().splitlines()) <= 11


def test_the_two_commands_come_first():
    commands = re.search(r"```sh\n(.*?)```", README, re.S)
    assert re.findall(r"^make (\w+)", commands[1], re.M) == ["reproduce", "test"]
    assert commands.start() < README.index("```python")


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs"])
def test_every_local_link_leads_somewhere(document):
    path = ROOT / document
    for page in [path] if path.is_file() else sorted(path.rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
