from pathlib import Path

from aibmd.cohort import load_cohort
from aibmd.resources import data_path
from aibmd.simulation import tabulate_parameters

PAGE = Path(__file__).parents[3] / "docs" / "synthetic_data.md"


def test_the_page_lists_every_parameter_of_the_shipped_design(brex_design):
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for row in tabulate_parameters(brex_design).itertuples(index=False):
        assert f"| `{row[0]}` | {row[1]} | {row[2]} | {row[3]} |" in lines
    assert sum(line.startswith("| `") for line in lines) == len(list(brex_design.parameters()))


def test_the_dictionary_explains_every_column_of_the_shipped_files():
    text = data_path("synthetic", "README.md").read_text(encoding="utf-8")
    cohort = load_cohort("brex")
    scans, truth = text.split("## `brex_truth.csv`")
    assert [name for name in cohort.to_frame() if f"`{name}`" not in scans] == []
    assert [name for name in cohort.truth if f"`{name}`" not in truth] == []
    assert text.startswith("# SYNTHETIC")
