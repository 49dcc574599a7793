"""`simulate_response`: new responses of the same women from the fitted model."""

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.outcome_draws import prepare_draws


def simulate_response(
    fit: MixedFit, rng: np.random.Generator | int, n_sim: int | None = None
) -> pd.Series | pd.DataFrame:
    """Responses that the fitted model could have produced for the rows used.

    Answers whether the model makes data like those seen, and feeds a parametric bootstrap.

    Parameters
    ----------
    fit : MixedFit
    rng : Generator or int
        The same number gives the same responses.
    n_sim : int, optional
        How many times; None gives one Series.

    Returns
    -------
    Series or DataFrame
        Index of the rows used; the DataFrame has a column for each time, from zero. On the
        scale of the formula's left side: for ``log(bmd) ~ ...`` these are logarithms.

    Raises
    ------
    AibmdError
        `n_sim` is not a positive whole number.

    Notes
    -----
    y* = X beta-hat + L_i z with V_i = L_i L_i', z standard normal (PR9) of
    ``docs/methods/prediction.md``: whole women are drawn anew, random effects included.

    It misleads where estimates are taken for the truth: simulated data know nothing of the
    uncertainty of beta and of the covariance, and visits are missing exactly where they were.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_mmrm("bmd ~ arm * visit", hip)
    >>> aibmd.simulate_response(fit, 1).equals(aibmd.simulate_response(fit, 1))
    True
    """
    is_count = isinstance(n_sim, int | np.integer) and not isinstance(n_sim, bool) and n_sim > 0
    if n_sim is not None and not is_count:
        raise AibmdError(f"n_sim={n_sim!r} is not a positive whole number")
    sampler, generator = prepare_draws(fit), np.random.default_rng(rng)
    index = fit.design.rows.frame.index
    if n_sim is None:
        return pd.Series(sampler.draw(generator), index=index, name=fit.coding.formula.response)
    columns = [sampler.draw(generator) for _ in range(int(n_sim))]
    return pd.DataFrame(np.column_stack(columns), index=index)
