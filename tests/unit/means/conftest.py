"""What the tests of marginal means share: closed-form fits, tables and stored numbers."""

import json

import pandas as pd
import pytest
from means_least_squares import REFERENCE, fit_by_least_squares, read_fev


def read_peer(name):
    return json.loads((REFERENCE / "peers" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def fev():
    return read_fev()


@pytest.fixture(scope="session")
def empty_cell():
    return pd.read_csv(REFERENCE / "data" / "empty_cell.csv")


@pytest.fixture(scope="session")
def ols():
    return fit_by_least_squares


@pytest.fixture(scope="session")
def peer():
    return read_peer
