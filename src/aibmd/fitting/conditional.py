"""Best linear prediction of rows from known rows of the same woman."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.new_rows import RowPool
from aibmd.fitting.prediction_error import ThetaUncertainty
from aibmd.fitting.stacked_rows import PredictionTarget, StackedRows
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.criteria import order_by_subject

# Numbers held at once (32 MB).
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions with the variance of their error, user's scale; NaN where data are silent.

    Attributes
    ----------
    estimate, variance, df : (m,) arrays
        The last two are NaN where not asked for.
    """

    estimate: FloatArray
    variance: FloatArray
    df: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def predict_rows(
    fit: MixedFit,
    pool: RowPool,
    targets: IntArray,
    given: IntArray,
    y: FloatArray,
    target: PredictionTarget,
    with_spread: bool,
) -> Prediction:
    """Predict each target row from the given rows of the same subject.

    Parameters
    ----------
    fit : MixedFit
    pool : RowPool
    targets : (m,) int array
        Pooled rows.
    given : (g,) int array
        Pooled rows whose response is known.
    y : (n + m,) array
        Responses of pooled rows; used at `given`.
    target : PredictionTarget
    with_spread : bool
        Whether variance and df are needed.
    """
    estimate, variance, df = np.empty((3, len(targets)))
    uncertainty = ThetaUncertainty.of(fit) if with_spread else None
    n_theta = len(fit.engine.theta)
    for which, rows in _stacks(pool, targets, given):
        width = rows.shape[1] ** 2 * (n_theta + 4) + n_theta * len(fit.inference.beta)
        step = max(1, _BLOCK // width)
        for begin in range(0, len(which), step):
            some = which[begin : begin + step]
            stack = StackedRows.of(fit, pool, rows[begin : begin + step], y, target)
            estimate[some] = stack.estimate
            if uncertainty is not None:
                variance[some], df[some] = uncertainty.spread(fit, stack, target)
    return Prediction(estimate, variance, df)


def _stacks(
    pool: RowPool, targets: IntArray, given: IntArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Places in `targets`, and (N, 1 + k) pooled rows: a target, then what it is predicted from."""
    who = pool.who[targets]
    done = np.zeros(len(targets), dtype=bool)
    for block in order_by_subject(pool.who[given]).blocks if len(given) else ():
        rows = given[block]
        line = np.full(int(pool.who.max()) + 1, -1)
        line[pool.who[rows[:, 0]]] = np.arange(len(rows))
        which = np.flatnonzero(line[who] >= 0)
        if len(which):
            done[which] = True
            yield which, np.column_stack([targets[which], rows[line[who[which]]]])
    alone = np.flatnonzero(~done)
    if len(alone):
        yield alone, targets[alone][:, None]
