"""The likelihood without each subject in turn, from sums over all of them in one pass.

Labels (I1) to (I6) are those of docs/methods/influence.md. With L L' = V_i, X and r below are
whitened rows of one subject, F_h = L^-1 E_h L^-T, and d the change of beta when she is left
out. Totals over all subjects minus her own part give score and expected information of the
likelihood of the others exactly; nothing is larger than (h p)^2 numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aibmd.fitting.mixed_fit import MixedFit
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.subject_rows import SubjectRows, iterate_subjects

# Numbers held at once (64 MB).
_BLOCK = 8_000_000
# An eigenvalue of I - H below this is zero: the subject alone determines a coefficient.
_DETERMINED = 1e-10


@dataclass(frozen=True, slots=True)
class LeftOut:
    """S subjects, each left out: in the scaled basis, at the theta of all.

    Attributes
    ----------
    subject, n_rows : (S,) int arrays
    leverage : (S,) array
        tr H_i.
    change : (S, p) array
        Estimate without her minus estimate with all.
    Phi : (S, p, p) array
        Covariance of the coefficients without her.
    log_ratio : (S,) array
        log |Phi without her| - log |Phi|.
    score : (S, h) array
    information : (S, h, h) array
        Expected, of the likelihood without her.
    drift : (S, h, p) array
        Derivative by theta of the estimate without her.
    """

    subject: IntArray
    n_rows: IntArray
    leverage: FloatArray
    change: FloatArray
    Phi: FloatArray
    log_ratio: FloatArray
    score: FloatArray
    information: FloatArray
    drift: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


@dataclass(frozen=True, slots=True)
class _Rows:
    """S subjects of k rows, X and r whitened and times the root of how often they count."""

    X: FloatArray  # (S, k, p)
    r: FloatArray  # (S, k)
    F: FloatArray  # (h, S, k, k)
    count: FloatArray  # (S,)


@dataclass(frozen=True, slots=True)
class _Totals:
    """Sums over all subjects."""

    quadratic: FloatArray  # (h,), r'F_h r
    g: FloatArray  # (h, p), X'F_h r
    P: FloatArray  # (h, p, p), X'F_h X
    Q: FloatArray  # (h, h, p, p), X'F_h F_k X
    log_det: FloatArray  # (h,), tr(F_h)
    pairs: FloatArray  # (h, h), tr(F_h F_k)


def leave_out(fit: MixedFit) -> Iterator[LeftOut]:
    """Leave out every subject, some at a time."""
    totals = _sum_all(fit)
    for block in iterate_subjects(fit.design, fit.features, fit.engine):
        p, h, k = block.Q.shape[2], len(fit.engine.theta), block.Q.shape[1]
        step = max(1, _BLOCK // (h * (3 * p * p + 2 * k * k + k * p + 4 * h)))
        for some in _slices(block, step):
            yield _leave_out_some(fit, block, some, totals)


def _slices(block: SubjectRows, step: int) -> Iterator[slice]:
    for begin in range(0, len(block.rows), step):
        yield slice(begin, begin + step)


def _whiten(fit: MixedFit, block: SubjectRows, some: slice) -> _Rows:
    engine = fit.engine
    count = block.count[some]
    left = np.linalg.inv(np.linalg.cholesky(block.V[some]))
    right = left.swapaxes(-1, -2)
    features = block.features.take(np.arange(len(block.rows))[some])
    root = np.sqrt(count)[:, None, None]
    F = left @ engine.covariance.first(engine.theta_scaled, features) @ right
    X = left @ block.Q[some] * root
    r = (left @ block.residual[some][..., None] * root)[..., 0]
    return _Rows(X, r, F, count)


def _sum_all(fit: MixedFit) -> _Totals:
    p, h = len(fit.inference.beta), len(fit.engine.theta)
    quadratic, g, P = np.zeros(h), np.zeros((h, p)), np.zeros((h, p, p))
    Q, log_det, pairs = np.zeros((h, p, h, p)), np.zeros(h), np.zeros((h, h))
    for block in iterate_subjects(fit.design, fit.features, fit.engine):
        k = block.Q.shape[1]
        step = max(1, _BLOCK // (2 * h * k * (p + k)))
        for some in _slices(block, step):
            rows = _whiten(fit, block, some)
            FX, Fr = rows.F @ rows.X, (rows.F @ rows.r[..., None])[..., 0]
            flat = FX.transpose(1, 2, 0, 3).reshape(-1, h * p)
            Q += (flat.T @ flat).reshape(Q.shape)
            X = rows.X.reshape(-1, p)
            P += X.T @ FX.reshape(h, -1, p)
            g += Fr.reshape(h, -1) @ X
            quadratic += Fr.reshape(h, -1) @ rows.r.reshape(-1)
            log_det += np.trace(rows.F, axis1=2, axis2=3) @ rows.count
            pairs += _own_pairs(rows).sum(axis=0)
    return _Totals(quadratic, g, P, Q.transpose(0, 2, 1, 3).copy(), log_det, pairs)


def _own_pairs(rows: _Rows) -> FloatArray:
    """(S, h, h): tr(F_h F_k), as often as she counts."""
    flat = rows.F.transpose(1, 0, 2, 3).reshape(rows.F.shape[1], len(rows.F), -1)
    return np.asarray(flat @ flat.swapaxes(-1, -2) * rows.count[:, None, None])


def _leave_out_some(fit: MixedFit, block: SubjectRows, some: slice, totals: _Totals) -> LeftOut:
    rows, Phi = _whiten(fit, block, some), fit.engine.at.Phi
    half = rows.X @ Phi  # X Phi
    H = half @ rows.X.swapaxes(-1, -2)
    rest, log_ratio = _inverse_of_rest(H)
    back = half.swapaxes(-1, -2) @ rest  # Phi X'(I - H)^-1
    d = -(back @ rows.r[..., None])[..., 0]  # (I1)
    Phi_i = Phi + back @ half  # (I2)
    own_r = rows.r - (rows.X @ d[..., None])[..., 0]  # her residual from the others' estimate
    score, g, P = _score(fit, rows, totals, d, Phi_i, own_r)
    information = _information(fit, rows, totals, Phi_i, P)
    return LeftOut(
        subject=fit.design.rows.subject[block.rows[some, 0]],
        n_rows=np.full(len(rows.r), rows.r.shape[1]),
        leverage=np.trace(H, axis1=1, axis2=2),
        change=d,
        Phi=Phi_i,
        log_ratio=log_ratio,
        score=score,
        information=information,
        drift=-(g @ Phi_i),  # (I6): Phi is symmetric
    )


def _inverse_of_rest(H: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(I - H)^-1 and -log|I - H|; NaN and infinity where she determines a coefficient alone."""
    values, vectors = np.linalg.eigh(np.eye(H.shape[-1]) - H)
    determined = np.asarray((values < _DETERMINED).any(axis=-1))
    values = np.where(determined[:, None], np.nan, values)
    inverse = (vectors / values[:, None]) @ vectors.swapaxes(-1, -2)
    return inverse, np.where(determined, np.inf, -np.log(values).sum(axis=-1))


