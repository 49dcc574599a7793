"""The calibration study as fixed before it ran: truths, dropout, cells, seeds, limits.

Nothing in this file was set, or changed, after a result was seen.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

# One root per complete run; replicate r of cell c draws from SeedSequence(root, (c, r)).
ROOT_SEEDS: Final = {1: 20_261_123, 2: 31_415_927}
REPLICATES: Final = 10_000
# The first 20 stand alone, so that a test can repeat them; then up to 500, then by 500.
CHUNK_BOUNDS: Final = (0, 20, *range(500, REPLICATES + 1, 500))
SUBJECTS: Final = (20, 40, 100)

VISITS: Final = ("month_6", "month_12", "month_18", "month_24")
CONF_LEVEL: Final = 0.95
# Type I error, and one minus coverage, that Kenward-Roger must keep, in both runs.
LIMITS: Final = (0.040, 0.060)
LIMITED_SUBJECTS: Final = (40, 100)

# Outcome: BMD change in percent of baseline. Means of the first group by visit; the second
# group lies EFFECT higher at every visit, so group by visit is nil and a difference is not.
MEANS: Final = np.array([-0.5, -1.0, -1.5, -2.0])
EFFECT: Final = 1.0

_SD: Final = np.array([2.5, 3.2, 3.8, 4.5])
_CORRELATION: Final = np.array(
    [
        [1.00, 0.70, 0.55, 0.45],
        [0.70, 1.00, 0.75, 0.60],
        [0.55, 0.75, 1.00, 0.78],
        [0.45, 0.60, 0.78, 1.00],
    ]
)
_LAG: Final = np.abs(np.arange(4)[:, None] - np.arange(4))
# True covariance of the four visits: SDs and correlations of their own, or 9 * 0.7 ** lag.
TRUTHS: Final = {"un": _SD[:, None] * _CORRELATION * _SD, "ar1": 9.0 * 0.7**_LAG}

# A subject seen at visit j leaves for good with probability expit(base - slope * z), z the
# outcome just observed as a deviation from the mean of both groups, in true SDs. The
# bases make 30 % miss the last visit; the number of dropouts is random.
DROPOUT_SLOPES: Final = {"mar": 1.0, "mcar": 0.0}
DROPOUT_BASES: Final = {"mar": -2.35, "mcar": -2.07}

MODEL_METHODS: Final = ("kenward_roger", "satterthwaite", "normal")
SANDWICH_METHODS: Final = ("CR2", "CR0", "kenward_roger")


@dataclass(frozen=True, slots=True)
class Cell:
    """One truth, one way of leaving, one fitted structure, one number of subjects.

    Attributes
    ----------
    number : int
        Names its stream of random numbers.
    name : str
    truth, fitted : str
        Covariance of the trial, and of the model.
    dropout : "mar" or "mcar"
    methods : tuple of str
        A df method of the model-based covariance; CR2 with Bell-McCaffrey df; CR0 with
        normal quantiles.
    n_subjects : int
        In two groups of equal size.
    """

    number: int
    name: str
    truth: str
    fitted: str
    dropout: str
    methods: tuple[str, ...]
    n_subjects: int

    @property
    def is_limited(self) -> bool:
        """Whether Kenward-Roger has to keep the limits here."""
        return self.truth == self.fitted and self.n_subjects in LIMITED_SUBJECTS


_KINDS: Final = (
    ("un", "un", "un", "mar", MODEL_METHODS),
    ("ar1", "ar1", "ar1", "mar", MODEL_METHODS),
    # A wrong working covariance is only harmless where leaving does not depend on outcomes.
    ("sandwich", "un", "ar1", "mcar", SANDWICH_METHODS),
    ("sandwich_mar", "un", "ar1", "mar", SANDWICH_METHODS),
)
CELLS: Final = tuple(
    Cell(number, *kind, n_subjects)
    for number, (kind, n_subjects) in enumerate(
        [(kind, n_subjects) for kind in _KINDS for n_subjects in SUBJECTS]
    )
)
