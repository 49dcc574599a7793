"""The rows of each woman with their covariance: what inference by subject works on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.criteria import order_by_subject
from aibmd.model.design import Design
from aibmd.model.engine import EngineFit

# Rows held at once.
_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class SubjectRows:
    """S subjects of k rows each, in the scaled basis of the least squares.

    Attributes
    ----------
    rows : (S, k) int array
        Row numbers in the design.
    Q : (S, k, p) array
        Columns of X in the orthonormal basis, times the root of the precision weight.
    residual : (S, k) array
        y - X beta, scaled and weighted alike.
    V : (S, k, k) array
        Their covariance.
    features : RowFeatures
        (S, k), random effects weighted alike.
    count : (S,) array
        Sampling weights; one where there are none.
    root_weight : (S, k) array
        Root of the precision weight.
    """

    rows: IntArray
    Q: FloatArray
    residual: FloatArray
    V: FloatArray
    features: RowFeatures
    count: FloatArray
    root_weight: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def iterate_subjects(
    design: Design, features: RowFeatures, engine: EngineFit
) -> Iterator[SubjectRows]:
    """Blocks of subjects with equally many rows, at the fitted parameters.

    Parameters
    ----------
    design : Design
    features : RowFeatures
        Long form, unweighted.
    engine : EngineFit
    """
    rows, scale = design.rows, engine.least_squares
    root = np.ones(len(rows.y)) if rows.weights is None else np.sqrt(rows.weights)
    weighted = features if rows.weights is None else features.scale_random(root)
    residual = (rows.y - design.linear_predictor(engine.beta)) * root / scale.scale
    within = (
        rows.visit
        if rows.repeated is None
        else rows.repeated.codes * (int(rows.visit.max()) + 1) + rows.visit
    )
    for block in order_by_subject(rows.subject, within).blocks:
        step = max(1, _ROWS // block.shape[1])
        for begin in range(0, len(block), step):
            some = block[begin : begin + step]
            own = weighted.take(some)
            V = engine.covariance.value(engine.theta_scaled, own)
            count = rows.sampling_weights
            yield SubjectRows(
                rows=some,
                Q=(design.columns_of(some) @ scale.basis.transform) * root[some][..., None],
                residual=residual[some],
                V=np.broadcast_to(V, (*some.shape, some.shape[1])),
                features=own,
                count=np.ones(len(some)) if count is None else count[some[:, 0]],
                root_weight=root[some],
            )
