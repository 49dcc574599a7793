"""The numbers behind one row of a table, each named as in the method notes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.subject_rows import SubjectRows, iterate_subjects

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Parts of l'(Phi_A - Phi)l, (K1) and (K10)."""

    of_q: float
    of_p: float
    of_r: float


@dataclass(frozen=True, slots=True)
class Satterthwaite:
    """What (S3) needs, one entry per covariance parameter, on the user's scale.

    Attributes
    ----------
    gradient : (n_theta,) array
        g_h, derivative of v = l'Phi l by theta_h (S2).
    theta_se : (n_theta,) array
        Root of the diagonal of W.
    weighted : (n_theta,) array
        (W g)_h.
    """

    gradient: FloatArray
    theta_se: FloatArray
    weighted: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def products(self) -> FloatArray:
        """g_h (W g)_h, which add up to g'W g."""
        return self.gradient * self.weighted


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each subject adds to l'U l.

    Attributes
    ----------
    influence : (n,) array
        e_i of (H1); the robust variance is the sum of their squares.
    expected : float
        Expectation of the robust variance under the working model (H6).
    """

    influence: FloatArray
    expected: float

    def __post_init__(self) -> None:
        freeze_arrays(self)


def sum_normal_equations(fit: "MixedFit") -> FloatArray:
    """Sum over subjects of X'V^-1 y, called u, (p,), on the user's scale (M10)."""
    unit = fit.engine.least_squares.scale
    total = np.zeros(len(fit.params))
    for block in _blocks(fit):
        X = fit.design.columns_of(block.rows) * block.root_weight[..., None]
        y = fit.design.rows.y[block.rows] * block.root_weight
        solved = np.linalg.solve(block.V * unit**2, y[..., None])
        total += np.einsum("s,skp,sk->p", block.count, X, solved[..., 0], optimize=True)
    return total


def take_adjustment(fit: "MixedFit", row: FloatArray) -> Adjustment:
    """The Kenward-Roger adjustment of l'Phi l, part by part; `row` is l, (p,)."""
    engine, inference = fit.engine, fit.inference
    W, at = inference.theta_vcov, engine.at
    to_user = engine.least_squares.to_user_vcov

    def of_row(inner: FloatArray) -> float:
        return float(2.0 * row @ to_user(at.Phi @ inner @ at.Phi) @ row)

    sums = engine.criterion.kenward_roger_sums
    Q = sums(engine.theta_scaled, at, W, False)
    P = engine.derivatives.P
    PPhiP = np.einsum("hk,hpq,qr,krs->ps", W, P, at.Phi, P, optimize=True)
    of_r = 0.0
    if inference.df_method == "kenward_roger_second_order":
        of_r = of_row(sums(engine.theta_scaled, at, W, True) - Q)
    return Adjustment(of_row(Q), -of_row(PPhiP), of_r)


def take_satterthwaite(fit: "MixedFit", row: FloatArray) -> Satterthwaite:
    """Gradient and information, from engine units to the user's."""
    units, inference = fit.engine.theta_units, fit.inference
    gradient = np.einsum("p,hpq,q->h", row, inference.Phi_gradient, row) / units
    W = inference.theta_vcov * units[:, None] * units
    se = np.sqrt(np.diagonal(W))
    gradient = _without_rounding(gradient, se, float(np.abs(gradient * se).max()))
    weighted = W @ gradient
    return Satterthwaite(
        gradient, se, _without_rounding(weighted, 1.0, float(np.abs(gradient * se).max()) * se)
    )


def _without_rounding(values: FloatArray, scale: Any, size: Any) -> FloatArray:
    """Zero in place of what is rounding beside `size`, so that no machine prints its own noise."""
    return np.where(np.abs(values * scale) > _ROUNDING * size, values, 0.0)


def take_contributions(fit: "MixedFit", row: FloatArray) -> Contributions:
    """Each subject's e_i, in the order of `fit.design.rows.subjects`."""
    sandwich = fit.inference.sandwich
    if sandwich is None:
        raise ValueError("the fit has no sandwich")
    scaled = row @ fit.inference.to_scaled
    influence, expected = np.zeros(fit.n_subjects), 0.0
    Phi, squares = sandwich.Phi, sandwich.squares
    for block, cluster in zip(_blocks(fit), sandwich.clusters, strict=True):
        factor = np.linalg.cholesky(block.V)
        residual = np.linalg.solve(factor, block.residual[..., None])[..., 0]
        g = cluster.M @ scaled
        influence[fit.design.rows.subject[block.rows[:, 0]]] = (g * residual).sum(axis=1)
        b = np.einsum("skp,sk->sp", cluster.X, g)
        twice = 2.0 * cluster.count * np.einsum("sp,pq,sq->s", b, Phi, b)
        common = np.einsum("sp,pq,sq->s", b, Phi @ squares @ Phi, b)
        expected += float(((g**2).sum(axis=1) - twice + common).sum())
    return Contributions(influence, expected)


def is_constant_within(fit: "MixedFit", j: int) -> bool:
    """Whether a column of X has one value within every subject."""
    column = fit.design.columns_of(np.arange(fit.n_obs))[:, j]
    subject = fit.design.rows.subject
    first = np.zeros(fit.n_subjects, dtype=np.intp)
    first[subject[::-1]] = np.arange(len(subject))[::-1]
    return bool((column == column[first[subject]]).all())


def _blocks(fit: "MixedFit") -> list[SubjectRows]:
    return list(iterate_subjects(fit.design, fit.features, fit.engine))
