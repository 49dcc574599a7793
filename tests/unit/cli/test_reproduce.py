import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from aibmd import resources
from aibmd.cli import main
from aibmd.resources import analysis_path, data_path

NAME = "brex_withdrawal"
HOSTILE = """
backend : pdf
font.size : 31
font.family : monospace
axes.facecolor : red
axes.grid : True
savefig.bbox : tight
savefig.dpi : 40
svg.hashsalt : mine
svg.fonttype : none
path.simplify : True
lines.linewidth : 9
"""


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; exit code, what was printed, what was complained of."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["aibmd", "reproduce", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return stopped.value.code or 0, printed.out, printed.err

    return call


def run_elsewhere(folder, **environment):
    """The command in another process; everything it wrote, and what it printed."""
    command = [sys.executable, "-c", "from aibmd.cli import main; main()", "reproduce", NAME]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=True
    )
    out = Path(folder) / "results" / NAME
    return {path.name: path.read_bytes() for path in out.iterdir()}, done.stdout


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory):
    return run_elsewhere(tmp_path_factory.mktemp("plain"), PYTHONHASHSEED="1", TZ="UTC")


@pytest.fixture(scope="module")
def shipped(plain_run, tmp_path_factory):
    """Folder with the outputs on the shipped cohort."""
    folder = tmp_path_factory.mktemp("shipped")
    for name, content in plain_run[0].items():
        (folder / name).write_bytes(content)
    return folder


def test_folder_hash_seed_time_zone_locale_and_settings_change_no_byte(plain_run, tmp_path):
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "matplotlibrc").write_text(HOSTILE)
    folder = tmp_path / "other folder"
    folder.mkdir()
    (folder / "matplotlibrc").write_text(HOSTILE)
    again = run_elsewhere(
        folder,
        PYTHONHASHSEED="77",
        TZ="Pacific/Kiritimati",
        LC_ALL="C",
        MPLCONFIGDIR=str(settings),
        MATPLOTLIBRC=str(settings / "matplotlibrc"),
        MPLBACKEND="svg",
        OMP_NUM_THREADS="2",
        OPENBLAS_NUM_THREADS="2",
    )
    assert again[0].keys() == plain_run[0].keys()
    assert [name for name in again[0] if again[0][name] != plain_run[0][name]] == []
    assert again[1] == plain_run[1]


def test_it_ends_with_a_table_and_the_path_of_the_page(plain_run):
    printed = plain_run[1].decode()
    assert printed.startswith("SYNTHETIC DATA")
    assert "Lumbar spine  AI withdrawn" in printed
    assert printed.splitlines()[-1] == f"Page: results/{NAME}/report.html"


def test_table_page_and_csv_tell_the_same_number(plain_run, shipped):
    changes = pd.read_csv(shipped / "changes.csv")
    first = changes[(changes["model"] == "log") & (changes["skeletal_site"] == "lumbar_spine")
                    & (changes["group"] == "AI withdrawn")].iloc[0]  # fmt: skip
    shown = f"{first['estimate']:.2f}"
    assert shown in plain_run[1].decode()
    assert f">{shown}<" in plain_run[0]["report.html"].decode()


