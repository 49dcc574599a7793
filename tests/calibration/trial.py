"""One simulated trial, as the arrays that the engine reads."""

from dataclasses import dataclass

import numpy as np
from calibration.design import DROPOUT_BASES, DROPOUT_SLOPES, EFFECT, MEANS, TRUTHS, Cell

N_VISITS = len(MEANS)


@dataclass(frozen=True, slots=True)
class Trial:
    """Rows in long form, sorted by subject and visit.

    Attributes
    ----------
    X : (n, 8) array
        The first group's mean at each visit, then the difference of the groups at each visit.
    y : (n,) array
    subject, visit : (n,) int arrays
    """

    X: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    visit: np.ndarray


def simulate_trial(cell: Cell, root: int, replicate: int) -> Trial:
    """Draw one trial; the same for the same three arguments, whoever else is drawn."""
    stream = np.random.SeedSequence(root, spawn_key=(cell.number, replicate))
    rng = np.random.default_rng(stream)
    noise = rng.standard_normal((cell.n_subjects, N_VISITS))
    chance = rng.uniform(size=(cell.n_subjects, N_VISITS - 1))
    group = np.arange(cell.n_subjects) % 2
    Sigma = TRUTHS[cell.truth]
    y = MEANS + EFFECT * group[:, None] + noise @ np.linalg.cholesky(Sigma).T
    seen = find_seen(y, chance, cell.truth, cell.dropout)
    subject, visit = np.nonzero(seen)
    at_visit = np.eye(N_VISITS)[visit]
    X = np.hstack([at_visit, at_visit * group[subject, None]])
    return Trial(X, y[seen], subject, visit)


def find_seen(y: np.ndarray, chance: np.ndarray, truth: str, dropout: str) -> np.ndarray:
    """(n, m): whether each subject is still there at each visit; all are at the first."""
    z = (y - MEANS - EFFECT / 2.0) / np.sqrt(np.diagonal(TRUTHS[truth]))
    log_odds = DROPOUT_BASES[dropout] - DROPOUT_SLOPES[dropout] * z[:, :-1]
    stays = chance >= 1.0 / (1.0 + np.exp(-log_odds))
    return np.hstack([np.ones((len(y), 1), dtype=bool), np.logical_and.accumulate(stays, axis=1)])
