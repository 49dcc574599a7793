"""`aibmd check` as a user meets it: exit code, one message, no traceback, nothing written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aibmd.cli.app import run

COHORT_TESTS = Path(__file__).parents[1] / "cohort"
MALFORMED = sorted((COHORT_TESTS / "malformed").glob("*.csv"))
VALID = COHORT_TESTS / "valid.csv"
NO_TABLE = {"empty", "latin_1", "utf_16", "binary", "quotation_open"}


@pytest.fixture
def aibmd(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["aibmd", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            run()
        assert not list(tmp_path.iterdir())
        return caught.value.code, *capsys.readouterr()

    return call


def test_there_are_more_than_twenty_malformed_files():
    assert len(MALFORMED) > 20


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.stem)
def test_a_malformed_file_ends_in_one_message(aibmd, path):
    before = path.read_bytes()
    code, out, err = aibmd("check", path)
    if path.stem in NO_TABLE:
        assert (code, out) == (2, "")
        assert err.startswith("aibmd: ")
        assert err.count("\n") == 1
    else:
        assert (code, err) == (1, "")
        assert "problem" in out.splitlines()[0]
        assert path.name in out.splitlines()[0]
    assert "Traceback" not in out + err
    assert path.read_bytes() == before


def test_a_sound_file_is_described(aibmd):
    code, out, err = aibmd("check", VALID)
    assert (code, err) == (0, "")
    assert "subjects        4" in out
    assert out.endswith("No problems found.\n")


def test_columns_are_mapped_as_the_message_says(aibmd):
    path = COHORT_TESTS / "malformed" / "column_misnamed.csv"
    _, out, _ = aibmd("check", path)
    assert "--columns 'SubjectID=subject_id'" in out
    assert aibmd("check", path, "--columns", "SubjectID=subject_id")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "scans.csv"], "There is no file scans.csv"),
        (["check", "."], "is a folder"),
        (["check", "scans.xlsx"], "aibmd reads CSV"),
        (["check", VALID, "--columns", "bmd"], "FILECOL=OURNAME"),
        (["check", VALID, "--columns", "id=subject_id"], "does not have"),
        (["check", VALID, "--columns", "bmd=a", "--columns", "bmd=b"], "twice"),
        (["check"], "Missing argument"),
    ],
)
def test_wrong_usage_is_one_message_and_code_2(aibmd, arguments, words):
    code, out, err = aibmd(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def run_installed(path, folder):
    """The command in a process of its own, in a terminal without colour or letters beyond ASCII."""
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "from aibmd.cli import main; main()", "check", str(path)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, check=False
    )


@pytest.mark.parametrize(
    ("name", "code"), [("bmd_in_mg", 1), ("latin_1", 2), ("scan_repeated", 1), ("empty", 2)]
)
def test_the_installed_command_answers_alike_in_a_plain_terminal(tmp_path, name, code):
    done = run_installed(COHORT_TESTS / "malformed" / f"{name}.csv", tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def test_labels_in_other_alphabets_do_not_break_a_plain_terminal(tmp_path):
    path = tmp_path / "scans.csv"
    text = VALID.read_text().replace("year_5", "år_5").replace("0.9816", "för lågt")
    path.write_text(text, encoding="utf-8")
    done = run_installed(path, tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "f\\xf6r l\\xe5gt" in done.stdout
