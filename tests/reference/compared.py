"""What the peer tests share: the cases, the fits (each once) and the tolerances of each case."""

import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import stored

import aibmd

sys.path.append(str(Path(__file__).resolve().parents[1]))
import tolerances as tol

POLISHED = ("calcium", "bmd_like", "negative_correlation", "one_visit", "sleep", "two_visits",
            "empty_cell", "random_intercept")  # fmt: skip
CASES = {c.id: c for c in [*stored.mmrm_cases(), *stored.direct_cases(*POLISHED)]}
# (case, df method, information): everything a peer reports inference for.
BLOCKS = [
    (case_id, block.df_method, block.information)
    for case_id, case in CASES.items()
    for block in case.blocks
]


def block_of(case_id, df_method, information):
    return next(
        b for b in CASES[case_id].blocks if (b.df_method, b.information) == (df_method, information)
    )


def limit(case, quantity):
    """The tolerance for a quantity: PEER_* as peers stop, EXACT_* where Newton finished."""
    return getattr(tol, ("EXACT_" if case.exact else "PEER_") + quantity)


@cache
def fit(case_id, df_method="satterthwaite", information="observed"):
    case = CASES[case_id]
    with warnings.catch_warnings():
        if "dropped_columns" in case.numbers:  # said once, in its own test
            warnings.simplefilter("ignore", aibmd.DataWarning)
        return aibmd.fit_mmrm(
            case.formula,
            case.data,
            subject=case.subject,
            visit=case.visit,
            covariance=case.structure,
            method=case.method,
            df_method=df_method,
            information=information,
        )


def largest(difference):
    return float(np.max(np.abs(np.asarray(difference, dtype=float))))


def relative(got, want):
    return largest(np.asarray(got, dtype=float) / np.asarray(want, dtype=float) - 1)
