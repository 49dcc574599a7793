"""Requirements a result must meet before its time counts."""

import numpy as np
from stopwatch import require

# Relative to the log-likelihood's size; SE and df relative; beta in standard errors.
LOGLIK, BETA, SE, DF, GAIN = 1e-11, 1e-7, 1e-7, 1e-6, 1e-8


def check_engine(engine, found, verdict, adjusted=False):
    """An engine's result against the judge's; `adjusted` for Kenward-Roger's SE."""
    se = np.sqrt(np.diag(found.vcov))
    df = found.df if verdict.df is not None else None
    return _check(engine.loglik, engine.beta, se, df, verdict, adjusted)


def check_fit(fit, verdict, adjusted=False):
    """A whole call's result against the judge's."""
    df = np.asarray(fit.df) if verdict.df is not None else None
    return _check(fit.llf, np.asarray(fit.params), np.asarray(fit.bse), df, verdict, adjusted)


def _check(loglik, beta, se, df, verdict, adjusted):
    expected = verdict.se_kenward_roger if adjusted else verdict.se
    parts = [
        require("llf (relative)", abs(loglik / verdict.loglik - 1), LOGLIK),
        require("beta (in SE)", np.max(np.abs(beta - verdict.beta) / verdict.se), BETA),
        require("SE", np.max(np.abs(se / expected - 1)), SE),
        require("gain left", float(verdict.gain), GAIN),
    ]
    if df is not None:
        parts.append(require("df", np.max(np.abs(df / verdict.df - 1)), DF))
    return ", ".join(parts)