def _score(
    fit: MixedFit,
    rows: _Rows,
    totals: _Totals,
    d: FloatArray,
    Phi_i: FloatArray,
    own_r: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Score without her (I3), with its g (S, h, p) and P (S, h, p, p)."""
    Fr = np.einsum("hskl,sl->shk", rows.F, own_r)
    own_P = np.einsum("ska,hskl,slb->shab", rows.X, rows.F, rows.X, optimize=True)
    P = totals.P - own_P
    Td = np.einsum("hab,sb->sha", totals.P, d)
    g = totals.g - Td - np.einsum("ska,shk->sha", rows.X, Fr)
    quadratic = totals.quadratic - 2.0 * d @ totals.g.T + np.einsum("sa,sha->sh", d, Td)
    quadratic = quadratic - np.einsum("sk,shk->sh", own_r, Fr)
    own_log_det = np.trace(rows.F, axis1=2, axis2=3).T * rows.count[:, None]
    score = 0.5 * (quadratic - totals.log_det + own_log_det)
    if fit.spec.method == "reml":
        score = score + 0.5 * np.einsum("sab,shab->sh", Phi_i, P)
    return score, g, P


def _information(
    fit: MixedFit, rows: _Rows, totals: _Totals, Phi_i: FloatArray, P: FloatArray
) -> FloatArray:
    """Expected information without her (I4)."""
    S, h = len(rows.r), len(totals.g)
    total = 0.5 * (totals.pairs - _own_pairs(rows))
    if fit.spec.method == "reml":
        Q = totals.Q.reshape(h * h, -1)
        total = total - (Phi_i.reshape(S, -1) @ Q.T).reshape(S, h, h)
        FH = rows.F @ (rows.X @ Phi_i @ rows.X.swapaxes(-1, -2))
        total = total + np.einsum("hskl,gskl->shg", FH, rows.F, optimize=True)
        A = (P @ Phi_i[:, None]).reshape(S, h, -1)
        turned = (Phi_i[:, None] @ P).reshape(S, h, -1)
        total = total + 0.5 * A @ turned.swapaxes(-1, -2)
    return 0.5 * (total + total.swapaxes(-1, -2))
