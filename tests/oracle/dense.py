"""A dense textbook mixed-model engine: the independent oracle of the tests.

It shares no code with the package and has no optimiser: everything is evaluated at a given
theta, with the full n x n matrix V(theta), its inverse and matrix products as printed in the
papers. For tiny data only. First derivatives of V are complex steps (exact to rounding);
second derivatives are five-point differences of those (relative error near 1e-11, see
`_STEP`), so observed information of a covariance that is not linear in theta carries 1e-10.

Equations: Harville (1977, JASA 72:320-338) for the restricted likelihood, with constant
(N - p) log 2 pi + log|X'V^-1 X|; Fai and Cornelius (1996, J Stat Comput Simul 54:363-378);
Kenward and Roger (1997, Biometrics 53:983-997); Bell and McCaffrey (2002, Survey Methodology
28:169-181) with the symmetric root taken of the whitened residuals' covariance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np

# Of a complex step: its square vanishes beside any covariance in double precision.
_TINY = 1e-30
# Of a five-point difference, relative: its error is of order _STEP**4 and eps / _STEP.
_STEP = 1e-3
# (d for derivative) _STEP-multiples and weights of f'(x) = sum_j w_j f(x + j h) / h.
_FIVE_POINTS = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))


def log_det(A):
    """By LU factors; an analytic function of A, so complex steps pass through."""
    sign, log_abs = np.linalg.slogdet(A)
    return np.log(sign) + log_abs


@dataclass(frozen=True, eq=False)
class DenseModel:
    """y ~ N(X beta, V(theta)); `V` turns a real or complex theta into the n x n matrix."""

    X: np.ndarray
    y: np.ndarray
    V: Callable
    method: str = "reml"

    def loglik(self, theta):
        """Log-likelihood ("ml") or restricted log-likelihood ("reml") at the best beta."""
        V = self.V(np.asarray(theta))
        V_inverse_X = np.linalg.solve(V, self.X)
        information = self.X.T @ V_inverse_X
        residual = self.y - self.X @ np.linalg.solve(information, V_inverse_X.T @ self.y)
        twice = log_det(V) + residual @ np.linalg.solve(V, residual)
        twice = twice + len(self.y) * np.log(2 * np.pi)
        if self.method == "reml":
            twice = twice + log_det(information) - self.X.shape[1] * np.log(2 * np.pi)
        return -twice / 2

    def score(self, theta):
        """Gradient of `loglik` by complex steps, exact to rounding."""
        theta = np.asarray(theta, dtype=float)
        steps = 1j * _TINY * np.eye(len(theta))
        return np.array([np.imag(self.loglik(theta + step)) / _TINY for step in steps])

    def dV(self, theta, k):
        """Derivative of V by theta_k, exact to rounding."""
        return np.imag(self.V(theta + 1j * _TINY * np.eye(len(theta))[k])) / _TINY

    def d2V(self, theta, k, h):
        """Derivative of V by theta_k and theta_h, relative error near 1e-11."""
        step = _STEP * (abs(theta[h]) or 1.0)
        at = [(theta + j * step * np.eye(len(theta))[h], weight) for j, weight in _FIVE_POINTS]
        return sum(weight * self.dV(near, k) for near, weight in at) / step

    def at(self, theta, information="observed"):
        """Everything else, evaluated at one theta with W its inverse information."""
        return Evaluated(self, np.asarray(theta, dtype=float), information)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The model at one theta. Properties are written as in the papers, computed when asked."""

    model: DenseModel
    theta: np.ndarray
    information: str = "observed"

    @cached_property
    def V(self):
        return self.model.V(self.theta)

    @cached_property
    def V_inverse(self):
        return np.linalg.inv(self.V)

    @cached_property
    def Phi(self):
        """Covariance of the estimates at known theta: (X'V^-1X)^-1."""
        return np.linalg.inv(self.model.X.T @ self.V_inverse @ self.model.X)

    @cached_property
    def beta(self):
        return self.Phi @ self.model.X.T @ self.V_inverse @ self.model.y

    @cached_property
    def llf(self):
        return self.model.loglik(self.theta)

    @cached_property
    def projection(self):
        """P = V^-1 - V^-1 X Phi X' V^-1, the matrix with P y = V^-1 (y - X beta)."""
        V_inverse_X = self.V_inverse @ self.model.X
        return self.V_inverse - V_inverse_X @ self.Phi @ V_inverse_X.T

    @cached_property
    def dV(self):
        return [self.model.dV(self.theta, k) for k in range(len(self.theta))]

    @cached_property
    def expected(self):
        """tr(P V_k P V_h) / 2; under ML with V^-1 in place of P."""
        T = self.projection if self.model.method == "reml" else self.V_inverse
        products = [T @ D for D in self.dV]
        return np.array([[np.sum(A * B.T) for A in products] for B in products]) / 2

    @cached_property
    def observed(self):
        """Minus the Hessian of `loglik`, from its analytic second derivative."""
        u = self.projection @ self.model.y
        Du = np.array([D @ u for D in self.dV])
        return Du @ self.projection @ Du.T - self.expected + self._curvature[0] / 2

    @cached_property
    def W(self):
        """Covariance of the estimated theta: inverse observed or expected information."""
        return np.linalg.inv(getattr(self, self.information))

    @cached_property
    def P(self):
        """P_k = -X'V^-1 V_k V^-1 X."""
        A = self.V_inverse @ self.model.X
        return np.array([-A.T @ D @ A for D in self.dV])

    @cached_property
    def Q(self):
        """Q_kh = X'V^-1 V_k V^-1 V_h V^-1 X."""
        A = self.V_inverse @ self.model.X
        DA = [D @ A for D in self.dV]
        return np.array([[B.T @ self.V_inverse @ C for C in DA] for B in DA])

    @cached_property
    def R(self):
        """R_kh = X'V^-1 V_kh V^-1 X."""
        return self._curvature[1]

    @cached_property
    def _curvature(self):
        """tr(P V_kh) - y'P V_kh P y (V^-1 in the trace under ML), and R_kh."""
        T = self.projection if self.model.method == "reml" else self.V_inverse
        u, A = self.projection @ self.model.y, self.V_inverse @ self.model.X
        k, p = len(self.theta), A.shape[1]
        scalar, R = np.zeros((k, k)), np.zeros((k, k, p, p))
        for a, b in combinations_with_replacement(range(k), 2):
            D = self.model.d2V(self.theta, a, b)
            scalar[a, b] = scalar[b, a] = np.sum(T * D) - u @ D @ u
            R[a, b] = R[b, a] = A.T @ D @ A
        return scalar, R

    def using(self, information):
        """The same theta with W from the other information; what is computed is shared."""
        other = Evaluated(self.model, self.theta, information)
        shared = {k: v for k, v in vars(self).items() if k not in ("information", "W")}
        vars(other).update(shared)
        return other


