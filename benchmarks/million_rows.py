"""A million subjects: arrays against X.T @ X, a data frame against a group-sum, and memory."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import designs
import numpy as np
from checks import check_engine, check_fit
from designs import FOUR_NUMBERS, FOUR_NUMBERS_FORMULA
from from_arrays import call_mmrm, fit_subjects
from judge import judge, visit_blocks
from stopwatch import Row, compared, medians
from visit_rows import FLOOR, SERIES

PROBE = Path(__file__).with_name("memory_probe.py")


def million_rows(n_subjects=1_000_000, rounds=5):
    """Memory first: nothing large is held here while the other process is measured."""
    trial = designs.make_trial(n_subjects)
    return [*_array_rows(trial, rounds), *_frame_rows(trial, rounds)]


def memory_rows(n_subjects=1_000_000):
    """Peak of a whole process that holds the frame and fits it."""
    with tempfile.TemporaryDirectory() as folder:
        frame = designs.four_number_frame(designs.make_trial(n_subjects))
        for name in frame:
            column = frame[name]
            codes = column.cat.codes if hasattr(column, "cat") else column
            np.save(Path(folder) / f"{name}.npy", codes.to_numpy())
        n_bytes = int(frame.memory_usage().sum())
        del frame
        loaded, fitted = (_run_probe(folder, mode) for mode in ("load", "fit"))
    peak, python = fitted["peak_bytes"], loaded["peak_bytes"] - n_bytes
    parts = [python, n_bytes, peak - loaded["peak_bytes"]]
    size = f"un, {n_subjects:,} x 5 visits: peak memory"
    shares = "Python and imports {:.0f}, frame {:.0f}, fit {:.0f}".format(*(x / 1e6 for x in parts))
    ratio, against = peak / n_bytes, "bytes of the DataFrame"
    return [
        Row(f"{size} of the process, {peak / 1e6:.0f} MB ({shares})", ratio=ratio,
            against=against, target="<= 3", passed=ratio <= 3),
        Row(f"{size} less Python and imports", ratio=(peak - python) / n_bytes, against=against),
    ]  # fmt: skip


def _run_probe(folder, mode):
    command = [sys.executable, str(PROBE), folder, mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _array_rows(trial, rounds):
    pieces = designs.subject_by_visit(trial)
    X, y, subject, visit = _long_form(*pieces, trial.change)
    engine, found = fit_subjects(*pieces, trial.change)
    verdict = judge(visit_blocks(X, y, subject, visit, engine.Sigma), with_df=False)
    equal = check_engine(engine, found, verdict)
    took = medians(
        {"gram": lambda: X.T @ X, "arrays": lambda: fit_subjects(*pieces, trial.change)}, rounds
    )
    size = f"un, {trial.n_subjects:,} x 5 visits"
    return [
        Row(f"{size}: X.T @ X ({len(X):,} x 18)", took["gram"], series=FLOOR,
            subjects=trial.n_subjects),
        compared(f"{size}: engine from subject-by-visit arrays", took["arrays"], took["gram"],
                 "X.T @ X", 3, equal=equal),
    ]  # fmt: skip


def _frame_rows(trial, rounds):
    frame = designs.four_number_frame(trial)
    B, C, part = designs.subject_by_visit(trial)
    short = part < 5  # without prior chemotherapy
    fit = call_mmrm(FOUR_NUMBERS_FORMULA, frame)[0]
    X, y, subject, visit = _long_form(B[:, short], C[:, :5], part[short], trial.change)
    verdict = judge(visit_blocks(X, y, subject, visit, fit.engine.Sigma), with_df=False)
    equal = check_fit(fit, verdict)
    del X, y, subject, visit
    took = medians(
        {
            "sums": lambda: frame.groupby("subject_id")[FOUR_NUMBERS].sum(),
            "call": lambda: call_mmrm(FOUR_NUMBERS_FORMULA, frame),
        },
        rounds,
    )
    size = f"un, {trial.n_subjects:,} x 5 visits"
    return [
        Row(f"{size}: pandas group-sum of four columns by id", took["sums"]),
        compared(f"{size}: whole fit_mmrm call, 17 columns", took["call"], took["sums"],
                 "pandas group-sum", 4, equal=equal, series=SERIES, subjects=trial.n_subjects),
    ]  # fmt: skip


def _long_form(B, C, part, Y):
    """X, y, subject and visit codes of the rows with an outcome."""
    subject, visit = np.nonzero(~np.isnan(Y))
    X = np.take(C, part, axis=1)[subject]
    X *= B[visit]
    return X, Y[subject, visit], subject, visit
