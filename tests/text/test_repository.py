"""What the repository says of itself, in text."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_address_and_hashes_every_package(lock):
    text = lock.read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    pinned = re.findall(r"^[A-Za-z0-9][\w.-]*==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", text, re.M)
    assert len(pinned) == len(re.findall(r"^[A-Za-z0-9][\w.-]*==", text, re.M)) > 20


def test_run_lock_pins_the_versions_of_the_dev_lock():
    versions = [
        dict(re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)", path.read_text(encoding="utf-8"), re.M))
        for path in (ROOT / "requirements" / "run.txt", ROOT / "requirements" / "dev.txt")
    ]
    run, dev = versions
    assert {name: dev.get(name) for name in run} == run


def test_lock_inputs_and_package_metadata_ask_for_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for name in extras for line in extras[name])]
    asked = {line for line in asked if not line.startswith("aibmd[")}
    run = (ROOT / "requirements" / "run.in").read_text(encoding="utf-8").splitlines()
    assert asked <= set(run)


def test_the_version_stands_in_one_value_everywhere():
    import aibmd

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert project["version"] == aibmd.__version__
    assert f"\nversion: {aibmd.__version__}\n" in citation


def test_every_equation_label_in_the_code_stands_in_a_method_note():
    notes = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs" / "methods").glob("*.md"))
    missing = []
    for path in (ROOT / "src" / "aibmd").rglob("*.py"):
        for label in re.findall(r"#.*?\(([A-Z]\d+)\)", path.read_text(encoding="utf-8")):
            if f"({label})" not in notes:
                missing.append(f"{path.name}: ({label})")
    assert not missing


def test_pre_commit_fetches_nothing():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]