def adjusted_vcov(at, second_order=False):
    """Phi_A of Kenward and Roger (1997); first order leaves the term -R/4 out."""
    inner = at.Q - at.P[:, None] @ at.Phi @ at.P[None]
    if second_order:
        inner = inner - at.R / 4
    return at.Phi + 2 * at.Phi @ np.einsum("kh,khab->ab", at.W, inner) @ at.Phi


def satterthwaite_df(at, row):
    """2 v^2 / (g'W g), g the gradient of v = l'Phi l over theta."""
    Phi_l = at.Phi @ row
    g = np.array([-Phi_l @ P @ Phi_l for P in at.P])
    return 2 * (row @ Phi_l) ** 2 / (g @ at.W @ g)


def satterthwaite(at, L):
    """Rows of L: estimates, SE, df; jointly: F, numerator df, denominator df.

    The joint df depends on the basis of the hypothesis, not on its row space alone.
    """
    values, vectors = np.linalg.eigh(L @ at.Phi @ L.T)
    keep = values > 1e-10 * values.max()
    rotated = vectors[:, keep].T @ L
    F = np.mean((rotated @ at.beta) ** 2 / values[keep])
    joint = fai_cornelius(np.array([satterthwaite_df(at, row) for row in rotated]))
    df = np.array([satterthwaite_df(at, row) for row in L])
    return L @ at.beta, np.sqrt(np.diag(L @ at.Phi @ L.T)), df, F, int(keep.sum()), joint


def fai_cornelius(nu):
    """The denominator df whose F has the mean of the average of squared t's with df nu."""
    if np.ptp(nu) < 1e-8 * nu.mean():
        return nu.mean()
    if np.any(nu <= 2):
        return 2.0
    E = np.sum(nu / (nu - 2))
    return 2 * E / (E - len(nu))


def kenward_roger(at, L, second_order=False):
    """Rows of L: estimates, adjusted SE, df; jointly: scaled F, denominator df, scale."""
    V_L = L @ adjusted_vcov(at, second_order) @ L.T
    one = np.array([_kr_df_scale(at, row[None])[0] for row in L])
    df, scale = _kr_df_scale(at, L)
    estimate = L @ at.beta
    F = scale / len(L) * estimate @ np.linalg.solve(V_L, estimate)
    return estimate, np.sqrt(np.diag(V_L)), one, F, df, scale


def _kr_df_scale(at, L):
    """Denominator df and scale of F: Kenward and Roger (1997), section 3; rows independent."""
    q = len(L)
    Theta = L.T @ np.linalg.inv(L @ at.Phi @ L.T) @ L
    M = np.array([Theta @ at.Phi @ P @ at.Phi for P in at.P])
    t = np.trace(M, axis1=1, axis2=2)
    A1, A2 = t @ at.W @ t, np.einsum("kh,kab,hba->", at.W, M, M)
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    E = 1 / (1 - A2 / q)
    variance = 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = variance / (2 * E**2)
    df = 4 + (q + 2) / (q * rho - 1)
    return df, df / (E * (df - 2))
