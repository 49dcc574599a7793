"""Cluster-robust covariance by subject, labels (H1) to (H6) of docs/methods/sandwich.md."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from aibmd.errors import AibmdError
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.subject_rows import SubjectRows
from aibmd.vocabulary import VcovMethod

# An eigenvalue of I - H below this is zero: the subject determines a coefficient.
_DETERMINED = 1e-10


@dataclass(frozen=True, slots=True)
class ClusterInfluence:
    """What the degrees of freedom of a sandwich need of the subjects of one size.

    Attributes
    ----------
    M : (S, k, p) array
        s_i A_i X*_i Phi.
    X : (S, k, p) array
        Whitened X*_i.
    count : (S,) array
        s_i.
    """

    M: FloatArray
    X: FloatArray
    count: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class Sandwich:
    """A robust covariance of beta and its degrees of freedom.

    Attributes
    ----------
    vcov : (p, p) array
        In the basis of the least squares.
    clusters : tuple of ClusterInfluence
    Phi : (p, p) array
    squares : (p, p) array
        sum_i s_i^2 X*_i'X*_i.
    """

    vcov: FloatArray
    clusters: tuple[ClusterInfluence, ...]
    Phi: FloatArray
    squares: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)

    def compute_df(self, L: FloatArray) -> FloatArray:
        """Satterthwaite df of each row of L under the working model (H6).

        Parameters
        ----------
        L : (r, p) array
            In the basis of the least squares.
        """
        return np.array([self._df(row) for row in L])

    def _df(self, row: FloatArray) -> float:
        p = len(row)
        K = np.zeros((2 * p, 2 * p))
        K[:p, :p] = -self.Phi @ self.squares @ self.Phi
        K[:p, p:] = K[p:, :p] = self.Phi
        trace, trace_square, gram = 0.0, 0.0, np.zeros((2 * p, 2 * p))
        for cluster in self.clusters:
            g = cluster.M @ row
            b = np.einsum("skp,sk->sp", cluster.X, g)
            c = np.column_stack([b, cluster.count[:, None] * b])
            own = np.einsum("sk,sk->s", g, g)
            shared = np.einsum("sa,ab,sb->s", c, K, c)
            trace += float((own - shared).sum())
            trace_square += float((own**2 - 2.0 * own * shared).sum())
            gram += c.T @ c
        product = K @ gram
        trace_square += float(np.sum(product * product.T))
        return trace**2 / trace_square if trace_square > 0 else np.nan


def compute_sandwich(
    subjects: Iterable[SubjectRows], Phi: FloatArray, kind: VcovMethod
) -> Sandwich:
    """Robust covariance of beta by subject.

    Parameters
    ----------
    subjects : iterable of SubjectRows
    Phi : (p, p) array
        Inverse of sum_i s_i X_i'V_i^-1 X_i.
    kind : "CR0", "CR2" or "CR3"

    Raises
    ------
    AibmdError
        CR3 where a subject determines a coefficient alone.
    """
    p = len(Phi)
    whitened = [_whiten(block) for block in subjects]
    squares = np.zeros((p, p))
    for X, _, count in whitened:
        flat = (X * count[:, None, None]).reshape(-1, p)
        squares += flat.T @ flat
    meat, clusters = np.zeros((p, p)), []
    for X, r, count in whitened:
        A = _adjust(X, count, Phi, squares, kind)
        AX = (X if A is None else A @ X) * count[:, None, None]  # A is symmetric
        u = np.einsum("skp,sk->sp", AX, r)  # (H1)
        meat += u.T @ u
        clusters.append(ClusterInfluence(AX @ Phi, X, count))
    return Sandwich(Phi @ meat @ Phi, tuple(clusters), Phi, squares)


def _whiten(block: SubjectRows) -> tuple[FloatArray, FloatArray, FloatArray]:
    factor = np.linalg.inv(np.linalg.cholesky(block.V))
    return factor @ block.Q, (factor @ block.residual[..., None])[..., 0], block.count


def _adjust(
    X: FloatArray, count: FloatArray, Phi: FloatArray, squares: FloatArray, kind: VcovMethod
) -> FloatArray | None:
    """A_i: one (H2), the symmetric inverse root of B_i (H3), or the inverse of I - H_i (H4)."""
    if kind == "CR0":
        return None
    H = X @ Phi @ X.swapaxes(-1, -2)
    s = count[:, None, None]
    identity = np.eye(X.shape[1])
    if kind == "CR3":
        values, vectors = np.linalg.eigh(identity - s * H)
        if (values < _DETERMINED).any():
            raise AibmdError(
                "vcov='CR3' does not exist: one subject alone determines a coefficient (its "
                "leverage is one). Use vcov='CR2', or a formula without that coefficient"
            )
        return np.asarray((vectors / values[:, None]) @ vectors.swapaxes(-1, -2))
    B = identity - 2.0 * s * H + X @ (Phi @ squares @ Phi) @ X.swapaxes(-1, -2)  # (H5)
    values, vectors = np.linalg.eigh(B)
    root = np.where(values > _DETERMINED, 1.0 / np.sqrt(np.maximum(values, _DETERMINED)), 0.0)
    return np.asarray((vectors * root[:, None]) @ vectors.swapaxes(-1, -2))
