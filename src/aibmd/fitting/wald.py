"""`wald_test`: a joint F test of any linear hypothesis about the coefficients."""

from typing import Any

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError, NotEstimableError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.inference import FTest
from aibmd.linalg.symmetric import FloatArray


def wald_test(fit: MixedFit, L: Any) -> pd.DataFrame:
    """Test ``L beta = 0`` jointly, with the fit's covariance and df rule.

    Parameters
    ----------
    fit : MixedFit
    L : array (r, p) or DataFrame
        One linear function per row. Columns are those of ``fit.params``, in order, or all
        columns of X including dropped ones; a DataFrame is matched by column name and
        absent columns count as zero.

    Returns
    -------
    DataFrame
        One row: df_num, df_denom, statistic (F), p_value. Dependent rows of L count once.

    Raises
    ------
    NotEstimableError
        A row of L is not estimable from this design.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    >>> table["y"] = rng.normal(size=40)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit")
    >>> aibmd.wald_test(fit, [[0, 1]]).columns.tolist()
    ['df_num', 'df_denom', 'statistic', 'p_value']
    """
    found = fit.inference.test_jointly(reduce_to_kept(fit, as_matrix(fit, L)))
    return pd.DataFrame([as_row(found)])


def as_row(test: FTest) -> dict[str, float]:
    """Columns of a test table, in their order."""
    return {
        "df_num": test.df_num,
        "df_denom": test.df_denom,
        "statistic": test.statistic,
        "p_value": test.p_value,
    }


def reduce_to_kept(fit: MixedFit, L: FloatArray) -> FloatArray:
    """Columns of L for the coefficients that were estimated, after checking estimability."""
    coding = fit.coding
    if L.shape[1] == len(coding.kept):
        return L
    if L.shape[1] != len(coding.columns):
        raise AibmdError(
            f"L has {L.shape[1]} columns; the fit has {len(coding.kept)} coefficients "
            f"({len(coding.columns)} with dropped ones)"
        )
    estimable = coding.find_estimable(L)
    if not estimable.all():
        row = int(np.flatnonzero(~estimable)[0])
        raise NotEstimableError(
            f"row {row} of L is not estimable: it needs a coefficient that repeats others "
            f"({', '.join(coding.dropped_columns)} were dropped)"
        )
    return L[:, coding.kept]


def as_matrix(fit: MixedFit, L: Any) -> FloatArray:
    """Linear functions as given -> one row of finite numbers for each."""
    if isinstance(L, pd.DataFrame):
        names = list(fit.coding.columns)
        unknown = [name for name in L.columns if name not in names]
        if unknown:
            raise AibmdError(f"L names {unknown[0]!r}, which is no coefficient of the fit")
        L = L.reindex(columns=names, fill_value=0.0)
    try:
        matrix = np.atleast_2d(np.asarray(L, dtype=float))
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise AibmdError("L is one row of finite numbers per linear function, or a DataFrame")
    return matrix
