"""What every form of the likelihood returns, and the sums all of them share.

Labels (M1) to (M6) are those of docs/methods/mmrm.md. E_h is the derivative of V by theta_h.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from aibmd.linalg.symmetric import FloatArray, inverse_and_logdet
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.least_squares import LeastSquares
from aibmd.vocabulary import Method

LOG_2PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The criterion at one theta, in the basis of the least squares.

    Attributes
    ----------
    loglik : float
    Phi : (p, p) array
        (X'V^-1 X)^-1.
    beta : (p,) array
    work : object
        What the form of the likelihood keeps for its derivatives.
    """

    loglik: float
    Phi: FloatArray
    beta: FloatArray
    work: Any


@dataclass(frozen=True, slots=True)
class Derivatives:
    """First and second derivatives at one theta.

    Attributes
    ----------
    score : (n_theta,) array
    expected, observed : (n_theta, n_theta) arrays
        Information matrices of the criterion.
    known_mean : (n_theta, n_theta) array
        Expected information were beta known: what `observed` is judged against.
    P : (n_theta, p, p) array
        X'V^-1 E_h V^-1 X, so that dPhi/dtheta_h = Phi P_h Phi.
    """

    score: FloatArray
    expected: FloatArray
    observed: FloatArray
    known_mean: FloatArray
    P: FloatArray


class Criterion(Protocol):
    """A log-likelihood of theta with exact derivatives; data and scale included."""

    @property
    def least_squares(self) -> LeastSquares:
        """The scale on which the criterion works."""

    @property
    def covariance(self) -> CovarianceTerm:
        """How theta makes V."""

    @property
    def method(self) -> Method:
        """Restricted or full likelihood."""

    def evaluate(self, theta: FloatArray) -> Evaluation | None:
        """The criterion, or None where some V_i is not positive definite."""

    def differentiate(self, theta: FloatArray, at: Evaluation) -> Derivatives:
        """Exact score and information."""

    def kenward_roger_sums(
        self, theta: FloatArray, at: Evaluation, theta_vcov: FloatArray, second_order: bool
    ) -> FloatArray:
        """sum_hk W_hk (Q_hk - R_hk / 4), the R_hk only where `second_order` (M8)."""

    def smallest_correlation(self, theta: FloatArray) -> float:
        """Smallest eigenvalue over the correlation matrices of subjects' rows."""


@dataclass(frozen=True, slots=True)
class Moments:
    """The sums over subjects that make up score and information.

    With r the residual and X, V of all subjects; h and k count parameters.

    Attributes
    ----------
    quadratic : (h,), r'V^-1 E_h V^-1 r
    log_det : (h,), tr(V^-1 E_h)
    pairs : (h, k), tr(V^-1 E_h V^-1 E_k)
    pairs_r : (h, k), r'V^-1 E_h V^-1 E_k V^-1 r
    pairs_x : (h, k), tr(Phi X'V^-1 E_h V^-1 E_k V^-1 X)
    P : (h, p, p), X'V^-1 E_h V^-1 X
    g : (h, p), X'V^-1 E_h V^-1 r
    curvature : (h, k) or None
        <dl/dV, second derivative of V>; None where V is linear in theta.
    """

    quadratic: FloatArray
    log_det: FloatArray
    pairs: FloatArray
    pairs_r: FloatArray
    pairs_x: FloatArray
    P: FloatArray
    g: FloatArray
    curvature: FloatArray | None = None


def evaluate_sums(
    sums: FloatArray, log_det_V: float, n_rows: int, method: Method, work: Any
) -> Evaluation | None:
    """The criterion from [X y]'V^-1 [X y], (p + 1, p + 1), and sum_i log|V_i|."""
    try:
        Phi, log_det_A = inverse_and_logdet(sums[:-1, :-1])
    except np.linalg.LinAlgError:
        return None
    beta = Phi @ sums[:-1, -1]
    quadratic = sums[-1, -1] - sums[:-1, -1] @ beta
    n_constant, log_det_X = n_rows, 0.0
    if method == "reml":
        n_constant, log_det_X = n_rows - len(beta), log_det_A
    loglik = -0.5 * (n_constant * LOG_2PI + log_det_V + log_det_X + quadratic)  # (M1)
    return Evaluation(float(loglik), Phi, beta, work) if np.isfinite(loglik) else None


def assemble_derivatives(sums: Moments, Phi: FloatArray, method: Method) -> Derivatives:
    """Score and information from their sums."""
    n_theta = len(sums.quadratic)
    known_mean = 0.5 * sums.pairs  # (M4)
    score = 0.5 * (sums.quadratic - sums.log_det)  # (M2)
    expected = known_mean
    if method == "reml":
        PhiP = Phi @ sums.P
        PPhi = PhiP.transpose(0, 2, 1).reshape(n_theta, -1)
        score = score + 0.5 * np.trace(PhiP, axis1=1, axis2=2)  # (M3)
        expected = known_mean - sums.pairs_x + 0.5 * (PhiP.reshape(n_theta, -1) @ PPhi.T)  # (M5)
    observed = sums.pairs_r - sums.g @ Phi @ sums.g.T - expected  # (M6)
    if sums.curvature is not None:
        observed = observed - sums.curvature
    return Derivatives(
        score, _symmetric(expected), _symmetric(observed), _symmetric(known_mean), sums.P
    )


def contract_pairs(F: FloatArray, flat_E: FloatArray, m: int) -> FloatArray:
    """Sum E_h[b c] F[a b, c d] E_k[d a]."""
    reordered = F.reshape(m, m, m, m).transpose(1, 2, 3, 0).reshape(m * m, m * m)
    return np.asarray(flat_E @ reordered @ flat_E.T)


def _symmetric(matrix: FloatArray) -> FloatArray:
    """Free of rounding that an ill-conditioned inverse would magnify."""
    return 0.5 * (matrix + matrix.T)
