import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aibmd.cli import main
from aibmd.resources import data_path

ROOT = Path(__file__).parents[3]
CALCIUM = data_path("calcium", "calcium.csv")
FORMULA = "bmd_change ~ baseline_bmd * C(visit) + group * C(visit)"
BASE = ("--subject", "person", "--visit", "visit")
CHANGE = ("--change", "absolute", "--baseline", "1", "--formula", FORMULA, *BASE)
MEANS = ("--means", "group", "--by", "visit")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; exit code, what was printed, what was complained of."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["aibmd", "fit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return stopped.value.code or 0, printed.out, printed.err

    return call


def as_elsewhere(text):
    """Without what only the optimiser's last bits decide."""
    return re.sub(r"\(\d+ steps, gain left \S+\)", "(...)", text)


def documented():
    page = (ROOT / "docs" / "calcium_trial.md").read_text(encoding="utf-8")
    pairs = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", page, flags=re.DOTALL)
    return [(shlex.split(command.replace("\\\n", " ")), output) for command, output in pairs]


@pytest.mark.parametrize("place", [0, 1])
def test_documented_commands_print_what_the_page_shows(run, monkeypatch, place):
    assert len(documented()) == 2
    command, shown = documented()[place]
    monkeypatch.chdir(ROOT)
    assert command[:2] == ["aibmd", "fit"]
    code, out, err = run(*command[2:])
    assert (code, err) == (0, "")
    assert as_elsewhere(out) == as_elsewhere(shown)


def test_differences_between_arms_are_those_of_r(run, tmp_path):
    peers = json.loads((ROOT / "tests/reference/peers/calcium.json").read_text(encoding="utf-8"))
    model = peers["models"]["change_base_un_reml"]
    (expected,) = [
        entry["contrasts_revpairwise"]
        for entry in model["inference"]
        if (entry["df_method"], entry["information"]) == ("kenward_roger", "observed")
    ]
    code, _, _ = run(CALCIUM, *CHANGE, *MEANS, "--contrast", "pairwise", "--out", tmp_path)
    found = pd.read_csv(tmp_path / "contrasts.csv")
    assert code == 0
    assert found["contrast"].tolist() == ["C - P"] * 4
    for row, peer in zip(found.to_dict("records"), expected, strict=True):
        assert row["estimate"] == pytest.approx(peer["estimate"], rel=1e-6)
        assert row["std_error"] == pytest.approx(peer["se"], rel=1e-5)
        assert row["df"] == pytest.approx(peer["df"], rel=1e-5)
        assert row["p_value"] == pytest.approx(peer["p"], rel=1e-4)
    fit = pd.read_csv(tmp_path / "fit.csv")
    assert fit.loc[0, "log_likelihood"] == pytest.approx(model["loglik"], abs=1e-6)


def test_the_headings_are_those_of_sas(run):
    _, out, _ = run(CALCIUM, *CHANGE, *MEANS, "--contrast", "pairwise")
    for heading in (
        "Solution for Fixed Effects",
        "Type 3 Tests of Fixed Effects",
        "Least Squares Means",
        "Differences of Least Squares Means",
        "Std. Error",
        "Num DF  Den DF  F value",
    ):
        assert heading in out


def test_revpairwise_turns_the_sign(run, tmp_path):
    for name in ("pairwise", "revpairwise"):
        run(CALCIUM, *CHANGE, *MEANS, "--contrast", name, "--out", tmp_path / name)
    one, other = (pd.read_csv(tmp_path / n / "contrasts.csv") for n in ("pairwise", "revpairwise"))
    assert other["contrast"].tolist() == ["P - C"] * 4
    assert (one["estimate"] == -other["estimate"]).all()


def test_the_tables_are_written_beside_the_text(run, tmp_path):
    code, out, _ = run(CALCIUM, *CHANGE, *MEANS, "--out", tmp_path / "new" / "folder")
    written = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert code == 0
    assert written == {"fit.txt", "coefficients.csv", "type_three.csv", "covariance.csv",
                       "fit.csv", "means.csv"}  # fmt: skip
    assert (tmp_path / "new" / "folder" / "fit.txt").read_text(encoding="utf-8") == out


def table_with(tmp_path, **blanks):
    scans = pd.read_csv(CALCIUM, dtype=str)
    for row, code in blanks.items():
        scans.loc[int(row[1:]), "bmd"] = code
    path = tmp_path / "scans.csv"
    scans.to_csv(path, index=False)
    return path


def test_missing_codes_are_missing_scans(run, tmp_path):
    path = table_with(tmp_path, r1="NA", r2=".", r3="", r6="NaN", r7="nan")
    code, out, _ = run(path, "--formula", "bmd ~ group * C(visit)", *BASE)
    assert code == 0
    assert "Rows used       496 of 501" in out


