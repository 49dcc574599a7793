"""Two rows of a woman at one time have correlation one, and so no covariance matrix."""

import numpy as np
import pandas as pd

from aibmd.model.row_refusals import refuse_repeats
from aibmd.model.rows import AnalysedRows
from aibmd.model.spec import ModelSpec


def refuse_equal_times(rows: AnalysedRows, data: pd.DataFrame, spec: ModelSpec) -> None:
    """Refuse two rows of a subject, and of a level of the repeated factor, at one time."""
    if rows.time is None or spec.time is None:
        return
    code = np.unique(rows.time, return_inverse=True)[1]
    factors = ((spec.repeated, rows.repeated), (spec.residual_group, rows.residual_group))
    named = [(name, factor) for name, factor in factors if name is not None and factor is not None]
    for _, factor in named:
        code = factor.codes * (int(code.max()) + 1) + code
    names = [spec.subject, *(name for name, _ in named), spec.time]
    what = "subject, repeated factor and time" if named else "subject and time"
    refuse_repeats(rows, data, code, names, what)
