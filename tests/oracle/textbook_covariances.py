"""Covariance matrices of all rows, filled in pair of rows by pair of rows.

Every function here returns a function of theta, real or complex, that fills the full
n x n matrix from the definition of one entry. Rows of different subjects are independent.

Parameters: `un` distinct elements, row by row of the upper triangle; `cs` variance and
covariance; `toep` covariances by lag; `ar1`, `sp_exp` variance and rho; `ad` variance and
adjacent correlations; names with a final h: the variances of the visits, then correlations.
"""

from itertools import product

import numpy as np

# Parameters of a structure of m visits.
N_PARAMETERS = {
    "un": lambda m: m * (m + 1) // 2,
    "cs": lambda _: 2,
    "csh": lambda m: m + 1,
    "toep": lambda m: m,
    "toeph": lambda m: 2 * m - 1,
    "ar1": lambda _: 2,
    "ar1h": lambda m: m + 1,
    "ad": lambda m: m,
    "adh": lambda m: 2 * m - 1,
    "sp_exp": lambda _: 2,
}


def entry(structure, theta, a, b, m):
    """Covariance of visits a and b (numbers from 0, or times for `sp_exp`) of m visits."""
    lo, hi = min(a, b), max(a, b)
    if structure == "un":
        return theta[lo * m - lo * (lo - 1) // 2 + hi - lo]
    if structure == "cs":
        return theta[0] if a == b else theta[1]
    if structure == "toep":
        return theta[hi - lo]
    if structure in ("ar1", "sp_exp"):
        return theta[0] * theta[1] ** (hi - lo)
    if structure == "ad":
        return theta[0] * _product(theta[1 + lo : 1 + hi])
    if a == b:
        return theta[a]
    return (theta[a] * theta[b]) ** 0.5 * _correlation(structure, theta[m:], lo, hi)


def theta_of(structure, Sigma):
    """Read theta from a covariance matrix of the visits (`sp_exp`: of times 0 and 1)."""
    Sigma = np.asarray(Sigma, dtype=float)
    variances = np.diag(Sigma)
    C = Sigma / np.sqrt(np.outer(variances, variances))
    return {
        "un": lambda: Sigma[np.triu_indices(len(Sigma))],
        "cs": lambda: Sigma[0, :2],
        "toep": lambda: Sigma[0],
        "ar1": lambda: np.array([Sigma[0, 0], C[0, 1]]),
        "sp_exp": lambda: np.array([Sigma[0, 0], C[0, 1]]),
        "ad": lambda: np.append(Sigma[0, 0], np.diag(C, 1)),
        "csh": lambda: np.append(variances, C[0, 1]),
        "ar1h": lambda: np.append(variances, C[0, 1]),
        "toeph": lambda: np.append(variances, C[0, 1:]),
        "adh": lambda: np.append(variances, np.diag(C, 1)),
    }[structure]()


def _correlation(structure, parameters, lo, hi):
    """Of two visits lo < hi when every visit has its own variance."""
    if structure == "csh":
        return parameters[0]
    if structure == "ar1h":
        return parameters[0] ** (hi - lo)
    if structure == "toeph":
        return parameters[hi - lo - 1]
    if structure == "adh":
        return _product(parameters[lo:hi])
    raise KeyError(structure)


def _product(factors):
    out = 1.0
    for factor in factors:
        out = out * factor
    return out


def residuals(structure, subject, visit, n_visits=None):
    """Rows of one subject covary as their visits do; `visit` holds times for `sp_exp`."""
    m = n_visits or int(np.max(visit)) + 1
    return _from_entries(subject, visit, lambda theta, a, b: entry(structure, theta, a, b, m))


def separable(structure, subject, repeated, visit, n_repeated=None, n_visits=None):
    """A@B: A of the levels of `repeated` times B of the visits, whose variance is one.

    theta: the parameters of A, then those of B without the first, which is one.
    """
    left, right = structure.split("@")
    n_left, n_right = n_repeated or int(np.max(repeated)) + 1, n_visits or int(np.max(visit)) + 1
    k = N_PARAMETERS[left](n_left)

    def cell(theta, a, b):
        A = entry(left, theta[:k], a[0], b[0], n_left)
        return A * entry(right, [1.0, *theta[k:]], a[1], b[1], n_right)

    labels = zip(np.asarray(repeated).tolist(), np.asarray(visit).tolist(), strict=True)
    return _from_entries(subject, labels, cell)


def independent(n):
    """One variance for each of n rows."""
    return _from_entries(range(n), [0] * n, lambda theta, a, b: theta[0])


def by_group(V, group):
    """Each level of `group`, constant within a subject, has its own copy of theta in V."""
    group = np.asarray(group)

    def grouped(theta):
        parts = np.split(np.asarray(theta), int(group.max()) + 1)
        return sum(np.outer(group == g, group == g) * V(part) for g, part in enumerate(parts))

    return grouped


def variance_by_group(group):
    """Independent rows, one variance for each level of `group`, which may vary in a subject."""
    return _from_entries(range(len(group)), group, lambda theta, a, b: theta[a])


def weighted(V, weights):
    """R_rs / sqrt(w_r w_s): a weight of two is the mean of two measurements."""
    return lambda theta: V(theta) / np.sqrt(np.outer(weights, weights))


def mixed(terms, R):
    """Random effects plus residuals: V = sum of Z G Z' over the terms, plus R.

    A term is (level of each row, Z (n, q), "full" or "diagonal"): rows of one level share
    their random effects. theta: G of each term in turn, then the parameters of R.
    """

    def V(theta):
        theta = np.asarray(theta)
        Gs, rest = split_terms(terms, theta)
        out = R(rest)
        for (level, Z, _), G in zip(terms, Gs, strict=True):
            ZGZ = np.asarray(Z) @ G @ np.transpose(Z)
            out = out + np.where(np.equal.outer(level, level), ZGZ, 0.0)
        return out

    return V


def split_terms(terms, theta):
    """The matrix G of each term, and the parameters that are left for the residuals."""
    Gs = []
    for _, Z, shape in terms:
        q = np.shape(Z)[1]
        k = q if shape == "diagonal" else N_PARAMETERS["un"](q)
        mine, theta = theta[:k], theta[k:]
        G = [[_G_entry(shape, mine, a, b, q) for b in range(q)] for a in range(q)]
        Gs.append(np.array(G))
    return Gs, theta


def _G_entry(shape, theta, a, b, q):
    if shape == "diagonal":
        return theta[a] if a == b else 0.0
    return entry("un", theta, a, b, q)


def stack_terms(terms, theta):
    """Z (n, effects) and G of all random effects at once: terms, then levels, then effects."""
    Gs, _ = split_terms(terms, np.asarray(theta))
    columns, blocks = [], []
    for (level, Z, _), G in zip(terms, Gs, strict=True):
        for code in np.unique(level):
            columns.append(np.where(np.equal(level, code)[:, None], Z, 0.0))
            blocks.append(G)
    ends = np.cumsum([len(G) for G in blocks])
    full = np.zeros((ends[-1], ends[-1]))
    for end, G in zip(ends, blocks, strict=True):
        full[end - len(G) : end, end - len(G) : end] = G
    return np.hstack(columns), full


def linear(B, subject, visit):
    """Sigma = sum of theta_k B_k over the visits, for tests that bring their own basis."""
    same = np.equal.outer(subject, subject)
    return lambda theta: same * np.tensordot(theta, B, axes=1)[np.ix_(visit, visit)]


def _from_entries(unit, labels, cell):
    """V[r, s] = cell(theta, label of r, label of s) for rows of the same unit, else zero."""
    labels = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    rows, n = {}, len(unit)
    for r, code in enumerate(np.asarray(unit).tolist()):
        rows.setdefault(code, []).append(r)
    pairs = [pair for together in rows.values() for pair in product(together, together)]
    labelled = [(labels[r], labels[s]) for r, s in pairs]
    number = {pair: i for i, pair in enumerate(dict.fromkeys(labelled))}
    where, which = tuple(np.transpose(pairs)), [number[pair] for pair in labelled]

    def V(theta):
        theta = np.asarray(theta)
        values, out = theta.tolist(), np.zeros((n, n), np.result_type(theta, 0.0))
        out[where] = np.array([cell(values, a, b) for a, b in number])[which]
        return out

    return V
