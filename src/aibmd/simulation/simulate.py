"""`simulate_cohort`: a design and a seed to a cohort and its truth."""

import numpy as np
import pandas as pd

from aibmd.cohort import Cohort
from aibmd.cohort.schema import BMD_HIGH, BMD_LOW
from aibmd.errors import AibmdError
from aibmd.simulation.design import StudyDesign
from aibmd.simulation.population import simulate_population
from aibmd.simulation.scan_table import tabulate_scans
from aibmd.simulation.truth_table import tabulate_truth
from aibmd.vocabulary import BMD, SKELETAL_SITE, VISIT


def simulate_cohort(design: StudyDesign, rng: int | np.random.Generator) -> Cohort:
    """Make up a cohort of women with scans, treatment and follow-up, and keep the truth.

    Parameters
    ----------
    design : StudyDesign
        Effects, variation, courses and follow-up. Its `seed` is not used here.
    rng : int or numpy.random.Generator
        The same design and the same seed give the same cohort. Each ingredient has its
        own stream, so two designs that differ in one effect share all other draws.

    Returns
    -------
    Cohort
        `synthetic` is true. Times are years from the design's `time_zero`, BMD in g/cm2
        with 4 decimals as in the file. `truth` has one row per woman, visit and skeletal
        site, whether scanned or not.

    Raises
    ------
    AibmdError
        If `rng` is neither, if the entry rule leaves too few women, or if the design makes
        BMD that no woman has.

    Notes
    -----
    An estimate from this cohort that agrees with a published number shows that the
    estimator works, not that the number is right: published numbers set the design.

    Examples
    --------
    >>> from aibmd.resources import data_path
    >>> design = StudyDesign.from_toml(data_path("synthetic", "brex.toml"))
    >>> cohort = simulate_cohort(design, rng=1)
    >>> cohort.n_subjects, cohort.synthetic, cohort.visits[-1]
    (573, True, 'year_10')
    """
    if not isinstance(design, StudyDesign):
        raise AibmdError(
            f"design is a {type(design).__name__}; give StudyDesign.from_toml(path), or use "
            "load_cohort(name) for a shipped cohort"
        )
    population = simulate_population(design, rng)
    scans = tabulate_scans(population)
    _refuse_impossible_bone(scans)
    return Cohort.from_long(
        scans,
        time_zero=design.time_zero,
        truth=tabulate_truth(design, population),
        synthetic=True,
        source=f"synthetic study {design.name}",
    )


def _refuse_impossible_bone(scans: pd.DataFrame) -> None:
    """A design whose BMD would fail the checks of a cohort makes no cohort."""
    outside = scans[~scans[BMD].between(BMD_LOW, BMD_HIGH)]
    if len(outside):
        first = outside.iloc[0]
        where = f"{first[VISIT]}, {first[SKELETAL_SITE]}"
        raise AibmdError(
            f"the design makes BMD outside {BMD_LOW} to {BMD_HIGH} g/cm2 in {len(outside)} of "
            f"{len(scans)} scans, such as {first[BMD]:g} at {where}; make its effects or "
            "their multipliers smaller"
        )
