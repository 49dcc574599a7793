"""The command itself, before any verb."""

import locale
import subprocess
import sys

import pytest

import aibmd
from aibmd.cli import app, main


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


def test_an_interruption_while_libraries_load_is_one_message():
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from aibmd.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "aibmd: interrupted before anything was done\n"


@pytest.mark.parametrize(
    "error",
    [
        locale.Error("unsupported locale setting"),
        UnicodeDecodeError("utf-8", b"\xfc", 0, 1, "invalid start byte"),
    ],
    ids=["locale", "encoding"],
)
def test_settings_that_matplotlib_cannot_load_are_named(monkeypatch, capsys, error):
    def fail():
        raise error

    monkeypatch.setattr(app, "app", fail)
    with pytest.raises(SystemExit) as ended:
        app.run()
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "settings of matplotlib (matplotlibrc)" in err
