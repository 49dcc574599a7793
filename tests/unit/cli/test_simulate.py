import hashlib
import shutil

import pytest

from aibmd.cli import main
from aibmd.cohort import read_cohort
from aibmd.resources import data_path

DESIGN = data_path("synthetic", "brex.toml")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; exit code, what was printed, what was complained of."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["aibmd", "simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return stopped.value.code or 0, printed.out, printed.err

    return call


def test_the_shipped_cohort_is_recreated_byte_for_byte(run, tmp_path):
    code, out, err = run(DESIGN, "-o", tmp_path / "again.csv")
    assert (code, err) == (0, "")
    for made, shipped in (("again.csv", "brex.csv"), ("again_truth.csv", "brex_truth.csv")):
        content = (tmp_path / made).read_bytes()
        assert content == data_path("synthetic", shipped).read_bytes()
        assert hashlib.sha256(content).hexdigest() in out
    assert "SYNTHETIC" in out
    assert "573 women" in out
    assert "seed 6" in out


def test_the_written_table_can_be_read_and_says_it_is_synthetic(run, tmp_path):
    run(DESIGN, "-o", tmp_path / "brex.csv")
    cohort = read_cohort(tmp_path / "brex.csv")
    assert cohort.n_subjects == 573
    assert set(cohort.subjects["synthetic"]) == {"yes"}


def test_a_seed_on_the_command_line_replaces_the_one_in_the_file(run, tmp_path):
    _, out, _ = run(DESIGN, "-o", tmp_path / "a.csv", "--seed", 7)
    assert "seed 7" in out
    copy = tmp_path / "copy.toml"
    copy.write_text(DESIGN.read_text(encoding="utf-8").replace("seed = 6", "seed = 7"), "utf-8")
    run(copy, "-o", tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() != data_path("synthetic", "brex.csv").read_bytes()


def refused(run, folder, *arguments):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert "Traceback" not in err
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    return err


def test_a_design_that_cannot_be_used_touches_no_file(run, tmp_path):
    bad, target = tmp_path / "bad.toml", tmp_path / "old.csv"
    target.write_text("old")
    bad.write_text(DESIGN.read_text(encoding="utf-8").replace("value = 0.46", "value = 4.6"))
    err = refused(run, tmp_path, bad, "-o", target)
    assert "women.premenopausal_share" in err
    assert "no design" not in refused(run, tmp_path, tmp_path / "none.toml", "-o", target)


def test_a_target_that_cannot_be_written_is_refused(run, tmp_path):
    assert "not a regular file" in refused(run, tmp_path, DESIGN, "-o", tmp_path)
    assert "no folder" in refused(run, tmp_path, DESIGN, "-o", tmp_path / "none" / "a.csv")
    (tmp_path / "a_truth.csv").mkdir()
    assert "a_truth.csv" in refused(run, tmp_path, DESIGN, "-o", tmp_path / "a.csv")


def test_the_design_is_never_overwritten(run, tmp_path):
    copy = tmp_path / "design.toml"
    shutil.copy(DESIGN, copy)
    assert "the design itself" in refused(run, tmp_path, copy, "-o", copy)


def test_wrong_usage_is_exit_code_2(run, tmp_path):
    refused(run, tmp_path, DESIGN)
    refused(run, tmp_path, DESIGN, "-o", tmp_path / "a.csv", "--seed", "six")
    refused(run, tmp_path, DESIGN, "-o", tmp_path / "a.csv", "--seed", "-1")
