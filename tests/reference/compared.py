"""What the peer tests share: the cases, the fits (each once), tolerances, and the comparison."""

import sys
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import stored

import aibmd

sys.path.append(str(Path(__file__).resolve().parents[1]))
import tolerances as tol
from validation import recorder

POLISHED = ("calcium", "bmd_like", "negative_correlation", "one_visit", "sleep", "two_visits",
            "empty_cell", "random_intercept")  # fmt: skip
CASES = {c.id: c for c in [*stored.mmrm_cases(), *stored.direct_cases(*POLISHED)]}
# (case, df method, information): everything a peer reports inference for.
BLOCKS = [
    (case_id, block.df_method, block.information)
    for case_id, case in CASES.items()
    for block in case.blocks
]
# Quantity of a tolerance's name -> words in the report.
WORDS = {
    "LOGLIK": "log-likelihood",
    "ESTIMATE_IN_SE": "estimates, in standard errors",
    "SE": "standard errors, relative",
    "DF": "degrees of freedom, relative",
    "COVARIANCE": "covariance, of the largest element",
    "STATISTIC": "F, relative",
    "P_VALUE": "p-values, relative",
    "THETA_IN_SE": "covariance parameters, in their standard errors",
    "INFORMATION": "information of the covariance parameters",
    "VCOV": "coefficient covariance, of the variances",
}


def agree(peer, words, difference, tolerance):
    """Record a comparison, then insist on it."""
    recorder.record(peer, words, difference, tolerance)
    assert difference <= tolerance, f"{words} against {peer}: {difference:.2g} > {tolerance:.2g}"


def agree_case(case, quantity, difference):
    """Of a case: the tolerance follows from who computed it and how far."""
    peer = "direct.R" if case.exact else "R mmrm"
    agree(peer, WORDS[quantity], largest(difference), limit(case, quantity))


def block_of(case_id, df_method, information):
    return next(
        b for b in CASES[case_id].blocks if (b.df_method, b.information) == (df_method, information)
    )


def kind_of(case):
    """PEER as peers stop, EXACT where Newton finished."""
    return "EXACT" if case.exact else "PEER"


def limit(case, quantity):
    """The tolerance for a quantity."""
    return getattr(tol, f"{kind_of(case)}_{quantity}")


def compare_tests(peer, got, want, kind, with_df=True):
    """Joint tests of terms, matched by name whatever the order inside an interaction."""
    got = got.assign(term=[_sorted(t) for t in got["term"]]).set_index("term")
    for row in want.itertuples():
        ours = got.loc[_sorted(row.term)]
        assert ours["df_num"] == row.num_df, row.term
        pairs = [("STATISTIC", ours["statistic"], row.F)]
        pairs += [("DF", ours["df_denom"], row.den_df)] if with_df else []
        if row.p > 1e-300 and with_df:
            pairs.append(("P_VALUE", ours["p_value"], row.p))
        for quantity, ours_is, theirs_is in pairs:
            words = WORDS[quantity].replace("degrees", "joint degrees")
            agree(peer, words, relative(ours_is, theirs_is), getattr(tol, f"{kind}_{quantity}"))


def _sorted(term):
    return ":".join(sorted(term.split(":")))


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
