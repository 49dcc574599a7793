import io
import json

import numpy as np
import pandas as pd
import pytest

from aibmd.report.comparison import compare_tables
from aibmd.report.tables import DisplayTable, format_csv, format_html, format_plain, print_table
from aibmd.report.tables.display import make_table
from aibmd.report.tables.population import tabulate_trajectories
from aibmd.report.tables.withdrawal import tabulate_changes, tabulate_differences, tabulate_models


def test_primary_table_says_what_published_values_are(result):
    table = tabulate_changes(result.changes, result.question)
    assert "Published (set the shipped design)" in table.columns
    assert "not evidence" in " ".join(table.notes)
    assert len(table.rows) == 6


def test_rows_follow_the_question_whatever_their_order_in_the_result(result):
    shuffled = result.changes.sample(frac=1, random_state=np.random.default_rng(5))
    assert tabulate_changes(shuffled, result.question) == tabulate_changes(
        result.changes, result.question
    )


def test_unknown_numbers_print_as_a_dash(result):
    table = tabulate_changes(result.changes.assign(design_truth=np.nan), result.question)
    assert {row[table.columns.index("Design truth")] for row in table.rows} == {"–"}
    hip = [row for row in table.rows if row[0] == "Total hip"]
    assert [row[table.columns.index("Published (set the shipped design)")] for row in hip] == [
        "–",
        "–",
    ]


def test_table_follows_the_sign_of_the_effects(result, reversed_result):
    at = tabulate_changes(result.changes, result.question).columns.index("Estimate")
    for one, other in zip(
        tabulate_changes(result.changes, result.question).rows,
        tabulate_changes(reversed_result.changes, result.question).rows,
        strict=True,
    ):
        assert float(one[at]) == -float(other[at])


def test_holm_prints_the_size_of_its_family_and_leaves_secondary_sites_out(result):
    table = tabulate_differences(result.differences, result.question)
    at = table.columns.index("Holm p (of 2)")
    assert [row[at] for row in table.rows] == ["0.0062", "0.0062", "–"]
    assert [row[1] for row in table.rows] == ["primary", "primary", "secondary"]
    assert "not an effect of withdrawal" in " ".join(table.notes)


def test_percent_change_model_has_no_ratio_of_ratios(result):
    columns = tabulate_differences(result.differences, result.question, "percent_change").columns
    assert not [name for name in columns if "atio" in name]


def test_estimate_and_interval_come_first_so_that_a_phone_shows_them(result):
    columns = tabulate_changes(result.changes, result.question).columns
    assert columns[:4] == ("Skeletal site", "Group", "Estimate", "95 % interval")


def test_a_limit_keeps_its_sign_when_it_is_rounded(result):
    changes = result.changes.assign(conf_low=-1.41, conf_high=0.004)
    rows = tabulate_changes(changes, result.question).rows
    assert {row[3] for row in rows} == {"-1.41 to 0.004"}


def test_both_models_stand_in_one_row(result):
    table = tabulate_models(result.changes, result.question)
    assert table.columns[2] == "Log model"
    assert table.columns[5] == "Percent-change model"
    assert table.rows[0][2] == table.rows[0][5] == "2.50"


def test_reference_visit_has_no_interval(result):
    table = tabulate_trajectories(result.trajectories, result.question)
    reference = [row for row in table.rows if row[2] == "5"]
    assert len(reference) == 6
    assert {row[4:6] for row in reference} == {("0 (reference)", "–")}


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="2 columns"):
        DisplayTable("t", ("a", "b"), (("1",),), ("left", "left"))


def test_csv_keeps_eight_digits_and_says_synthetic_in_every_row():
    table = pd.DataFrame(
        {
            "a": [1 / 3, np.nan, -0.0],
            "n": [1, 2, 3],
            "b": [True, False, True],
            "c": ["x,y", "", "z"],
        }
    )
    assert format_csv(table, synthetic=True).splitlines() == [
        "a,n,b,c,synthetic",
        '0.33333333,1,true,"x,y",true',
        ",2,false,,true",
        "0,3,true,z,true",
    ]


