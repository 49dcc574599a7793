"""The committed calibration study is complete, repeatable, within its limits, and can fail."""

import numpy as np
import pandas as pd
import pytest
from calibration.design import CELLS, DROPOUT_BASES, ROOT_SEEDS, TRUTHS, VISITS, Cell
from calibration.outcomes import INTERACTION, LINEAR, fit_trial, infer
from calibration.trial import N_VISITS, find_seen, simulate_trial

import aibmd
from aibmd.model.patterns import find_patterns

OPTIONS = {
    "CR2": {"vcov": "CR2", "df_method": "satterthwaite"},
    "CR0": {"vcov": "CR0", "df_method": "normal"},
}
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
