"""A dense textbook mixed-model engine: the independent oracle of the tests.

It shares no code with the package. Every subject gets its full covariance matrix,
every derivative is a matrix product written as in the papers or a complex step, and
there is no optimiser: everything is evaluated at a given covariance. `basis` names the
linear parameters theta of Sigma = sum_k theta_k B_k (`un`: the distinct elements,
`cs`: the variance and the covariance).

Equations: Harville (1977) for the restricted likelihood; Kenward and Roger (1997,
Biometrics 53:983-997) for `kenward_roger`; Fai and Cornelius (1996, J Stat Comput Simul
54:363-378) for the several-df Satterthwaite rule; constant (N - p) log 2 pi + log|X'V^-1 X|.
"""

from dataclasses import dataclass

import numpy as np


def basis(structure, n_visits):
    """Return B of shape (k, m, m) with Sigma = sum_k theta_k B_k."""
    if structure == "cs":
        return np.array([np.eye(n_visits), 1.0 - np.eye(n_visits)])
    pairs = [(a, b) for a in range(n_visits) for b in range(a + 1)]
    stack = np.zeros((len(pairs), n_visits, n_visits))
    for k, (a, b) in enumerate(pairs):
        stack[k, a, b] = stack[k, b, a] = 1.0
    return stack


def theta_of(Sigma, structure):
    """Read the linear parameters from a covariance matrix."""
    Sigma = np.asarray(Sigma, dtype=float)
    if structure == "cs":
        return np.array([Sigma[0, 0], Sigma[1, 0] if len(Sigma) > 1 else 0.0])
    return np.array([Sigma[a, b] for a in range(len(Sigma)) for b in range(a + 1)])


@dataclass
class DenseModel:
    """Design of a marginal model; `subject` and `visit` are integer codes per row."""

    X: np.ndarray
    y: np.ndarray
    subject: np.ndarray
    visit: np.ndarray
    structure: str = "un"
    method: str = "reml"
    n_visits: int | None = None

    def __post_init__(self):
        m = self.n_visits or int(np.max(self.visit)) + 1
        self.B = basis(self.structure, m)
        self.rows = [np.flatnonzero(self.subject == s) for s in np.unique(self.subject)]

    def pieces(self, theta):
        """Yield X_i, y_i, V_i^-1, dV_i (k, n_i, n_i) and log|V_i| per subject."""
        Sigma = np.tensordot(theta, self.B, axes=1)
        for rows in self.rows:
            at = np.ix_(self.visit[rows], self.visit[rows])
            sign, log_abs = np.linalg.slogdet(Sigma[at])
            dV = self.B[(slice(None), *at)]
            yield self.X[rows], self.y[rows], np.linalg.inv(Sigma[at]), dV, np.log(sign) + log_abs

    def gls(self, theta):
        """Return beta, Phi and log-likelihood; holds for complex theta too."""
        parts = list(self.pieces(theta))
        information = sum(X.T @ Vi @ X for X, _, Vi, _, _ in parts)
        beta = np.linalg.solve(information, sum(X.T @ Vi @ y for X, y, Vi, _, _ in parts))
        quad = sum((y - X @ beta) @ Vi @ (y - X @ beta) for X, y, Vi, _, _ in parts)
        total = sum(p[4] for p in parts) + quad + len(self.y) * np.log(2 * np.pi)
        if self.method == "reml":
            sign, log_abs = np.linalg.slogdet(information)
            total = total + np.log(sign) + log_abs - len(beta) * np.log(2 * np.pi)
        return beta, np.linalg.inv(information), -0.5 * total

    def score(self, theta):
        """-1/2 tr(P dV_k) + 1/2 r'V^-1 dV_k V^-1 r, with V^-1 in place of P under ML."""
        beta, Phi, _ = self.gls(theta)
        total = 0.0
        for X, y, Vi, dV, _ in self.pieces(theta):
            u = Vi @ (y - X @ beta)
            P = Vi - Vi @ X @ Phi @ X.T @ Vi if self.method == "reml" else Vi
            total = total + (dV @ u @ u - np.trace(P @ dV, axis1=1, axis2=2)) / 2
        return total

    def information(self, theta, kind="observed"):
        """Observed: minus the Hessian, by a complex step of the score. Expected: its mean."""
        theta = np.asarray(theta, dtype=float)
        if kind == "observed":
            h = 1e-20 * np.max(np.abs(theta))
            steps = [theta + 1j * h * e for e in np.eye(len(theta))]
            H = -np.array([np.imag(self.score(t)) / h for t in steps])
            return (H + H.T) / 2
        _, Phi, _ = self.gls(theta)
        P1, Q = self.kr_pieces(theta)
        total = sum(
            np.einsum("kab,lba->kl", Vi @ dV, Vi @ dV) for _, _, Vi, dV, _ in self.pieces(theta)
        )
        if self.method == "reml":
            total = total - 2 * np.einsum("ab,klba->kl", Phi, Q)
            total = total + np.einsum("ab,kbc,cd,lda->kl", Phi, P1, Phi, P1)
        return total / 2

    def kr_pieces(self, theta):
        """P_k = -X'V^-1 dV_k V^-1 X and Q_kl = X'V^-1 dV_k V^-1 dV_l V^-1 X, summed."""
        P1, Q = 0.0, 0.0
        for X, _, Vi, dV, _ in self.pieces(theta):
            A = X.T @ Vi @ dV
            P1 = P1 - A @ Vi @ X
            Q = Q + A[:, None] @ Vi @ A.transpose(0, 2, 1)
        return P1, Q

    def at(self, theta, kind="observed"):
        """Everything the tests need at one theta."""
        beta, Phi, llf = self.gls(theta)
        return Inference(
            beta, Phi, llf, np.linalg.inv(self.information(theta, kind)), *self.kr_pieces(theta)
        )


