"""New outcomes on an old design: what simulation and the bootstrap ask for."""

import importlib.util

import designs
import numpy as np
from checks import DF, LOGLIK, SE
from designs import BMD_FORMULA
from from_arrays import call_mmrm, code_rows, fit_rows
from judge import judge, visit_blocks
from stopwatch import Row, medians, require

A_SECOND = 300
ALONE = 16
CHECKED = 3


def refit_rows(n_subjects=372, n_outcomes=512, rounds=5):
    """Unstructured fits with Satterthwaite a second, together and one after another."""
    what = f"refits, un, {n_subjects} x 5 visits, Satterthwaite"
    target = f">= {A_SECOND} a second"
    if importlib.util.find_spec("aibmd.fitting.outcomes") is None:
        return [Row(f"{what}: pending, this version has no fit_outcomes", target=target)]
    from aibmd.fitting.outcomes import fit_outcomes

    frame = designs.category_frame(designs.make_trial(n_subjects))
    X, _, subject, visit = code_rows(BMD_FORMULA, frame, "subject_id", "visit")
    fit = call_mmrm(BMD_FORMULA, frame)[0]
    outcomes = draw_outcomes(fit, subject, visit, n_outcomes)
    rows = (X, subject, visit)
    equal = check_some(fit_outcomes(fit, outcomes), rows, outcomes)
    took = medians(
        {
            "together": lambda: fit_outcomes(fit, outcomes),
            "alone": lambda: [fit_rows(X, y, subject, visit) for y in outcomes.T[:ALONE]],
        },
        rounds,
    )
    together, alone = took["together"].each(n_outcomes), took["alone"].each(ALONE)
    rate = 1 / together.processor
    return [
        Row(f"{what}: {n_outcomes} outcomes together, {rate:.0f} a second", together,
            together / alone, "engine from arrays, one by one", target, rate >= A_SECOND, equal),
        Row(f"{what}: one by one, {1 / alone.processor:.0f} a second", alone),
    ]  # fmt: skip


def draw_outcomes(fit, subject, visit, n_outcomes, seed=7):
    """(n, B): from the fitted model, a subject's visits correlated as fitted."""
    chol = np.linalg.cholesky(fit.engine.Sigma)
    n_subjects, m = int(subject.max()) + 1, len(chol)
    noise = np.random.default_rng(seed).normal(size=(n_outcomes, n_subjects, m)) @ chol.T
    return np.asarray(fit.fittedvalues)[:, None] + noise[:, subject, visit].T


def check_some(fits, rows, outcomes):
    """The first outcomes against the judge, at the covariance each reached."""
    X, subject, visit = rows
    m = int(visit.max()) + 1
    worst = np.zeros(4)
    for b in range(CHECKED):
        Sigma = np.zeros((m, m))
        Sigma[np.triu_indices(m)] = fits.theta[b]
        Sigma = np.triu(Sigma) + np.triu(Sigma, 1).T
        verdict = judge(visit_blocks(X, outcomes[:, b], subject, visit, Sigma))
        found = (
            abs(fits.log_likelihood[b] / verdict.loglik - 1),
            np.max(np.abs(fits.std_error[b] / verdict.se - 1)),
            np.max(np.abs(fits.df[b] / verdict.df - 1)),
            verdict.gain,
        )
        worst = np.maximum(worst, found)
    names = ("llf (relative)", "SE", "df", "gain left")
    agreed = [require(*one) for one in zip(names, worst, (LOGLIK, SE, DF, 1e-8), strict=True)]
    settled = require("not converged", float(np.sum(~fits.converged)), 0)
    return ", ".join([*agreed, settled])