def test_the_outcome_may_have_any_name(run, tmp_path):
    path = tmp_path / "renamed.csv"
    path.write_text(CALCIUM.read_text().replace('"bmd"', '"tb_bmd"', 1))
    _, plain, _ = run(CALCIUM, *CHANGE)
    code, renamed, _ = run(path, *CHANGE, "--bmd", "tb_bmd")
    assert code == 0
    assert renamed == plain.replace("change of bmd", "change of tb_bmd")


def test_subjects_with_leading_zeros_stay_apart(run, tmp_path):
    ids = [f"{zero}{number}" for number in range(1, 11) for zero in ("", "0")]
    values = np.random.default_rng(3).normal(size=(20, 2)).round(3)
    rows = [f"{name},{visit},{y}" for name, pair in zip(ids, values, strict=True)
            for visit, y in zip("ab", pair, strict=True)]  # fmt: skip
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["id,v,y", *rows]) + "\n")
    code, out, _ = run(path, "--formula", "y ~ v", "--subject", "id", "--visit", "v")
    assert code == 0
    assert "from 20 subjects" in out


REFUSED = {
    "no such file": (("missing.csv", "--formula", "y ~ x", *BASE), "missing.csv"),
    "no such column": ((CALCIUM, "--formula", "bmd ~ arm", *BASE), "arm"),
    "no such subject": (
        (CALCIUM, "--formula", "bmd ~ group", "--subject", "girl", "--visit", "visit"), "girl",
    ),
    "a change that the formula does not use": (
        (CALCIUM, "--formula", FORMULA, *BASE, "--change", "percent", "--baseline", "1"),
        "does not use",
    ),
    "code in the formula": (
        (CALCIUM, "--formula", "bmd ~ __import__('os').system('touch owned')", *BASE), "formula",
    ),
    "unknown covariance": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--covariance", "banana"), "banana",
    ),
    "unknown method": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--method", "banana"), "banana",
    ),
    "unknown df": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--df-method", "banana"), "banana",
    ),
    "change without baseline": (
        (CALCIUM, "--formula", FORMULA, *BASE, "--change", "percent"), "--baseline",
    ),
    "unknown change": (
        (CALCIUM, "--formula", FORMULA, *BASE, "--change", "banana", "--baseline", "1"), "banana",
    ),
    "no such baseline": (
        (CALCIUM, "--formula", FORMULA, *BASE, "--change", "absolute", "--baseline", "9"), "'9'",
    ),
    "contrast without means": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--contrast", "pairwise"), "--means",
    ),
    "adjust without contrast": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--adjust", "holm"), "--contrast",
    ),
    "means of no factor": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--means", "arm"), "arm",
    ),
    "unknown family": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--means", "group", "--contrast", "banana"),
        "banana",
    ),
    "unknown adjustment": (
        (CALCIUM, "--formula", "bmd ~ group", *BASE, "--means", "group", "--contrast", "pairwise",
         "--adjust", "banana"), "banana",
    ),
}  # fmt: skip


def test_a_folder_below_a_file_is_refused_before_anything_is_printed(run, tmp_path):
    (tmp_path / "taken").write_text("")
    code, out, err = run(
        CALCIUM, "--formula", "bmd ~ C(visit)", *BASE, "--out", tmp_path / "taken" / "below"
    )
    assert (code, out) == (2, "")
    assert "is a file" in err


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_input_is_one_message_and_touches_no_output(run, tmp_path, monkeypatch, case):
    arguments, named = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "fit.txt").write_text("from before")
    code, out, err = run(*arguments, "--out", "out")
    assert (code, out) == (2, "")
    assert err.startswith("aibmd: ")
    assert named in err
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["fit.txt", "out"]
    assert (tmp_path / "out" / "fit.txt").read_text() == "from before"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("id,v,y\n", "no rows"),
        ("id,v,y\n1,a\n", "row 2"),
        ("id,v,y,y\n1,a,1,2\n", "y"),
        ("id,v,y\n1,a,tall\n2,a,1\n", "y"),
        ("id,v,y\n1,a,\n2,a,NA\n", "y"),
        ("id,v,y\n1,a,1\n1,a,2\n", "1"),
        ("id,v,y\n1,a,1.2\n2,a,inf\n", "y"),
        ("just words\nand more\n", "id"),
    ],
)
def test_a_bad_table_is_one_message(run, tmp_path, text, named):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    code, out, err = run(path, "--formula", "y ~ 1", "--subject", "id", "--visit", "v")
    assert (code, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


def test_a_file_in_place_of_the_folder_is_refused_first(run, tmp_path):
    (tmp_path / "taken").write_text("mine")
    code, _, err = run(CALCIUM, *CHANGE, "--out", tmp_path / "taken")
    assert code == 2
    assert "taken" in err
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_bare_numeric_visit_is_warned_of_once_and_fitted(run):
    code, out, err = run(CALCIUM, "--formula", "bmd ~ group * visit", *BASE)
    assert code == 0
    assert err.count("warning: ") == 1
    assert "C(visit)" in err
    assert "Solution for Fixed Effects" in out
