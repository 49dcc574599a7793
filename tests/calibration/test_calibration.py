"""The committed calibration study is complete, repeatable, within its limits, and can fail."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from calibration.chunks import read_counts, run_chunk
from calibration.design import (
    CELLS,
    CHUNK_BOUNDS,
    DROPOUT_BASES,
    ROOT_SEEDS,
    TRUTHS,
    VISITS,
    Cell,
)
from calibration.outcomes import INTERACTION, LINEAR, fit_trial, infer
from calibration.page import FIGURE, NOTE, fill, render_pages
from calibration.summary import (
    DEMONSTRATION_REPLICATES,
    MEASURES,
    find_breaches,
    summarise,
    take_first,
)
from calibration.trial import N_VISITS, find_seen, simulate_trial

import aibmd
from aibmd.model.patterns import find_patterns

OPTIONS = {
    "CR2": {"vcov": "CR2", "df_method": "satterthwaite"},
    "CR0": {"vcov": "CR0", "df_method": "normal"},
}
_SUMS = {"sum_error": 0.0, "sum_square": 0.0, "sum_se": 0.0}
BY_NAME = {(cell.name, cell.n_subjects): cell for cell in CELLS}
SAME_METHODS = [
    (cell, method) for cell in CELLS if cell.n_subjects == 40 for method in cell.methods
]


@pytest.mark.parametrize(("cell", "method"), SAME_METHODS)
def test_the_study_judges_what_fit_mmrm_reports(cell, method):
    trial = simulate_trial(cell, root=7, replicate=3)
    patterns = find_patterns(trial.subject, trial.visit, N_VISITS)
    ours = infer(trial, patterns, fit_trial(trial, patterns, cell.fitted), method)
    columns = [f"x{number}" for number in range(trial.X.shape[1])]
    data = pd.DataFrame(trial.X, columns=columns).assign(
        y=trial.y, subject_id=trial.subject, visit=np.array(VISITS)[trial.visit]
    )
    fit = aibmd.fit_mmrm(
        "y ~ 0 + " + " + ".join(columns),
        data,
        subject="subject_id",
        visit="visit",
        covariance=cell.fitted,
        **OPTIONS.get(method, {"df_method": method}),
    )
    expected = fit.inference
    np.testing.assert_allclose(ours.vcov, expected.vcov, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.infer(LINEAR).df, expected.infer(LINEAR).df, rtol=1e-8)
    joint, expected_joint = (one.test_jointly(INTERACTION) for one in (ours, expected))
    assert joint.p_value == pytest.approx(expected_joint.p_value, rel=1e-7)


@pytest.mark.parametrize("dropout", DROPOUT_BASES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_three_in_ten_are_gone_by_the_last_visit_and_nobody_returns(truth, dropout):
    many = Cell(0, "many", truth, truth, dropout, (), 40_000)
    trial = simulate_trial(many, root=7, replicate=0)
    seen = np.bincount(trial.visit, minlength=N_VISITS) / many.n_subjects
    assert seen[0] == 1.0
    assert seen[-1] == pytest.approx(0.70, abs=0.01)  # 4 SD of a proportion of 40,000
    lengths = np.bincount(trial.subject)
    np.testing.assert_array_equal(trial.visit, np.concatenate([np.arange(k) for k in lengths]))


def test_leaving_at_random_looks_at_the_observed_outcome_alone():
    rng = np.random.default_rng(7)
    y, chance = rng.normal(size=(50, 4)), rng.uniform(size=(50, 3))
    seen = find_seen(y, chance, "un", "mar")
    later = np.where(np.arange(4) >= seen.sum(axis=1)[:, None], 99.0, y)  # what was not seen
    np.testing.assert_array_equal(find_seen(later, chance, "un", "mar"), seen)
    assert (find_seen(y - 5.0, chance, "un", "mar") <= seen).all()
    np.testing.assert_array_equal(
        find_seen(y - 5.0, chance, "un", "mcar"), find_seen(y, chance, "un", "mcar")
    )


def test_true_covariances_are_those_stated():
    for Sigma in TRUTHS.values():
        np.testing.assert_allclose(Sigma, Sigma.T)
        assert np.linalg.eigvalsh(Sigma)[0] > 0
    assert len(set(ROOT_SEEDS.values())) == 2


@pytest.mark.parametrize("run", ROOT_SEEDS)
def test_every_cell_of_a_run_is_complete(run):
    lines = read_counts(run)
    expected = [
        (cell.number, cell.name, cell.n_subjects, chunk, size, method)
        for cell in CELLS
        for chunk, size in enumerate(np.diff(CHUNK_BOUNDS).tolist())
        for method in sorted(cell.methods)
    ]
    found = [(x.cell, x.name, x.n_subjects, x.chunk, x.replicates, x.method) for x in lines]
    assert found == expected
    assert all(rates.replicates == 10_000 for rates in summarise(lines).values())


def test_the_second_run_is_another_run():
    first, second = (
        [(line.sum_error, line.sum_se) for line in read_counts(run)] for run in ROOT_SEEDS
    )
    assert not set(first) & set(second)


@pytest.mark.parametrize("run", ROOT_SEEDS)
def test_kenward_roger_keeps_the_limits_where_its_model_is_true(run):
    judged = [cell for cell in CELLS if cell.is_limited]
    assert [(cell.name, cell.n_subjects) for cell in judged] == [
        ("un", 40),
        ("un", 100),
        ("ar1", 40),
        ("ar1", 100),
    ]
    assert find_breaches(read_counts(run), "kenward_roger", lambda cell: cell in judged) == []


@pytest.mark.parametrize("name", ["un", "ar1"])
def test_normal_quantiles_of_twenty_subjects_break_the_limits(name):
    some = take_first(read_counts(1), DEMONSTRATION_REPLICATES)
    assert {rates.replicates for rates in summarise(some).values()} == {2_000}
    cell = BY_NAME[name, 20]
    assert find_breaches(some, "normal", lambda judged: judged == cell)


def test_leaving_out_the_kenward_roger_adjustment_breaks_the_limits():
    cell = BY_NAME["un", 40]
    for run in ROOT_SEEDS:
        assert find_breaches(read_counts(run), "satterthwaite", lambda judged: judged == cell)


def test_a_failed_fit_counts_as_missed(monkeypatch):
    cell = BY_NAME["un", 40]
    monkeypatch.setattr("calibration.outcomes.fit_engine", _refuse)
    for line in run_chunk(1, cell, 0):
        assert line.failed == 20
        assert all(getattr(line, measure) == 20 for measure in MEASURES)


def _refuse(*_):
    raise aibmd.ConvergenceError("no maximum")


@pytest.mark.parametrize("run", ROOT_SEEDS)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.name}-{cell.n_subjects}")
def test_the_first_twenty_replicates_give_the_committed_counts(cell, run):
    committed = {x.method: x for x in read_counts(run) if (x.cell, x.chunk) == (cell.number, 0)}
    for line in run_chunk(run, cell, 0):
        stored = committed[line.method]
        assert replace(line, **_SUMS) == replace(stored, **_SUMS)
        for name in _SUMS:
            assert getattr(line, name) == pytest.approx(getattr(stored, name), abs=1e-4)


def test_a_chunk_does_not_depend_on_what_was_drawn_before():
    cell = BY_NAME["un", 20]
    alone = simulate_trial(cell, 7, 400)
    for replicate in range(398, 401):
        after_others = simulate_trial(cell, 7, replicate)
    np.testing.assert_array_equal(alone.y, after_others.y)


def test_the_pages_show_the_committed_counts():
    for path, text in render_pages().items():
        assert path.read_text("utf-8") == text, f"{path.name} is older than the counts"


def test_the_figure_stands_beside_its_note():
    assert FIGURE.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert f"({FIGURE.name})" in NOTE.read_text("utf-8")


def test_filling_a_page_needs_its_marks():
    with pytest.raises(ValueError, match="0 times"):
        fill("no marks", "results", "")
