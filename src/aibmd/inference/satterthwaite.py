"""Satterthwaite degrees of freedom, labels (S1) to (S4) of docs/methods/satterthwaite.md."""

from collections.abc import Callable

import numpy as np

from aibmd.linalg.symmetric import FloatArray

# Direction-wise df closer than this, relatively, count as one value.
_SAME_DF = 1e-8


def compute_df(
    L: FloatArray, Phi: FloatArray, Phi_gradient: FloatArray, theta_vcov: FloatArray
) -> FloatArray:
    """Degrees of freedom of each row of L.

    Parameters
    ----------
    L : (r, p) array
    Phi : (p, p) array
    Phi_gradient : (n_theta, p, p) array
        Derivative of Phi by each covariance parameter.
    theta_vcov : (n_theta, n_theta) array

    Returns
    -------
    (r,) array
        ``2 v^2 / (g' W g)`` with v = l'Phi l, g_h = l' dPhi_h l.
    """
    variance = np.einsum("rp,pq,rq->r", L, Phi, L)  # (S1)
    gradient = np.einsum("rp,hpq,rq->rh", L, Phi_gradient, L)  # (S2)
    denominator = np.einsum("rh,hk,rk->r", gradient, theta_vcov, gradient)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(2.0 * variance**2 / denominator)  # (S3)


def combine_f_df(
    L: FloatArray, spread: FloatArray, df_of: Callable[[FloatArray], FloatArray]
) -> float:
    """Denominator degrees of freedom of the joint test of L beta = 0 (S4).

    The test is split into independent one-df tests along the eigenvectors of the covariance
    of L beta; the F distribution is then matched on its mean.

    Parameters
    ----------
    L : (q, p) array of full row rank
    spread : (q, q) array
        Covariance of the estimates of L beta.
    df_of : callable
        (q, p) -> df of each row.
    """
    _, vectors = np.linalg.eigh(spread)
    nu = df_of(vectors.T @ L)
    if len(nu) == 1 or np.ptp(nu) <= _SAME_DF * nu.mean():
        return float(nu.mean())
    if (nu <= 2.0).any():
        return 2.0
    expectation = float((nu / (nu - 2.0)).sum())
    return 2.0 * expectation / (expectation - len(nu))


def compute_df_together(
    T: FloatArray, Phi: FloatArray, P: FloatArray, theta_vcov: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Variance and df of every coefficient of many fits at once, (B, p) each.

    Parameters
    ----------
    T : (p, p) array
        Its rows are the coefficients as functions in the basis of `Phi`.
    Phi : (B, p, p) array
    P : (B, n_theta, p, p) array
        So that the derivative of Phi by theta_h is Phi P_h Phi.
    theta_vcov : (B, n_theta, n_theta) array
    """
    rows = T @ Phi  # (B, p, p): l' Phi
    variance = np.einsum("blp,lp->bl", rows, T)  # (S1)
    gradient = ((rows[:, None] @ P) * rows[:, None]).sum(axis=-1)  # (S2)
    spread = (gradient * (theta_vcov @ gradient)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return variance, 2.0 * variance**2 / spread  # (S3)
