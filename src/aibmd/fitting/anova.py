"""`anova`: tests of model terms that do not depend on how the user coded the factors."""

import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.term_hypotheses import type_three_hypotheses, type_two_hypotheses
from aibmd.fitting.wald import as_row

_HYPOTHESES = {"II": type_two_hypotheses, "III": type_three_hypotheses}


def anova(fit: MixedFit, type: str = "III") -> pd.DataFrame:
    """F tests of the terms of a fit, whatever coding the fit used.

    Parameters
    ----------
    fit : MixedFit
    type : {"III", "II"}
        ``"III"``: the coefficients of a term vanish when every factor is coded sum-to-zero, so
        a main effect is an average over the levels of the factors it interacts with, each level
        counted equally. Covariates are not centred: with an interaction, a main effect is
        tested where the covariate is zero.
        ``"II"``: a term is tested given the terms that do not contain it, so a main effect
        ignores its interactions and counts cells by how many rows they have.

    Returns
    -------
    DataFrame
        term, df_num, df_denom, statistic (F), p_value; the intercept is left out.

    Raises
    ------
    AibmdError
        Another type, or two terms that code one factor.

    Notes
    -----
    The covariance and df rule are those of the fit, Kenward-Roger, sandwich or any other.
    Labels (A1) to (A4) of ``docs/methods/anova.md``: where cells are empty a type III hypothesis
    is that the mean lies in the space of the other terms, which uses up fewer df than the term
    has columns. The type II hypothesis is that of SAS and lmerTest: it is fixed by the design and
    does not move with the estimated covariance, as that of R's car does.

    Under Satterthwaite the denominator df of a test with several df depend slightly on
    which level comes last (and so differ from lmerTest under treatment coding, which takes
    another basis); Kenward-Roger df do not.

    A type II test of a main effect misleads where the interaction is real: the average it tests
    depends on how many women each cell happened to have.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    >>> table["y"] = rng.normal(size=40)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit")
    >>> aibmd.anova(fit)["term"].tolist()
    ['visit']
    """
    if type not in _HYPOTHESES:
        available = " or ".join(map(repr, _HYPOTHESES))
        raise AibmdError(f"type={type!r} is not available; available: {available}")
    rows = [
        {"term": term, **as_row(fit.inference.test_jointly(L))}
        for term, L in _HYPOTHESES[type](fit.coding).items()
    ]
    return pd.DataFrame(rows, columns=["term", "df_num", "df_denom", "statistic", "p_value"])
