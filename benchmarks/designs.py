"""The tables that are timed, made up from fixed seeds at any number of subjects."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
MONTHS = (12, 24, 36, 48, 60)
VISITS = tuple(f"month_{month}" for month in MONTHS)
BMD_FORMULA = (
    "pct_change ~ group * visit + base_bmd * visit + age + bmi + prior_chemo"  # 18 columns
)
# The same without the second factor: an id, two categories and four numbers a row, 17 columns.
FOUR_NUMBERS_FORMULA = "pct_change ~ group * visit + base_bmd * visit + age + bmi"
FOUR_NUMBERS = ["base_bmd", "age", "bmi", "pct_change"]
TEN_VISITS_FORMULA = "y ~ group * visit"
SLOPE_FORMULA = "y ~ t * g"


@dataclass(frozen=True, slots=True)
class Trial:
    """Percent change of BMD at five visits, about 23 % missing: one row per subject.

    Attributes
    ----------
    withdraw, prior_chemo : (n,) int8 arrays
    base_bmd, age, bmi : (n,) arrays
    change : (n, 5) array, NaN where missing
    """

    withdraw: np.ndarray
    prior_chemo: np.ndarray
    base_bmd: np.ndarray
    age: np.ndarray
    bmi: np.ndarray
    change: np.ndarray

    @property
    def n_subjects(self) -> int:
        return len(self.change)


def make_trial(n_subjects, seed=20240601):
    """Visits correlated 0.8 per step, with growing variance."""
    rng = np.random.default_rng(seed)
    m = len(MONTHS)
    withdraw = rng.integers(0, 2, n_subjects, dtype=np.int8)
    base = rng.normal(0.95, 0.12, n_subjects)
    distance = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    Sigma = 9.0 * 0.8**distance * np.sqrt(np.outer(1 + np.arange(m), 1 + np.arange(m)) / m)
    drift = np.where(withdraw, -0.4, 0.2)[:, None] * np.arange(m)
    change = drift - 2 * (base - 0.95)[:, None]
    change += rng.normal(size=(n_subjects, m)) @ np.linalg.cholesky(Sigma).T
    change[rng.uniform(size=change.shape) < 0.23] = np.nan
    return Trial(
        withdraw=withdraw,
        prior_chemo=rng.integers(0, 2, n_subjects, dtype=np.int8),
        base_bmd=base,
        age=rng.normal(60, 8, n_subjects),
        bmi=rng.normal(27, 4, n_subjects),
        change=change,
    )


def text_frame(trial):
    """Long form as a CSV file is read: identifiers and factors are text."""
    frame = category_frame(trial)
    ids = np.array([f"S{i:06d}" for i in range(trial.n_subjects)])
    text = {name: frame[name].astype(str) for name in ("group", "visit", "prior_chemo")}
    return frame.assign(subject_id=np.repeat(ids, len(MONTHS)), **text)


def category_frame(trial):
    """Long form with int64 identifiers and categorical factors."""
    frame = four_number_frame(trial)
    frame["prior_chemo"] = _factor(np.repeat(trial.prior_chemo, len(MONTHS)), ("no", "yes"))
    return frame


def four_number_frame(trial):
    """Long form: int64 identifiers, categorical visit and group, four columns of numbers."""
    m = len(MONTHS)
    columns = {
        "subject_id": np.repeat(np.arange(trial.n_subjects), m),
        "visit": _factor(np.tile(np.arange(m, dtype=np.int8), trial.n_subjects), VISITS),
        "group": _factor(np.repeat(trial.withdraw, m), ("continue", "withdraw")),
        **{name: np.repeat(getattr(trial, name), m) for name in FOUR_NUMBERS[:-1]},
        "pct_change": trial.change.ravel(),
    }
    return pd.DataFrame(columns)


def subject_by_visit(trial):
    """B (m, 18), C (n, 6), part (18,): `BMD_FORMULA`'s columns are B[visit] * C[subject, part]."""
    m = len(MONTHS)
    C = np.column_stack(
        [np.ones(trial.n_subjects), trial.withdraw, trial.base_bmd, trial.age, trial.bmi,
         trial.prior_chemo]
    )  # fmt: skip
    always, later = np.ones((m, 1)), np.eye(m)[:, 1:]  # later visits, each against the first
    # In formulaic's order: intercept, group, visits, base, age, bmi, chemo, the two products.
    B = np.hstack([always, always, later, np.repeat(always, 4, axis=1), later, later])
    return B, C, np.repeat([0, 1, 0, 2, 3, 4, 5, 1, 2], [1, 1, m - 1, 1, 1, 1, 1, m - 1, m - 1])


def ten_visits(n_subjects, n_visits=10, seed=0):
    """Two groups, growing dropout."""
    rng = np.random.default_rng(seed)
    visit = np.tile(np.arange(n_visits), n_subjects)
    keep = rng.uniform(size=len(visit)) > 0.2 * visit / n_visits
    group = rng.integers(0, 2, n_subjects)
    y = rng.normal(size=len(visit)) + np.repeat(rng.normal(size=n_subjects), n_visits)
    frame = pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(n_subjects), n_visits),
            "visit": _factor(visit, tuple(f"visit_{j:02d}" for j in range(n_visits))),
            "group": _factor(np.repeat(group, n_visits), ("a", "b")),
            "y": y,
        }
    )
    return frame[keep].reset_index(drop=True)


def slopes(n_subjects, n_scans=4, seed=1):
    """BMD in g/cm2 at times of their own over ten years; each woman her level and slope."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 10, (n_subjects, n_scans)), axis=1)
    t[:, 0] = 0
    chol = np.linalg.cholesky([[1e-2, -2e-4], [-2e-4, 3e-5]])
    level, slope = (rng.normal(size=(n_subjects, 2)) @ chol.T).T[:, :, None]
    g = rng.integers(0, 2, n_subjects)
    y = 1 + level + (slope - 0.01 + 0.005 * g[:, None]) * t + 0.02 * rng.normal(size=t.shape)
    ids = np.repeat(np.arange(n_subjects), n_scans)
    return pd.DataFrame({"id": ids, "t": t.ravel(), "g": np.repeat(g, n_scans), "y": y.ravel()})


def _factor(codes, labels):
    return pd.Categorical.from_codes(codes, categories=list(labels))
