"""Stage `simulation`: made-up women from a declared design, with the truth kept beside them.

Nothing here knows of the models that will be fitted to the cohort.
"""

from aibmd.simulation.design import StudyDesign
from aibmd.simulation.parameter_table import tabulate_parameters
from aibmd.simulation.simulate import simulate_cohort

__all__ = ["StudyDesign", "simulate_cohort", "tabulate_parameters"]
