"""Outcomes drawn from a fitted model, for the parametric bootstrap."""

from dataclasses import dataclass

import numpy as np

from aibmd.fitting.mixed_fit import MixedFit
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.subject_rows import iterate_subjects


@dataclass(frozen=True, slots=True)
class _Block:
    """Subjects of k rows: their rows, (S, k), and a factor of their covariance, (S, k, k)."""

    rows: IntArray
    factor: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class OutcomeSampler:
    """y ~ N(X beta, V) at the estimates, as `simulate_response`, the factors of V kept.

    Attributes
    ----------
    mean : (n,) array
    blocks : tuple
        Subjects with equally many rows together.
    """

    mean: FloatArray
    blocks: tuple[_Block, ...]

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """One set of outcomes, (n,), in the order of the rows."""
        y, z = self.mean.copy(), rng.standard_normal(len(self.mean))
        for block in self.blocks:
            y[block.rows] += (block.factor @ z[block.rows][..., None])[..., 0]
        return y


def prepare_draws(fit: MixedFit) -> OutcomeSampler:
    """Everything about a fit that does not change from draw to draw."""
    scale, blocks = fit.engine.least_squares.scale, []
    for some in iterate_subjects(fit.design, fit.features, fit.engine):
        # V is of rows times the root of their weight; the outcomes are not.
        factor = scale * np.linalg.cholesky(some.V) / some.root_weight[..., None]
        blocks.append(_Block(some.rows.copy(), factor))
    return OutcomeSampler(fit.design.linear_predictor(fit.engine.beta), tuple(blocks))