def test_csv_reads_back_to_the_same_numbers():
    table = pd.DataFrame({"p": [3.7123456789e-22, 1.0, 12345.678901234], "n": [1, 2, 3]})
    read = pd.read_csv(io.StringIO(format_csv(table)))
    np.testing.assert_allclose(read["p"], table["p"], rtol=5e-8)
    assert read["n"].tolist() == [1, 2, 3]


def test_p_values_have_six_digits_since_their_last_bits_depend_on_threads():
    assert format_csv(pd.DataFrame({"p_value": [3.7290501e-22]})) == "p_value\n3.72905e-22\n"


def test_html_escapes_every_string_of_a_table():
    nasty = "<script>\"&'"
    html = str(format_html(make_table(nasty, {nasty: "left"}, [[nasty]], [nasty])))
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 5


def test_a_table_that_fits_keeps_its_headings_on_one_line():
    table = make_table("T", {"Std. Error": "right"}, [["0.1"]])
    assert format_plain(table).splitlines()[2] == "Std. Error"


def test_a_wide_table_wraps_headings_and_never_cells():
    columns = {f"a long heading number {k}": "right" for k in range(8)}
    text = format_plain(make_table("T", columns, [["1234567890"] * 8]), width=100)
    assert text.splitlines()[-1] == "  ".join(["1234567890"] * 8)
    assert max(map(len, text.splitlines())) <= 100


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_no_color_in_the_environment_means_no_escape_codes(monkeypatch):
    table = make_table("Title", {"group": "left"}, [["[red]A[/red]"]])
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = Terminal()
    print_table(table, coloured)
    assert "\x1b[" in coloured.getvalue()
    assert "[red]A[/red]" in coloured.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    plain = Terminal()
    print_table(table, plain)
    assert "\x1b[" not in plain.getvalue()


def folders(tmp_path, expected, found):
    for name, content in (("expected", expected), ("found", found)):
        (tmp_path / name).mkdir()
        for file, text in content.items():
            (tmp_path / name / file).write_text(text)
    return compare_tables(tmp_path / "expected", tmp_path / "found")


def test_last_bits_of_a_number_are_no_difference(tmp_path):
    assert folders(tmp_path, {"a.csv": "x\n1.000000001\n"}, {"a.csv": "x\n1.000000002\n"}) == []


@pytest.mark.parametrize(
    ("expected", "found", "where"),
    [
        ("g,x\nA,1.0\n", "g,x\nA,1.00001\n", ("2", "x", "1.0", "1.00001")),
        ("g,x\nA,1\n", "g,x\nB,1\n", ("2", "g", "A", "B")),
        ("g,x\nA,\n", "g,x\nA,1\n", ("2", "x", "", "1")),
        ("g,x\nA,1\n", "g,x\nA,1\nB,2\n", ("", "number of rows", "1", "2")),
        ("g,x\nA,1\n", "g,y\nA,1\n", ("1", "header", "g, x", "g, y")),
        ("x\nnan\n", "x\nnan\n", None),
    ],
)
def test_a_difference_names_row_and_column(tmp_path, expected, found, where):
    differences = folders(tmp_path, {"a.csv": expected}, {"a.csv": found})
    shown = [(d.row, d.column, d.expected, d.found) for d in differences]
    assert shown == ([where] if where else [])


def test_a_table_only_one_folder_holds_is_a_difference(tmp_path):
    differences = folders(tmp_path, {"a.csv": "x\n"}, {"b.csv": "x\n"})
    assert [(d.file, d.expected, d.found) for d in differences] == [
        ("a.csv", "present", "missing"),
        ("b.csv", "missing", "present"),
    ]


def test_provenance_holds_no_clock_and_no_path(result, cohort):
    from aibmd.report import Origin
    from aibmd.report.provenance import collect_provenance

    found = collect_provenance(cohort, result.question, result.fits, Origin("brex", 6, "aibmd x"))
    assert found["data"]["sha256"] == cohort.data_hash
    assert found["data"]["seed"] == 6
    assert {"python", "aibmd", "numpy", "pandas", "scipy", "formulaic"} <= set(found["versions"])
    assert len(found["fits"]) == 6
    assert json.loads(json.dumps(found, allow_nan=False))["synthetic"] is True
