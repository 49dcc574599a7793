"""Our own answer to two questions, kept apart: is it the maximum, is it on the boundary.

Nothing here has a unit: the gain left is in log-likelihood, eigenvalues are of matrices
scaled to unit diagonal, so the same data in g/cm2 and mg/cm2 are judged alike.
"""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import FloatArray
from aibmd.model.boundary import Boundary
from aibmd.model.criterion import Derivatives

# Twice the log-likelihood left to gain; 1e-8 moves an estimate by 1e-4 of its standard error.
GAIN_TOLERANCE = 1e-8
# Smallest share of the information that is left after estimating the means.
INFORMATION_TOLERANCE = 1e-8
# Eigenvalue of the information with known means, unit diagonal, that is rounding.
CONFOUNDED = 1e-13
# Smallest eigenvalue of a subject's covariance as a correlation matrix.
SINGULAR_TOLERANCE = 1e-6
# The same where the maximum is certified otherwise; below it digits run out.
SETTLED_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was observed, beside what was tolerated.

    Attributes
    ----------
    converged : bool
        The gain left is nil and the information is positive definite.
    singular : bool
        The covariance is on the boundary, whatever `converged` says.
    is_bounded : bool
        The likelihood has a maximum; false where it rises as V becomes singular.
    gain_left : float
        Log-likelihood a further step would still add.
    smallest_information : float
        Smallest eigenvalue of the observed information beside what it would be were the
        means known.
    smallest_correlation : float
        Smallest eigenvalue over the correlation matrices of subjects' rows.
    messages : tuple of str
        What is wrong, in words; empty when nothing is.
    """

    converged: bool
    singular: bool
    is_bounded: bool
    gain_left: float
    smallest_information: float
    smallest_correlation: float
    messages: tuple[str, ...]

    @property
    def is_definite(self) -> bool:
        """Whether the data determine every covariance parameter."""
        return self.smallest_information > INFORMATION_TOLERANCE


def certify(
    decrement: float,
    derivatives: Derivatives,
    smallest_correlation: float,
    boundary: Boundary,
    parameter_names: tuple[str, ...],
) -> Certificate:
    """Judge a finished fit.

    Parameters
    ----------
    decrement : float
        Newton decrement at the end.
    derivatives : Derivatives
    smallest_correlation : float
    boundary : Boundary
        Of the random effects; nothing lost where there are none.
    parameter_names : tuple of str
    """
    shares, directions = _information_shares(derivatives, boundary)
    smallest_information = float(shares[0]) if len(shares) else 1.0
    gains = decrement <= GAIN_TOLERANCE and boundary.escape is None
    is_definite = smallest_information > INFORMATION_TOLERANCE
    # Nearly singular is not singular: errors can be a thousandth of what women differ by.
    is_settled = gains and is_definite and smallest_correlation > SETTLED_TOLERANCE
    is_bounded = smallest_correlation > SINGULAR_TOLERANCE or is_settled
    messages = []
    if not is_definite and is_bounded:
        weakest = boundary.tangent @ directions[:, 0]
        messages.append(_explain_information(weakest, parameter_names))
    if not gains and np.isfinite(decrement):
        messages.append(f"scoring stopped with {decrement / 2:.2g} of log-likelihood still to gain")
    if not is_bounded:
        messages.append(
            "the likelihood rises without bound as the covariance becomes singular (smallest "
            f"eigenvalue of the correlations {smallest_correlation:.0e}): too few subjects, or "
            "visits that repeat each other, for this structure"
        )
    if boundary.n_lost:
        messages.append(
            f"the random effects lose {boundary.n_lost} of their dimensions: a variance is zero or "
            "a correlation is one in size; parameters held there drop out of the inference"
        )
    return Certificate(
        converged=gains and is_definite and is_bounded,
        singular=not is_bounded or boundary.n_lost > 0,
        is_bounded=is_bounded,
        gain_left=decrement / 2,
        smallest_information=smallest_information,
        smallest_correlation=smallest_correlation,
        messages=tuple(messages),
    )


def _information_shares(
    derivatives: Derivatives, boundary: Boundary
) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues, ascending, and directions of observed information in the metric (M4)."""
    observed = boundary.restrict(derivatives.observed)
    metric = boundary.restrict(derivatives.known_mean, with_bend=False)
    n_theta = len(observed)
    known = np.diagonal(metric)
    if not (known > 0).all():  # the data do not speak of some direction at all: name it first
        return np.full(n_theta, -np.inf), np.eye(n_theta)[:, np.argsort(known)]
    try:
        scale = 1.0 / np.sqrt(np.diagonal(metric))
        outer = scale[:, None] * scale
        scaled = metric * outer
        values, vectors = np.linalg.eigh(scaled)
        if values[0] <= CONFOUNDED:  # two parameters that no data of this design could tell apart
            return values - CONFOUNDED, scale[:, None] * vectors
        half = np.linalg.inv(np.linalg.cholesky(scaled))
        shares, vectors = np.linalg.eigh(half @ (observed * outer) @ half.T)
    except np.linalg.LinAlgError:
        return np.full(n_theta, -np.inf), np.eye(n_theta)
    return shares, half.T @ vectors


def _explain_information(direction: FloatArray, names: tuple[str, ...]) -> str:
    """Name the parameters the data say least about."""
    weakest = ", ".join(names[i] for i in np.argsort(-np.abs(direction))[:2])
    return (
        f"the data do not determine the covariance (least of all {weakest}): the fixed effects "
        "use up what those rows could say, or two parameters do the same"
    )
