"""What only the generator knows: BMD without scan error, as treated and as it might have been."""

from typing import Final

import numpy as np
import pandas as pd

from aibmd.simulation.decision import YEAR_5
from aibmd.simulation.design import StudyDesign
from aibmd.simulation.parameter import SITES
from aibmd.simulation.population import Population
from aibmd.simulation.record import Array
from aibmd.simulation.scan_table import YEAR_DECIMALS, name_women, tile_visits, yes_no
from aibmd.simulation.study_parameter import COURSES, VISITS
from aibmd.simulation.therapy import NO_ENDOCRINE, TAMOXIFEN
from aibmd.vocabulary import SKELETAL_SITE, SUBJECT, VISIT

# One digit more than a scan is printed with.
TRUE_BMD_DECIMALS: Final = 5

WITHDRAWN: Final = "ai_withdrawn"
COMPARATORS: Final = ("never_endocrine", "tamoxifen_stopped", "ai_ended_earlier", "ai_continued")


def tabulate_truth(design: StudyDesign, population: Population) -> pd.DataFrame:
    """Truth of every woman at every visit, scanned or not; see the data dictionary.

    Returns
    -------
    DataFrame
        One row per woman, visit and skeletal site. `true_bmd_stop` and
        `true_bmd_continue` are missing except from year 5 on in women on an aromatase
        inhibitor at year 5.
    """
    n, sites = population.exercise.size, len(SITES)
    rows = len(VISITS) * sites
    by_visit = {
        "nominal_time": np.tile(design.visits.time_years.array(), (n, 1)),
        "scan_time": np.round(population.entry.scan_time, YEAR_DECIMALS) + 0.0,
        "scanned": yes_no(population.attended),
    }
    by_site = {
        "true_bmd": population.true_at_visit,
        "true_bmd_at_scan": population.true_at_scan,
        "true_bmd_stop": _from_year_5(population, population.true_stop),
        "true_bmd_continue": _from_year_5(population, population.true_continue),
    }
    planned = population.entry.planned
    by_woman = {
        "course": np.array(COURSES)[planned.course],
        "on_ai_at_year_5": yes_no(planned.on_ai_at_year_5),
        "withdrawal_group": name_groups(population),
    }
    table: dict[str, object] = {
        SUBJECT: np.repeat(name_women(n), rows),
        VISIT: tile_visits(n),
        SKELETAL_SITE: np.tile(np.array(SITES), n * len(VISITS)),
    }
    table |= {name: np.repeat(v.reshape(-1), sites) for name, v in by_visit.items()}
    table |= {name: np.round(v.reshape(-1), TRUE_BMD_DECIMALS) for name, v in by_site.items()}
    table |= {name: np.repeat(values, rows) for name, values in by_woman.items()}
    return pd.DataFrame(table)


def name_groups(population: Population) -> np.ndarray:
    """Withdrawal group of each woman, from her course and her choice at year 5."""
    planned = population.entry.planned
    on_ai, stops = planned.on_ai_at_year_5, population.choice.stops
    return np.select(
        [stops, on_ai, planned.course == NO_ENDOCRINE, planned.course == TAMOXIFEN],
        [WITHDRAWN, "ai_continued", "never_endocrine", "tamoxifen_stopped"],
        default="ai_ended_earlier",
    )


def _from_year_5(population: Population, true: Array) -> Array:
    """Counterfactual values where they mean something, else missing."""
    shown = np.zeros(true.shape, dtype=bool)
    shown[population.entry.planned.on_ai_at_year_5, YEAR_5:] = True
    return np.where(shown, true, np.nan)