@dataclass
class Inference:
    """Estimates at a given theta, with W the inverse information for theta."""

    beta: np.ndarray
    Phi: np.ndarray
    llf: float
    W: np.ndarray
    P: np.ndarray
    Q: np.ndarray

    def satterthwaite(self, L):
        """Rows of L: estimates, SE, df; jointly: F, numerator df, denominator df.

        The joint df depends on the basis of the hypothesis, not on its row space alone.
        """
        dPhi = -self.Phi @ self.P @ self.Phi
        one = np.array([satterthwaite_df(row, self.Phi, dPhi, self.W) for row in L])
        values, vectors = np.linalg.eigh(L @ self.Phi @ L.T)
        keep = values > 1e-10 * values.max()
        rotated = vectors[:, keep].T @ L
        F = np.mean((rotated @ self.beta) ** 2 / values[keep])
        nu = np.array([satterthwaite_df(row, self.Phi, dPhi, self.W) for row in rotated])
        se = np.sqrt(np.diag(L @ self.Phi @ L.T))
        return L @ self.beta, se, one, F, int(keep.sum()), combine_df(nu)

    def adjusted_vcov(self):
        """Phi_A of Kenward and Roger (1997) for a covariance linear in theta."""
        Phi, P, W = self.Phi, self.P, self.W
        Lam = np.einsum("kl,klab->ab", W, self.Q) - np.einsum("kl,kab,bc,lcd->ad", W, P, Phi, P)
        return Phi + 2 * Phi @ Lam @ Phi

    def kenward_roger(self, L):
        """Rows of L: estimates, adjusted SE, df; jointly: scaled F, df, scale."""
        V_L = L @ self.adjusted_vcov() @ L.T
        one = np.array([kr_df_scale(row[None], self.Phi, self.P, self.W)[0] for row in L])
        df, scale = kr_df_scale(L, self.Phi, self.P, self.W)
        estimate = L @ self.beta
        F = scale / len(L) * estimate @ np.linalg.solve(V_L, estimate)
        return estimate, np.sqrt(np.diag(V_L)), one, F, df, scale


def satterthwaite_df(row, Phi, dPhi, W):
    """2 v^2 / (g'W g), g the gradient of v = l'Phi l over theta."""
    g = np.array([row @ D @ row for D in dPhi])
    return 2 * (row @ Phi @ row) ** 2 / (g @ W @ g)


def combine_df(nu):
    """Fai and Cornelius: the df whose F mean matches the sum of squared t's."""
    if np.ptp(nu) < 1e-8 * nu.mean():
        return nu.mean()
    if np.any(nu <= 2):
        return 2.0
    E = np.sum(nu / (nu - 2))
    return 2 * E / (E - len(nu))


def kr_df_scale(L, Phi, P1, W):
    """Denominator df and F scale of Kenward and Roger (1997), section 3."""
    q = len(L)
    Theta = L.T @ np.linalg.inv(L @ Phi @ L.T) @ L
    M = np.array([Theta @ Phi @ P @ Phi for P in P1])
    t = np.trace(M, axis1=1, axis2=2)
    A1, A2 = t @ W @ t, np.einsum("kl,kab,lba->", W, M, M)
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    E = 1 / (1 - A2 / q)
    V = 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = V / (2 * E**2)
    df = 4 + (q + 2) / (q * rho - 1)
    return df, df / (E * (df - 2))
