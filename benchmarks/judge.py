"""Answers first: REML numbers at a given covariance, from textbook sums over subjects.

Shares no code with the package. The covariance must be linear in its parameters (`un`, `cs`,
random effects), so second derivatives are nil. Formulas: Harville (1977); Fai and Cornelius
(1996); Kenward and Roger (1997), whose degrees of freedom of one coefficient are Satterthwaite's.
"""

from dataclasses import dataclass

import numpy as np

_AT_ONCE = 4000  # subjects


@dataclass(frozen=True, slots=True)
class Block:
    """Subjects with equally many rows.

    Attributes
    ----------
    X : (S, k, p); y : (S, k)
    V : (k, k) or (S, k, k)
    D : (q, k, k) or (S, q, k, k)
        Derivatives of V by each parameter.
    """

    X: np.ndarray
    y: np.ndarray
    V: np.ndarray
    D: np.ndarray

    def take(self, where):
        V = self.V if self.V.ndim == 2 else self.V[where]
        D = self.D if self.D.ndim == 3 else self.D[where]
        return Block(self.X[where], self.y[where], V, D)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the numbers should be at this covariance.

    `gain` is score' (information)^-1 score: twice the log-likelihood still to be won.
    `df` and `se_kenward_roger` are None where not asked for.
    """

    loglik: float
    beta: np.ndarray
    se: np.ndarray
    gain: float
    df: np.ndarray | None = None
    se_kenward_roger: np.ndarray | None = None


def visit_blocks(X, y, subject, visit, Sigma):
    """Blocks of an unstructured Sigma: subjects grouped by the visits they have."""
    order = np.lexsort((visit, subject))
    starts = np.flatnonzero(np.diff(subject[order], prepend=-1))
    key = np.bitwise_or.reduceat(1 << visit[order].astype(np.int64), starts)
    m = len(Sigma)
    E = np.array([_unit(m, a, b) for a in range(m) for b in range(a, m)])
    for pattern in np.unique(key):
        seen = np.array([j for j in range(m) if pattern >> j & 1])
        rows = order[starts[key == pattern][:, None] + np.arange(len(seen))]
        inside = np.ix_(seen, seen)
        yield Block(X[rows], y[rows], Sigma[inside], E[:, *inside])


def slope_blocks(X, y, Z, n_rows, G, sigma2):
    """One block: subjects with `n_rows` rows each in order, V = Z G Z' + sigma2 I."""
    shape = (-1, n_rows)
    Z = Z.reshape(*shape, Z.shape[1])
    q = Z.shape[2]
    parts = [Z @ _unit(q, a, b) @ Z.swapaxes(1, 2) for a in range(q) for b in range(a, q)]
    parts.append(np.broadcast_to(np.eye(n_rows), parts[0].shape))
    V = Z @ G @ Z.swapaxes(1, 2) + sigma2 * np.eye(n_rows)
    yield Block(X.reshape(*shape, X.shape[1]), y.reshape(shape), V, np.stack(parts, axis=1))


