"""Ordinary least squares in the clothes of a fit: closed form, so only the means are tested."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from aibmd.inference import CoefficientInference
from aibmd.model.design import build_design
from aibmd.model.formula import guard_formula

REFERENCE = Path(__file__).resolve().parent
FEV_LEVELS = {
    "armcd": ["PBO", "TRT"],
    "race": ["Asian", "Black or African American", "White"],
    "sex": ["Male", "Female"],
}


def fit_by_least_squares(formula, data):
    data = data.assign(row_number=np.arange(len(data)), only_visit="v")
    guarded = guard_formula(formula, data.columns)
    design = build_design(data, guarded, "row_number", "only_visit")
    X = design.X[:, design.coding.kept]
    beta, *_ = np.linalg.lstsq(X, design.rows.y, rcond=None)
    residual_df = float(X.shape[0] - X.shape[1])
    sigma2 = float(((design.rows.y - X @ beta) ** 2).sum()) / residual_df
    vcov = sigma2 * np.linalg.inv(X.T @ X)
    no_theta = np.empty((0, *vcov.shape)), np.empty((0, 0))
    inference = CoefficientInference(
        beta, vcov, vcov, *no_theta, "residual", "observed", residual_df
    )
    return SimpleNamespace(coding=design.coding, inference=inference, design=design)


def read_fev():
    fev = pd.read_csv(REFERENCE / "data" / "fev.csv").dropna(subset=["fev1"])
    for name, levels in FEV_LEVELS.items():
        fev[name] = pd.Categorical(fev[name], levels)
    return fev
