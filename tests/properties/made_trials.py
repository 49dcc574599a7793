"""Made-up trials for the laws of the engine: small, seeded, with gaps in the visits."""

import numpy as np
import pandas as pd

import aibmd


def make_trial(seed=1, n_subjects=40, n_visits=3, gaps=0.15):
    """Two arms, a baseline constant within a subject, a covariate that changes by visit."""
    rng = np.random.default_rng(seed)
    A = 0.4 * rng.normal(size=(n_visits, n_visits)) + np.eye(n_visits)
    y = rng.normal(size=(n_subjects, n_visits)) @ A.T + 0.3 * np.arange(n_visits)
    table = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n_subjects), n_visits),
            "visit": np.tile([f"v{j + 1}" for j in range(n_visits)], n_subjects),
            "arm": np.repeat(rng.permutation(np.arange(n_subjects) % 2), n_visits),
            "center": np.repeat(rng.choice(["p", "q", "r"], n_subjects), n_visits),
            "base": np.repeat(rng.normal(size=n_subjects), n_visits),
            "x": rng.normal(size=y.size),
            "y": y.ravel(),
        }
    )
    table["arm"] = np.where(table["arm"] == 1, "b", "a")
    return table[rng.uniform(size=len(table)) >= gaps].reset_index(drop=True)


def fit(formula, table, **options):
    """`fit_mmrm` with this module's column names."""
    return aibmd.fit_mmrm(formula, table, **({"subject": "who", "visit": "visit"} | options))