def judge(blocks, with_df=True):
    """Sums over subjects, in the notation of the papers."""
    pieces = [piece for block in blocks for piece in _split(block)]
    A = sum(np.einsum("skp,skr->pr", b.X, _solve(b, b.X)) for b in pieces)
    c = sum(np.einsum("skp,sk->p", b.X, _solve(b, b.y[..., None])[..., 0]) for b in pieces)
    Phi = np.linalg.inv(A)
    beta = Phi @ c
    n, p = sum(b.y.size for b in pieces), len(beta)
    quadratic = log_det = 0.0
    score, spread = 0.0, 0.0
    root = np.linalg.cholesky(Phi)
    for b in pieces:
        W = np.linalg.inv(b.V)
        r = (b.y - b.X @ beta)[..., None]
        Wr = W @ r
        log_det += np.sum(np.linalg.slogdet(b.V)[1]) * (len(r) if b.V.ndim == 2 else 1)
        quadratic += np.sum(r * Wr)
        WX = W @ b.X @ root
        M = Wr @ Wr.swapaxes(1, 2) + WX @ WX.swapaxes(1, 2) - W  # twice dl/dV
        score = score + 0.5 * _against(b.D, M)
        spread = spread + 0.5 * _traces(b.D, W, len(r))
    loglik = -0.5 * ((n - p) * np.log(2 * np.pi) + log_det + np.linalg.slogdet(A)[1] + quadratic)
    se = np.sqrt(np.diag(Phi))
    if not with_df:
        return Verdict(loglik, beta, se, score @ np.linalg.solve(spread, score))
    P, Q, observed = _information(pieces, Phi, beta)
    gain = score @ np.linalg.solve(observed, score)
    df = 2 * np.diag(Phi) ** 2 / _delta_variance(Phi, P, observed)
    inner = np.einsum("hk,hkab->ab", np.linalg.inv(observed), Q - P[:, None] @ Phi @ P[None])
    adjusted = Phi + 2 * Phi @ inner @ Phi
    return Verdict(loglik, beta, se, gain, df, np.sqrt(np.diag(adjusted)))


def _information(pieces, Phi, beta):
    """P_h = X'W D_h W X, Q_hk = X'W D_h W D_k W X, and the observed information."""
    P, Q, traces, g, pairs = 0.0, 0.0, 0.0, 0.0, 0.0
    for b in pieces:
        W = np.linalg.inv(b.V)
        WX, Wr = W @ b.X, W @ (b.y - b.X @ beta)[..., None]
        DX, Dr = b.D @ WX[:, None], b.D @ Wr[:, None]  # (S, q, k, p), (S, q, k, 1)
        one = W if b.V.ndim == 2 else W[:, None]
        WDX, WDr = one @ DX, one @ Dr
        P = P + np.einsum("skp,shkr->hpr", WX, DX, optimize=True)
        Q = Q + _gram(DX, WDX)
        g = g + np.einsum("skp,shkr->hp", WX, Dr, optimize=True)
        pairs = pairs + _gram(Dr, WDr)[..., 0, 0]
        traces = traces + _traces(b.D, W, len(b.X))
    PhiP = Phi @ P
    reml = traces - 2 * np.einsum("ab,hkba->hk", Phi, Q) + np.einsum("hab,kba->hk", PhiP, PhiP)
    return P, Q, pairs - g @ Phi @ g.T - 0.5 * reml


def _delta_variance(Phi, P, information):
    """Of each coefficient's variance, by the delta method."""
    gradient = np.einsum("ia,hab,bi->ih", Phi, P, Phi)
    return np.einsum("ih,hi->i", gradient, np.linalg.solve(information, gradient.T))


def _split(block):
    return [block.take(slice(i, i + _AT_ONCE)) for i in range(0, len(block.y), _AT_ONCE)]


def _solve(b, right):
    return np.linalg.inv(b.V) @ right


def _unit(m, a, b):
    E = np.zeros((m, m))
    E[a, b] = E[b, a] = 1.0
    return E


def _against(D, M):
    """sum_s tr(D_h M_s)."""
    if D.ndim == 3:
        return np.einsum("hab,ab->h", D, M.sum(axis=0))
    return np.einsum("shab,sab->h", D, M)


def _traces(D, W, n):
    """sum_s tr(W D_h W D_k)."""
    if D.ndim == 3:
        WD = W @ D
        return n * np.einsum("hab,kba->hk", WD, WD)
    WD = W[:, None] @ D
    return np.einsum("shab,skba->hk", WD, WD, optimize=True)


def _gram(left, right):
    """sum over subjects and rows, (h, k, p, p)."""
    S, q, k, p = left.shape
    flat_left = left.transpose(1, 3, 0, 2).reshape(q * p, S * k)
    flat_right = right.transpose(0, 2, 1, 3).reshape(S * k, q * p)
    return (flat_left @ flat_right).reshape(q, p, q, p).transpose(0, 2, 1, 3)
