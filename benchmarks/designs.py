"""The tables that are timed: the FEV trial, and a made-up BMD trial of any size."""

from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
FEV_FORMULA = "fev1 ~ race + sex + armcd * avisit"
FEV_LOGLIK = -1693.22493558118  # R mmrm 0.3.18, tests/reference/peers/fev.json
FEV_CS_LOGLIK = -1761.02147445946
BMD_FORMULA = "pct_change ~ group * visit + base_bmd * visit + age + bmi + prior_chemo"
MONTHS = (12, 24, 36, 48, 60)


def fev():
    """800 rows of 200 subjects; rows without an outcome stay in, as users have them."""
    return pd.read_csv(ROOT / "tests" / "reference" / "data" / "fev.csv")


def bmd_trial(n_subjects, seed=20240601):
    """Percent change at five visits, about 23 % missing; text columns stay text."""
    rng = np.random.default_rng(seed)
    m = len(MONTHS)
    group = rng.choice(["continue", "withdraw"], n_subjects)
    base = rng.normal(0.95, 0.12, n_subjects)
    distance = np.abs(np.subtract.outer(np.arange(m), np.arange(m)))
    Sigma = 9.0 * 0.8**distance * np.sqrt(np.outer(1 + np.arange(m), 1 + np.arange(m)) / m)
    mean = (
        np.outer(np.where(group == "withdraw", -0.4, 0.2), np.arange(m))
        - 2 * (base - 0.95)[:, None]
    )
    change = mean + rng.normal(size=(n_subjects, m)) @ np.linalg.cholesky(Sigma).T
    change[rng.uniform(size=change.shape) < 0.23] = np.nan
    subject = {
        "subject_id": [f"S{i:06d}" for i in range(n_subjects)],
        "group": group,
        "base_bmd": base,
        "age": rng.normal(60, 8, n_subjects),
        "bmi": rng.normal(27, 4, n_subjects),
        "prior_chemo": rng.choice(["no", "yes"], n_subjects),
    }
    table = pd.DataFrame({name: np.repeat(values, m) for name, values in subject.items()})
    table["visit"] = np.tile([f"month_{month}" for month in MONTHS], n_subjects)
    table["pct_change"] = change.ravel()
    return table
