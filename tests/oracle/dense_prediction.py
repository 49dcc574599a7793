"""What the dense oracle says of new rows: predictions from known ones, errors and their df.

Same rules as `dense`: full matrices, formulas as printed, nothing shared with the package.
"""

import numpy as np

# Of central differences of the prediction variance by theta, relative to theta.
_STEP = 1e-5


def predict_new(at, V_all, X_new, y, n_known, new_errors=None):
    """Best linear unbiased prediction of new rows from all known ones (Goldberger 1962).

    `V_all` turns theta into the covariance of the known rows, then of the new ones. With
    `new_errors`, a function of theta, that covariance is added to the new rows alone.
    Returns estimates, variances of the prediction error with beta estimated, and
    Satterthwaite df of these variances.
    """
    estimate, variance = _at(at, at.theta, V_all, X_new, y, n_known, new_errors)
    gradient = []
    for k, value in enumerate(at.theta):
        step = np.zeros(len(at.theta))
        step[k] = _STEP * (abs(value) or 1.0)
        up = _at(at, at.theta + step, V_all, X_new, y, n_known, new_errors)[1]
        down = _at(at, at.theta - step, V_all, X_new, y, n_known, new_errors)[1]
        gradient.append((up - down) / (2 * step[k]))
    gradient = np.array(gradient)
    df = 2 * variance**2 / np.einsum("hn,hk,kn->n", gradient, at.W, gradient)
    return estimate, variance, df


def _at(at, theta, V_all, X_new, y, n_known, new_errors):
    V, X = V_all(theta), at.model.X
    known, C, own = V[:n_known, :n_known], V[n_known:, :n_known], V[n_known:, n_known:]
    if new_errors is not None:
        own = own + new_errors(theta)
    inverse = np.linalg.inv(known)
    Phi = np.linalg.inv(X.T @ inverse @ X)
    beta = Phi @ X.T @ inverse @ y
    m = X_new - C @ inverse @ X
    estimate = X_new @ beta + C @ inverse @ (y - X @ beta)
    return estimate, np.diag(own - C @ inverse @ C.T + m @ Phi @ m.T)
