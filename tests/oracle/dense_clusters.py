"""What the dense oracle says of subjects: sandwich covariances and random effects.

Same rules as `dense`: full matrices, formulas as printed, nothing shared with the package.
"""

import numpy as np

# Power of I - H_ii that multiplies the whitened residuals of subject i.
_POWERS = {"CR0": 0.0, "CR2": -0.5, "CR3": -1.0}


def sandwich(at, subject, kind):
    """Cluster-robust covariance of the estimates.

    Residuals are whitened by any R with R'R = V^-1 and multiplied by A_i: the identity
    (CR0), (I - H_ii)^-1/2 (CR2, symmetric root) or (I - H_ii)^-1 (CR3), H = X* Phi X*'.
    """
    X, residual = _whitened(at)
    meat = 0.0
    for rows, A in _adjustments(at, X, subject, kind):
        score = X[rows].T @ A @ residual[rows]
        meat = meat + np.outer(score, score)
    return at.Phi @ meat @ at.Phi


def bell_mccaffrey_df(at, subject, kind, L):
    """For each row l of L: Satterthwaite df of l'Ul, U the sandwich, when V(theta) is the truth.

    l'Ul is the sum of the squares of g_i'e with e = (I - H) z, z standard normal.
    """
    X, _ = _whitened(at)
    annihilator = np.eye(len(X)) - X @ at.Phi @ X.T
    g = []
    for rows, A in _adjustments(at, X, subject, kind):
        g.append(annihilator[:, rows] @ A @ X[rows] @ at.Phi @ np.transpose(L))
    products = [G @ G.T for G in np.moveaxis(np.array(g), 2, 0)]
    return np.array([np.trace(GG) ** 2 / np.sum(GG**2) for GG in products])


def _whitened(at):
    """X and the residuals times a Cholesky factor's inverse: their covariance is I."""
    C = np.linalg.cholesky(at.V)
    model = at.model
    return np.linalg.solve(C, model.X), np.linalg.solve(C, model.y - model.X @ at.beta)


def _adjustments(at, X, subject, kind):
    for code in np.unique(subject):
        rows = np.flatnonzero(subject == code)
        values, vectors = np.linalg.eigh(np.eye(len(rows)) - X[rows] @ at.Phi @ X[rows].T)
        yield rows, vectors * values ** _POWERS[kind] @ vectors.T


def predict_random_effects(at, Z, G):
    """Best linear unbiased predictor of b with y = X beta + Z b + e and cov(b) = G.

    Returns the prediction; its covariance given y at known beta and theta (what lme4 calls
    condVar); and the covariance of the error of prediction, beta estimated, theta known.
    """
    GZ = G @ Z.T
    predicted = GZ @ at.projection @ at.model.y
    return predicted, G - GZ @ at.V_inverse @ GZ.T, G - GZ @ at.projection @ GZ.T