def test_no_name_lists_the_analyses_with_their_question(run):
    code, out, _ = run()
    question = analysis_path(NAME, "run.py").read_text(encoding="utf-8").split('"""')[1]
    assert code == 0
    assert out.splitlines()[:2] == [NAME, f"    {question.splitlines()[0]}"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nope"], NAME),
        (["../brex_withdrawal"], NAME),
        ([NAME, "nope"], "nope"),
        ([NAME, "--design", "missing.toml"], "missing.toml"),
        ([NAME, "--design", "bad.toml"], "bad.toml"),
        ([NAME, "--check", "--seed", "3"], "--check"),
        ([NAME, "--check", "--out", "here"], "--check"),
        ([NAME, "--out", "bad.toml"], "bad.toml"),
    ],
)
def test_wrong_usage_is_one_message_and_writes_nothing(
    run, tmp_path, monkeypatch, arguments, named
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("this is [not toml")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "aibmd: " in err
    assert named in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


@pytest.fixture
def shipped_elsewhere(shipped, tmp_path, monkeypatch):
    """A copy of what is shipped, with the tables of this run as the committed ones."""
    root = tmp_path / "shipped"
    shutil.copytree(analysis_path(NAME), root / "analyses" / NAME,
                    ignore=shutil.ignore_patterns("expected"))  # fmt: skip
    shutil.copytree(data_path("synthetic"), root / "data" / "synthetic")
    expected = root / "analyses" / NAME / "expected"
    expected.mkdir()
    for path in shipped.glob("*.csv"):
        shutil.copy(path, expected)
    monkeypatch.setattr(resources, "_SHIPPED", root)
    return expected


def test_check_says_yes_to_its_own_tables_and_writes_nothing(
    run, shipped_elsewhere, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = run(NAME, "--check")
    assert code == 0
    assert "all 8 tables agree" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_check_names_file_row_column_and_both_values_of_a_difference(run, shipped_elsewhere):
    table = pd.read_csv(shipped_elsewhere / "flow.csv", dtype=str, keep_default_na=False)
    table.loc[0, "n"] = "574"
    table.to_csv(shipped_elsewhere / "flow.csv", index=False)
    code, out, _ = run(NAME, "--check")
    assert code == 1
    assert "1 differences" not in out
    assert "1 difference from the committed tables" in out
    assert out.splitlines()[-3].split() == ["flow.csv", "2", "n", "574", "573"]


def test_check_without_committed_tables_is_an_error(run, shipped_elsewhere):
    shutil.rmtree(shipped_elsewhere)
    code, _, err = run(NAME, "--check")
    assert code == 2
    assert "no committed tables" in err


def reversed_design(folder):
    text = data_path("synthetic", "brex.toml").read_text(encoding="utf-8")
    line = "withdrawal = 1.0"
    assert text.count(line) == 1
    path = folder / "reversed.toml"
    path.write_text(text.replace(line, "withdrawal = -1.0"), encoding="utf-8")
    return path


def test_outputs_follow_a_reversed_design(run, shipped, tmp_path):
    code, _, err = run(NAME, "--design", reversed_design(tmp_path), "--out", tmp_path / "out")
    assert code == 0
    assert "Generating" in err
    one, other = (pd.read_csv(folder / "differences.csv") for folder in (shipped, tmp_path / "out"))
    assert (one["percentage_points"] > 0).all()
    spine = other["skeletal_site"] == "lumbar_spine"
    assert (other.loc[spine, "percentage_points"] < 0).all()
    assert "--design reversed.toml" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert (tmp_path / "out" / "figure.svg").read_bytes() != (shipped / "figure.svg").read_bytes()


def test_a_seed_generates_another_cohort_and_says_so(run, shipped, tmp_path):
    code, _, _ = run(NAME, "--seed", 123, "--out", tmp_path)
    assert code == 0
    assert '"seed": 123' in (tmp_path / "provenance.json").read_text("utf-8")
    assert (tmp_path / "changes.csv").read_bytes() != (shipped / "changes.csv").read_bytes()


def test_the_seed_of_the_design_gives_the_shipped_results(run, shipped, tmp_path):
    code, _, _ = run(NAME, "--design", data_path("synthetic", "brex.toml"), "--out", tmp_path)
    assert code == 0
    for path in shipped.glob("*.csv"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_changed_design_is_named_with_what_it_changes(run, tmp_path):
    text = data_path("synthetic", "brex.toml").read_text(encoding="utf-8")
    changed = tmp_path / "reversed.toml"
    changed.write_text(text.replace("withdrawal = 1.0", "withdrawal = -1.0"), encoding="utf-8")
    code, _, _ = run(NAME, "--design", changed, "--out", tmp_path / "out")
    assert code == 0
    data = json.loads((tmp_path / "out" / "provenance.json").read_text("utf-8"))["data"]
    assert data["design_sha256"] == hashlib.sha256(changed.read_bytes()).hexdigest()
    [change] = data["design_changes"]
    assert change.startswith("effect_multipliers: ")
    assert "withdrawal 1, " in change.split(" -> ")[0]
    assert "withdrawal -1, " in change.split(" -> ")[1]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "withdrawal -1" in page
    assert "need not lie near it" in page
