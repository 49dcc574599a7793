"""The parameters R mmrm works with, turned into ours.

From `openpharma/mmrm:vignettes/covariance.Rmd` and `src/covariance.h`: log standard
deviations, then correlations through r / sqrt(1 + r^2) (`cs`, `csh`: the logistic function
stretched to (-1/(m-1), 1)); `us`: rows of a unit lower triangular matrix, scaled by the
standard deviations; `sp_exp`: the log variance and the logit of rho. mmrm's second-order
Kenward-Roger numbers hold in these parameters only.
"""

import numpy as np

N_VISITS = 4
_BY_VISIT = ("un", "csh", "toeph", "ar1h", "adh")


def our_theta(structure, theta, n_groups=1):
    """Complex theta passes through."""
    parts = np.split(np.asarray(theta), n_groups)
    return np.concatenate([_one_group(structure, part) for part in parts])


def _one_group(structure, theta):
    if structure == "sp_exp":
        return np.array([np.exp(theta[0]), _logistic(theta[1])])
    n_sd = N_VISITS if structure in _BY_VISIT else 1
    sd, rest = np.exp(theta[:n_sd]), theta[n_sd:]
    if structure == "un":
        return _unstructured(sd, rest)
    if structure in ("cs", "csh"):
        correlations = (_logistic(rest) * N_VISITS - 1) / (N_VISITS - 1)
    else:
        correlations = rest / np.sqrt(1 + rest**2)
    if structure in ("cs", "toep"):
        return np.concatenate([sd**2, sd**2 * correlations])
    return np.concatenate([sd**2, correlations])


def _unstructured(sd, below):
    factor = np.eye(N_VISITS, dtype=below.dtype)
    factor[np.tril_indices(N_VISITS, -1)] = below
    factor = sd[:, None] * factor
    return (factor @ factor.T)[np.triu_indices(N_VISITS)]


def _logistic(x):
    return 1 / (1 + np.exp(-x))
