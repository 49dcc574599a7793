"""The command itself, before any verb."""

import subprocess
import sys

import pytest

import aibmd
from aibmd.cli import main


def test_version_is_that_of_the_package(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["aibmd", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"aibmd {aibmd.__version__}\n"


def test_a_missing_library_is_one_message_that_names_the_remedy():
    code = (
        "import sys; sys.modules['typer'] = None\n"
        "from aibmd.cli import main; sys.argv = ['aibmd', 'check', 'x.csv']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pip install 'aibmd[cli]'" in done.stderr
    assert "Traceback" not in done.stderr
