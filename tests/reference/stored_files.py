"""The files behind the stored results: parsed JSON, and the analysed tables with their factors."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

FEV = {
    "armcd": ["PBO", "TRT"],
    "avisit": ["VIS1", "VIS2", "VIS3", "VIS4"],
    "race": ["Asian", "Black or African American", "White"],
    "sex": ["Male", "Female"],
}
ORTHODONT = {"sex": ["Male", "Female"], "agef": ["8", "10", "12", "14"]}


@cache
def load(name):
    return json.loads((HERE / "peers" / f"{name}.json").read_text(encoding="utf-8"))


@cache
def read_data(dataset, model, factors):
    """The analysed table with factor levels in the order the peer used."""
    if dataset == "calcium" or model == "calcium_pct":
        data = _calcium(later=not model.startswith("bmd"))
    else:
        name = "two_visits" if dataset == "random_intercept" else dataset
        data = pd.read_csv(HERE / "data" / f"{name}.csv")
    if dataset == "orthodont":
        data["agef"] = data["age"].astype(str)
    for column, levels in factors:
        data[column] = pd.Categorical(data[column].astype(str), list(levels))
    return data


def _calcium(later):
    data = pd.read_csv(ROOT / "data" / "calcium" / "calcium.csv")
    first = data[data["visit"] == 1].set_index("person")["bmd"]
    data["base"] = data["person"].map(first)
    data["change"] = data["bmd"] - data["base"]
    data["pct"] = 100 * (data["bmd"] - data["base"]) / data["base"]
    return data[data["visit"] > 1].reset_index(drop=True) if later else data


def listed(value):
    """R writes a vector of one as a bare value."""
    return [value] if isinstance(value, str) else list(value)


def matrix(stored):
    """A matrix as R wrote it: nested lists, a list of one, or rows, cols and values."""
    if stored is None:
        return None
    values = stored["values"] if isinstance(stored, dict) else stored
    return np.atleast_2d(np.asarray(values, dtype=float))


def printed(text):
    """A printed number and half a unit of its last digit: how far rounding alone can be off."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(text), 0.5 * 10.0 ** (int(exponent or 0) - decimals)
