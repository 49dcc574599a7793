"""One program in a process of its own: a request a line in, seconds and answers a line out.

    python peer_worker.py PROGRAM

Needs nothing of the project except for the program `aibmd`, so any Python that holds the
peer can run it. Reading the table, imports and the first, warming fit are not timed; from the
data frame to standard errors is. A request is {"model": "cs" | "slope" | "un", "path": CSV}.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy loads

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from functools import cache  # noqa: E402
from importlib.metadata import version  # noqa: E402

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

BMD = "pct_change ~ group * visit + base_bmd * visit + age + bmi + prior_chemo"
SLOPE = "y ~ t * g"


@cache
def read(path, program):
    """Complete rows, in the kind of frame the program wants: not every one drops the others."""
    data = pd.read_csv(path).dropna().reset_index(drop=True)
    if program != "lme-python":
        return data
    import polars

    return polars.DataFrame({name: data[name].to_list() for name in data})


def fit_aibmd(model, data):
    """With Satterthwaite degrees of freedom and p-values, which the peers here do not compute."""
    import aibmd

    if model == "slope":
        fit = aibmd.fit_lmm(SLOPE, data, subject="id", random="1 + t", df_method="satterthwaite")
    else:
        fit = aibmd.fit_mmrm(
            BMD, data, subject="subject_id", visit="visit", covariance=model,
            df_method="satterthwaite",
        )  # fmt: skip
    _ = fit.df, fit.pvalues
    return fit.llf, fit.bse


def fit_statsmodels(model, data):
    """`powell`, held tight, for slopes: its other optimisers stop short on the scale of BMD."""
    from statsmodels.formula.api import mixedlm

    if model == "slope":
        fit = mixedlm(SLOPE, data, groups=data["id"], re_formula="~t").fit(
            method="powell", xtol=1e-6, ftol=1e-9
        )
    else:
        fit = mixedlm(BMD, data, groups=data["subject_id"]).fit(method="cg")
    return fit.llf, fit.bse_fe


def fit_mixedlm_rs(model, data):
    import mixedlm_rs

    if model == "slope":
        fit = mixedlm_rs.mixedlm(SLOPE, data, groups="id", re_formula="~t").fit()
    else:
        fit = mixedlm_rs.mixedlm(BMD, data, groups="subject_id").fit()
    return fit.llf, fit.bse_fe


def fit_mixedlm(model, data):
    import mixedlm

    bars = "(t | id)" if model == "slope" else "(1 | subject_id)"
    fit = mixedlm.lmer(f"{SLOPE if model == 'slope' else BMD} + {bars}", data)
    return fit.logLik().value, np.sqrt(np.diag(fit.vcov()))


def fit_lme_python(model, data):
    import lme_python

    bars = "(t | id)" if model == "slope" else "(1 | subject_id)"
    fit = lme_python.lmer(f"{SLOPE if model == 'slope' else BMD} + {bars}", data=data, reml=True)
    return fit.log_likelihood, np.array(fit.std_errors)


PROGRAMS = {
    "aibmd": fit_aibmd,
    "statsmodels": fit_statsmodels,
    "mixedlm-rs": fit_mixedlm_rs,
    "mixedlm": fit_mixedlm,
    "lme-python": fit_lme_python,
}


def answer(program, request):
    """Processor and wall seconds, log-likelihood and sorted standard errors of one fit."""
    fit, data = PROGRAMS[program], read(request["path"], program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds, wall = time.process_time(), time.perf_counter()
        loglik, se = fit(request["model"], data)
        wall, seconds = time.perf_counter() - wall, time.process_time() - seconds
    se = np.sort(np.asarray(se, dtype=float))
    return {"seconds": seconds, "wall": wall, "loglik": float(loglik), "se": se.tolist()}


def main():
    """Say hello with the version, then answer until the input ends."""
    program = sys.argv[1]
    out = os.fdopen(os.dup(1), "w")  # a peer that prints must not speak between the lines
    os.dup2(2, 1)
    print(json.dumps({"version": version(program)}), file=out, flush=True)
    for line in sys.stdin:
        try:
            said = answer(program, json.loads(line))
        except Exception as error:  # the table says what a peer said
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), file=out, flush=True)


if __name__ == "__main__":
    main()
