"""Least squares in an orthonormal basis: the scale on which everything else is computed."""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.basis import OrthonormalBasis, orthonormalise
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.vocabulary import Method

# Residuals below this share of the response are rounding, not variation.
PERFECT_FIT_SHARE = 1e-10


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """What turns [X, y] into [Q, r] with Q'Q = I and residuals of SD one, and back.

    Q = X[:, kept] T and r = (y - X b0) / s. Under precision weights X and y stand for rows
    multiplied by the square root of their weight.

    Attributes
    ----------
    basis : OrthonormalBasis
    beta0 : (p,) array
        Least-squares coefficients b0, on the user's scale.
    scale : float
        s, the least-squares residual SD, on the user's scale; zero for a perfect fit.
    n_rows : int
    log_weights : float
        Half the sum of the logarithms of the precision weights.
    """

    basis: OrthonormalBasis
    beta0: FloatArray
    scale: float
    n_rows: int
    log_weights: float = 0.0

    def __post_init__(self) -> None:
        freeze_arrays(self)

    @property
    def n_coefficients(self) -> int:
        """p, the number of columns kept."""
        return len(self.beta0)

    @property
    def is_perfect_fit(self) -> bool:
        """Whether least squares leaves nothing to model."""
        return self.scale == 0.0

    def to_user_beta(self, beta: FloatArray) -> FloatArray:
        """Coefficients in the orthonormal basis -> the user's."""
        return np.asarray(self.beta0 + self.scale * (self.basis.transform @ beta))

    def to_user_vcov(self, matrices: FloatArray) -> FloatArray:
        """(..., p, p) covariances of coefficients -> the user's."""
        T = self.basis.transform * self.scale
        return np.asarray(T @ matrices @ T.T)

    def to_user_loglik(self, loglik: float, method: Method) -> float:
        """Undo the scaling of y and X in the constant (M7)."""
        is_reml = method == "reml"
        n_scaled = self.n_rows - (self.n_coefficients if is_reml else 0)
        log_det_T = self.basis.log_det if is_reml else 0.0
        return float(loglik - n_scaled * np.log(self.scale) + log_det_T + self.log_weights)


def fit_least_squares(
    X: FloatArray, y: FloatArray, log_weights: float = 0.0
) -> tuple[LeastSquares, FloatArray]:
    """Least squares and the scaled rows [Q, r], (n, p + 1).

    Parameters
    ----------
    X : (n, p_full) array
    y : (n,) array
    log_weights : float
    """
    basis = orthonormalise(X)
    Q = (X if len(basis.kept) == X.shape[1] else X[:, basis.kept]) @ basis.transform
    delta, residual = _refined(Q, y)
    scale = residual_scale(residual, y, Q.shape[1])
    fit = LeastSquares(basis, basis.transform @ delta, scale, len(y), log_weights)
    return fit, np.column_stack([Q, residual / (scale or 1.0)])


def _refined(Q: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients on Q and residuals, with one refinement against a large mean of y."""
    delta = Q.T @ y
    residual = y - Q @ delta
    correction = Q.T @ residual
    return delta + correction, residual - Q @ correction


def residual_scale(residual: FloatArray, y: FloatArray, n_columns: int) -> float:
    """Residual SD of least squares; zero where what is left is rounding."""
    sum_of_squares = float(residual @ residual)
    if sum_of_squares <= PERFECT_FIT_SHARE**2 * float(y @ y) or len(y) <= n_columns:
        return 0.0
    return float(np.sqrt(sum_of_squares / (len(y) - n_columns)))
