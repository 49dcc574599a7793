import pytest

from aibmd.resources import data_path
from aibmd.simulation import StudyDesign
from aibmd.simulation.population import simulate_population

N_MANY = 30_000


@pytest.fixture(scope="session")
def brex_design():
    return StudyDesign.from_toml(data_path("synthetic", "brex.toml"))


@pytest.fixture(scope="session")
def many_women(brex_design):
    """Women of the shipped design before the entry rule; enough to make chance small."""
    return simulate_population(brex_design, 20, n_unselected=N_MANY)
