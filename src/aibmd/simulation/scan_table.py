"""What a study would have on file: scans made, and dates known when contact ended."""

from typing import Final

import numpy as np
import pandas as pd

from aibmd.simulation.parameter import SITES
from aibmd.simulation.population import Population
from aibmd.simulation.record import Array, Flags
from aibmd.simulation.study_parameter import VISITS
from aibmd.simulation.therapy import NO_ENDOCRINE, TAMOXIFEN, UPFRONT, UPFRONT_EARLY
from aibmd.vocabulary import BMD, SKELETAL_SITE, SUBJECT, TIME, VISIT

YEAR_DECIMALS: Final = 4
_COVARIATE_DECIMALS: Final = 1
SYNTHETIC: Final = "synthetic"
_TREATMENT_DATES: Final = (
    "ai_start",
    "ai_stop",
    "tamoxifen_start",
    "tamoxifen_stop",
    "bisphosphonate_start",
    "bisphosphonate_stop",
)


def tabulate_scans(population: Population) -> pd.DataFrame:
    """Long form of the scans that were made, with the columns of each woman repeated.

    Returns
    -------
    DataFrame
        One row per woman, visit and skeletal site; columns as in the data dictionary.
    """
    n, visits = population.attended.shape
    sites = len(SITES)
    made = np.repeat(population.attended.reshape(-1), sites)
    woman = np.repeat(np.arange(n), visits * sites)[made]
    time = np.round(population.entry.scan_time, YEAR_DECIMALS) + 0.0
    scans = pd.DataFrame(
        {
            SUBJECT: name_women(n)[woman],
            VISIT: tile_visits(n)[made],
            TIME: np.repeat(time.reshape(-1), sites)[made],
            SKELETAL_SITE: np.tile(np.array(SITES), n * visits)[made],
            BMD: population.scan.reshape(-1)[made],
        }
    )
    beside = _tabulate_women(population).take(woman).reset_index(drop=True)
    return pd.concat([scans, beside], axis=1)


def name_women(n: int) -> np.ndarray:
    """Identifiers that say the women are made up: SYN001 and so on."""
    width = max(3, len(str(n)))
    return np.array([f"SYN{number:0{width}d}" for number in range(1, n + 1)])


def tile_visits(n: int) -> pd.Categorical:
    """Visit of each row of a table by woman, visit and skeletal site."""
    labels = np.tile(np.repeat(np.array(VISITS), len(SITES)), n)
    return pd.Categorical(labels, categories=VISITS, ordered=True)


def _tabulate_women(population: Population) -> pd.DataFrame:
    women, course = population.entry.women, population.entry.planned.course
    sequence = np.select(
        [course == NO_ENDOCRINE, course == TAMOXIFEN, np.isin(course, (UPFRONT_EARLY, UPFRONT))],
        ["no_endocrine", "tamoxifen", "upfront_ai"],
        default="tamoxifen_then_ai",
    )
    covariates = {
        SYNTHETIC: np.full(course.size, "yes"),
        "arm": np.where(population.exercise, "exercise", "control"),
        "age_years": np.round(women.age, _COVARIATE_DECIMALS),
        "bmi": np.round(women.bmi, _COVARIATE_DECIMALS),
        "menopausal_status": np.where(women.premenopausal, "premenopausal", "postmenopausal"),
        "prior_chemotherapy": yes_no(women.chemotherapy),
        "treatment_sequence": sequence,
    }
    return pd.DataFrame(covariates | _known_dates(population))


def _known_dates(population: Population) -> dict[str, Array]:
    """Dates up to the last contact; treatment also up to a recurrence. Later ones are blank."""
    follow_up = population.entry.follow_up
    contact = follow_up.last_contact(population.entry.scan_time)
    adjuvant = np.minimum(contact, follow_up.recurrence)
    dates = {
        name: _blank_after(getattr(population.therapy, name), adjuvant) for name in _TREATMENT_DATES
    }
    dates["recurrence_time"] = _blank_after(follow_up.recurrence, contact)
    dates["death_time"] = _blank_after(follow_up.death, contact)
    dates["last_contact_time"] = _blank_after(contact, contact)
    return dates


def _blank_after(date: Array, end: Array) -> Array:
    return np.round(np.where(date <= end, date, np.nan), YEAR_DECIMALS) + 0.0


def yes_no(values: Flags) -> np.ndarray:
    """Labels for a statement."""
    return np.where(values, "yes", "no")
