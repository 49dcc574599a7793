"""The likelihood subject by subject: any covariance of her rows, nothing larger than k x k.

Subjects with as many rows as each other are computed together. Labels (M1) to (M8) are those
of docs/methods/mmrm.md; L is the Cholesky factor of V_i and F_h = L^-1 E_h L^-T.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.covariance.terms import CovarianceTerm
from aibmd.model.criterion import (
    Derivatives,
    Evaluation,
    Moments,
    assemble_derivatives,
    evaluate_sums,
)
from aibmd.model.least_squares import LeastSquares
from aibmd.vocabulary import Method

# Numbers held at once while derivatives are formed (64 MB).
_BLOCK = 8_000_000


@dataclass(frozen=True, slots=True)
class SubjectBlock:
    """S subjects of k rows each.

    Attributes
    ----------
    Z : (S, k, p + 1) array
        Scaled rows [Q, r].
    features : RowFeatures
        (S, k).
    count : (S,) array
        How often each subject counts.
    """

    Z: FloatArray
    features: RowFeatures
    count: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class Whitened:
    """L^-1 of a block, and L^-1 Z."""

    inverse_factor: FloatArray
    Z: FloatArray


def make_blocks(
    Z: FloatArray, features: RowFeatures, blocks: tuple[IntArray, ...], count: FloatArray | None
) -> tuple[SubjectBlock, ...]:
    """Cut long-form rows into blocks of subjects.

    Parameters
    ----------
    Z : (n, p + 1) array
    features : RowFeatures
        Long form.
    blocks : tuple of (S, k) int arrays
        Row numbers, one line per subject.
    count : (n,) array or None
        Sampling weight of each row's subject.
    """
    made = []
    for rows in blocks:
        step = max(1, _BLOCK // (rows.shape[1] ** 2 * 32))
        for begin in range(0, len(rows), step):
            some = rows[begin : begin + step]
            weight = np.ones(len(some)) if count is None else count[some[:, 0]]
            made.append(SubjectBlock(Z[some], features.take(some), weight))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class SubjectCriterion:
    """Log-likelihood of a covariance that differs from woman to woman.

    Attributes
    ----------
    least_squares : LeastSquares
    blocks : tuple of SubjectBlock
    covariance : CovarianceTerm
    method : "reml" or "ml"
    """

    least_squares: LeastSquares
    blocks: tuple[SubjectBlock, ...]
    covariance: CovarianceTerm
    method: Method

    @property
    def has_one_top(self) -> bool:
        """Not where random effects stand beside a residual that is curved in its parameters."""
        term, features = self.covariance, self.blocks[0].features
        return not term.effects or term.second(np.full(len(term.names), 0.5), features) is None

    def evaluate(self, theta: FloatArray) -> Evaluation | None:
        """Log-likelihood, or None where a V_i is not positive definite."""
        if not self.covariance.is_inside(theta):
            return None
        q = self.least_squares.n_coefficients + 1
        sums, log_det_V, work = np.zeros((q, q)), 0.0, []
        for block in self.blocks:
            V = self.covariance.value(theta, block.features)
            try:
                L = np.linalg.cholesky(V)
            except np.linalg.LinAlgError:
                return None
            if not np.isfinite(L).all():
                return None
            inverse = np.linalg.inv(L)
            Z = inverse @ block.Z
            flat = (Z * np.sqrt(block.count)[:, None, None]).reshape(-1, q)
            sums += flat.T @ flat
            log_det_V += 2.0 * float(block.count @ np.log(L.diagonal(0, 1, 2)).sum(axis=1))
            work.append(Whitened(inverse, Z))
        return evaluate_sums(sums, log_det_V, self.least_squares.n_rows, self.method, tuple(work))

    def differentiate(self, theta: FloatArray, at: Evaluation) -> Derivatives:
        """Exact score and both information matrices."""
        total = None
        for block, white in zip(self.blocks, at.work, strict=True):
            sums = self._moments(theta, at, block, white)
            total = sums if total is None else _add(total, sums)
        if total is None:
            raise ValueError("no subjects")
        return assemble_derivatives(total, at.Phi, self.method)

    def _moments(
        self, theta: FloatArray, at: Evaluation, block: SubjectBlock, white: Whitened
    ) -> Moments:
        p = self.least_squares.n_coefficients
        root = np.sqrt(block.count)[:, None, None]
        F = self._whitened_first(theta, block, white)
        X = white.Z[..., :p] * root
        r = (white.Z[..., p:] * root) - X @ at.beta[:, None]
        FX, Fr = F @ X, F @ r
        half = np.linalg.cholesky(at.Phi)
        flat_F = (F * root).reshape(len(F), -1)
        flat_r = Fr.reshape(len(F), -1)
        flat_x = (FX @ half).reshape(len(F), -1)
        flat_X = X.reshape(-1, p)
        return Moments(
            quadratic=flat_r @ r.reshape(-1),
            log_det=np.trace(F, axis1=2, axis2=3) @ block.count,
            pairs=flat_F @ flat_F.T,
            pairs_r=flat_r @ flat_r.T,
            pairs_x=flat_x @ flat_x.T,
            P=flat_X.T @ FX.reshape(len(F), -1, p),
            g=flat_r @ flat_X,
            curvature=self._curvature(theta, at, block, white, X, r),
        )

    def _whitened_first(
        self, theta: FloatArray, block: SubjectBlock, white: Whitened
    ) -> FloatArray:
        E = self.covariance.first(theta, block.features)
        left = white.inverse_factor
        return np.asarray(left @ E @ left.swapaxes(-1, -2))

    def _curvature(
        self,
        theta: FloatArray,
        at: Evaluation,
        block: SubjectBlock,
        white: Whitened,
        X: FloatArray,
        r: FloatArray,
    ) -> FloatArray | None:
        second = self.covariance.second(theta, block.features)
        if second is None:
            return None
        S = r @ r.swapaxes(-1, -2) - np.eye(r.shape[1]) * block.count[:, None, None]
        if self.method == "reml":
            S = S + X @ at.Phi @ X.swapaxes(-1, -2)
        left = white.inverse_factor
        by_V = left.swapaxes(-1, -2) @ S @ left  # twice dl/dV
        return np.asarray(0.5 * second.reshape(*second.shape[:2], -1) @ by_V.reshape(-1))

    def kenward_roger_sums(
        self, theta: FloatArray, at: Evaluation, theta_vcov: FloatArray, second_order: bool
    ) -> FloatArray:
        """(M8), a block of subjects at a time."""
        p = self.least_squares.n_coefficients
        values, vectors = np.linalg.eigh(theta_vcov)
        total = np.zeros((p, p))
        for block, white in zip(self.blocks, at.work, strict=True):
            X = white.Z[..., :p] * np.sqrt(block.count)[:, None, None]
            F = np.tensordot(vectors.T, self._whitened_first(theta, block, white), axes=1)
            FX = (F @ X).reshape(len(F), -1, p)
            total += np.tensordot(values, FX.swapaxes(-1, -2) @ FX, axes=1)
            second = self.covariance.second(theta, block.features) if second_order else None
            if second is not None:
                middle = np.tensordot(theta_vcov, second, axes=2)
                LX = white.inverse_factor.swapaxes(-1, -2) @ X
                total -= 0.25 * np.einsum("skp,skl,slq->pq", LX, middle, LX, optimize=True)
        return total

    def smallest_correlation(self, theta: FloatArray) -> float:
        """Smallest eigenvalue over the correlation matrices of subjects' rows."""
        lowest = np.inf
        for V in self.covariances(theta):
            sd = np.sqrt(V.diagonal(0, 1, 2))
            if not (np.isfinite(sd).all() and (sd > 0).all()):
                return -np.inf
            R = V / sd[..., :, None] / sd[..., None, :]
            lowest = min(lowest, float(np.linalg.eigvalsh(R).min()))
        return lowest

    def covariances(self, theta: FloatArray) -> Iterator[FloatArray]:
        """V of each block of subjects, (S, k, k)."""
        for block in self.blocks:
            yield np.asarray(self.covariance.value(theta, block.features))


def _add(a: Moments, b: Moments) -> Moments:
    curvature = None
    if a.curvature is not None and b.curvature is not None:
        curvature = a.curvature + b.curvature
    return Moments(
        quadratic=a.quadratic + b.quadratic,
        log_det=a.log_det + b.log_det,
        pairs=a.pairs + b.pairs,
        pairs_r=a.pairs_r + b.pairs_r,
        pairs_x=a.pairs_x + b.pairs_x,
        P=a.P + b.P,
        g=a.g + b.g,
        curvature=curvature,
    )
