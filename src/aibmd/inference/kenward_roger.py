"""Kenward and Roger (1997), labels (K1) to (K10) of docs/methods/kenward_roger.md.

First order leaves out the second-derivative term of the paper. That term vanishes where V is
linear in its parameters (un, cs, toep, random effects); without it the result is free of
parameterisation.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import FloatArray
from aibmd.model.engine import EngineFit


def compute_adjusted_vcov(
    fit: EngineFit, theta_vcov: FloatArray, second_order: bool = False
) -> FloatArray:
    """Covariance of beta, corrected for estimating Sigma (K1).

    Parameters
    ----------
    fit : EngineFit
    theta_vcov : (n_theta, n_theta) array
        In the basis of the least squares.
    second_order : bool
        Whether to add the second-derivative term of the paper (K10).

    Returns
    -------
    (p, p) array, on the user's scale
    """
    Phi, P = fit.at.Phi, fit.derivatives.P
    Q_sum = fit.criterion.kenward_roger_sums(fit.theta_scaled, fit.at, theta_vcov, second_order)
    weighted = np.tensordot(theta_vcov, P, axes=1)
    P_sum = np.einsum("hpq,qr,hrs->ps", weighted, Phi, P, optimize=True)
    bias = Phi @ (Q_sum - P_sum) @ Phi
    return fit.least_squares.to_user_vcov(Phi + (bias + bias.T))


# (K5) is infinite at A2 = q; this near, moments are matched to either side instead.
_NEAR_SINGULARITY = 1e-4
_ASIDE = 1e-2


@dataclass(frozen=True, slots=True)
class KenwardRogerF:
    """Scaling lambda of F and its denominator degrees of freedom."""

    scaling: float
    df_denom: float


def compute_f_scaling(
    L: FloatArray, Phi: FloatArray, Phi_gradient: FloatArray, theta_vcov: FloatArray
) -> KenwardRogerF:
    """Match the first two moments of the Wald statistic to a scaled F.

    Parameters
    ----------
    L : (q, p) array of full row rank
    Phi : (p, p) array
        The unadjusted covariance of beta.
    Phi_gradient : (n_theta, p, p) array
        Derivative of Phi by each covariance parameter.
    theta_vcov : (n_theta, n_theta) array
    """
    q = len(L)
    projected = np.linalg.solve(L @ Phi @ L.T, np.ones((1, 1)) * (L @ Phi_gradient @ L.T))
    traces = np.trace(projected, axis1=1, axis2=2)
    A1 = float(traces @ theta_vcov @ traces)  # (K2)
    A2 = float(np.einsum("hk,hij,kji->", theta_vcov, projected, projected))  # (K3)
    if abs(1.0 - A2 / q) > _NEAR_SINGULARITY:
        return _match_moments(A1, A2, q)
    # df of 2: (K8), (K9) are 0/0 there but smooth on both sides; extrapolate to the middle.
    near, far = (_average_about(A1, A2, q, aside) for aside in (_ASIDE, 2.0 * _ASIDE))
    scaling, df_denom = (4.0 * near - far) / 3.0
    return KenwardRogerF(float(scaling), float(df_denom))


def _average_about(A1: float, A2: float, q: int, aside: float) -> FloatArray:
    sides = [_match_moments(A1 * t, A2 * t, q) for t in (1.0 - aside, 1.0 + aside)]
    return np.asarray(np.mean([(side.scaling, side.df_denom) for side in sides], axis=0))


def _match_moments(A1: float, A2: float, q: int) -> KenwardRogerF:
    B = (A1 + 6.0 * A2) / (2.0 * q)  # (K4)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c0 = 3.0 * q + 2.0 * (1.0 - g)
    c1, c2, c3 = g / c0, (q - g) / c0, (q + 2 - g) / c0
    mean = 1.0 / (1.0 - A2 / q)  # (K5)
    variance = (2.0 / q) * (1.0 + c1 * B) / ((1.0 - c2 * B) ** 2 * (1.0 - c3 * B))  # (K6)
    rho = variance / (2.0 * mean**2)  # (K7)
    df_denom = 4.0 + (q + 2.0) / (q * rho - 1.0)  # (K8)
    scaling = df_denom / (mean * (df_denom - 2.0))  # (K9)
    return KenwardRogerF(scaling, df_denom)
