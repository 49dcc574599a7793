import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aibmd.report import render_withdrawal_report, write_withdrawal_report


class Tags(HTMLParser):
    """Tags with their attributes, and the text outside style."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.inside = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.inside:
            self.text.append(data)

    def words(self):
        return re.sub(r"\s+", " ", " ".join(self.text))

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(files):
    return files["report.html"].decode()


def without_pictures(files):
    """Text of the files that are text, without the figure inside the page."""
    return {
        name: re.sub(r"base64,[^\"]+", "", content.decode())
        for name, content in files.items()
        if not name.startswith("figure")
    }


def test_the_page_loads_nothing_and_runs_nothing(page):
    tags = Tags(page)
    addresses = [a[k] for _, a in tags.tags for k in ("src", "href", "srcset", "action") if k in a]
    assert len(addresses) == 2
    assert all(address.startswith("data:") for address in addresses)
    assert not {"script", "iframe", "object", "form"} & {tag for tag, _ in tags.tags}
    assert not [k for _, a in tags.tags for k in a if k.startswith("on")]
    assert "@import" not in page
    assert "url(" not in page


def test_the_page_has_language_title_headings_and_alternative_text(page):
    tags = Tags(page)
    assert tags.of("html") == [{"lang": "en"}]
    assert len(tags.of("h1")) == 1
    assert len(tags.of("h2")) == 9
    (image,) = tags.of("img")
    assert "Lumbar spine, AI withdrawn: 2.5 % (1.7 to 3.3)" in image["alt"]
    assert len(tags.of("table")) == len(tags.of("figcaption")) - 1 == 9


def test_every_table_scrolls_in_its_own_container(page):
    assert len(re.findall(r'<div class="scroll"[^>]*>\s*<table>', page)) == page.count("<table>")


def test_the_page_says_what_it_must(page):
    words = Tags(page).words()
    for said in (
        "SYNTHETIC DATA. No woman in this cohort exists.",
        "Published (set the shipped design)",
        "not evidence",
        "Holm p (of 2)",
        "log(bmd) ~ group * visit",
        "unstructured (un)",
        "REML",
        "Kenward-Roger (1997, first order)",
        "lumbar spine 2,138 rows of 448 women",
        "one row per woman, so one residual variance",
        "certified as the maximum",
        "brex, seed 6",
        "aibmd reproduce brex_withdrawal",
        "the same women looking back",
        "573",
        "Never AI or tamoxifen",
        "ANCOVA on the reference visit: unbiased when the rule holds",
    ):
        assert said in words, said


def test_a_fit_that_is_not_certified_is_said_loudly(result, cohort):
    result.fits["converged"] = False
    page = render_withdrawal_report(result, cohort)["report.html"].decode()
    assert "NOT CERTIFIED" in page
    assert "Every fit was certified" not in page


def test_hostile_words_of_data_do_not_become_markup(
    hostile_result, read_cohort_with_hostile_source
):
    page = render_withdrawal_report(hostile_result, read_cohort_with_hostile_source)["report.html"]
    tags = Tags(page.decode())
    assert tags.of("script") == []
    assert len(tags.of("img")) == 1
    assert "<script>alert(1)</script>" in tags.words()
    assert '"><img src=x onerror=alert(1)>.csv' in tags.words()


def test_every_output_says_synthetic(files):
    assert len(files) == 13
    for name, content in files.items():
        assert b"synthetic" in content.lower(), name


def test_data_that_were_read_are_not_called_synthetic(result, read_cohort_with_hostile_source):
    files = render_withdrawal_report(result, read_cohort_with_hostile_source)
    assert b"SYNTHETIC" not in b"".join(files.values())
    assert json.loads(files["provenance.json"])["synthetic"] is False


def test_nobody_is_named_in_any_output(files):
    for name, text in without_pictures(files).items():
        assert not re.search(r"\bS[12]\b", text), name
        assert "subject_id" not in text, name


def test_no_clock_and_no_absolute_path_enters(files):
    for name, text in without_pictures(files).items():
        assert str(Path.cwd()) not in text, name
        assert str(Path.home()) + os.sep not in text, name
        assert not re.search(r"20\d\d-\d\d-\d\d", text), name


def test_the_page_follows_the_result(files, reversed_result, cohort, origin):
    other = render_withdrawal_report(reversed_result, cohort, origin)
    assert files["figure.svg"] != other["figure.svg"]
    assert b">-2.50<" not in files["report.html"]
    assert b">-2.50<" in other["report.html"]


def test_foreign_files_stay_and_deleted_outputs_come_back(result, cohort, tmp_path, origin):
    (tmp_path / "mine.csv").write_text("mine")
    paths = write_withdrawal_report(result, cohort, tmp_path, origin)
    before = {path.name: path.read_bytes() for path in paths}
    assert paths[-1].name == "report.html"
    for path in paths:
        path.unlink()
    write_withdrawal_report(result, cohort, tmp_path, origin)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == {
        **before, "mine.csv": b"mine",
    }  # fmt: skip


def test_an_interrupted_run_leaves_whole_files_only(
    files, result, cohort, tmp_path, monkeypatch, origin
):
    (tmp_path / "report.html").write_text("the old page")
    replace, done = os.replace, []

    def interrupted(source, target):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(target)
        replace(source, target)

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_withdrawal_report(result, cohort, tmp_path, origin)
    monkeypatch.undo()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(left) == 4
    assert left.pop("report.html") == b"the old page"
    assert all(files[name] == content for name, content in left.items())


def test_an_error_while_drawing_leaves_nothing(result, cohort, tmp_path, monkeypatch, origin):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr("aibmd.report.withdrawal.render_page", fail)
    with pytest.raises(MemoryError):
        write_withdrawal_report(result, cohort, tmp_path / "out", origin)
    assert not (tmp_path / "out").exists()
