"""Tiny made-up designs with a dense covariance of every kind, for laws of the oracle."""

from dataclasses import dataclass

import dense
import numpy as np
import textbook_covariances as tc


@dataclass(frozen=True, eq=False)
class Rows:
    """What a covariance may be built from, one value per row."""

    subject: np.ndarray
    site: np.ndarray
    visit: np.ndarray
    time: np.ndarray
    arm: np.ndarray
    weight: np.ndarray


def make_rows(seed=1, n_subjects=14, n_sites=1, n_visits=3, gaps=0.2):
    """Subjects by sites by visits with some rows missing; arms alternate."""
    rng = np.random.default_rng(seed)
    grid = np.indices((n_subjects, n_sites, n_visits)).reshape(3, -1)
    subject, site, visit = grid[:, rng.uniform(size=grid.shape[1]) >= gaps]
    time = visit + rng.uniform(0.0, 0.6, size=len(visit))
    return Rows(subject, site, visit, time, subject % 2, rng.uniform(0.5, 2.0, len(visit)))


def covariances():
    """Name -> (rows, V, theta) for every structure, product, group and G + R."""
    one, sites = make_rows(), make_rows(2, 12, 2, 3)
    out = {name: (one, *_visits(name, one)) for name in THETA}
    product_theta = np.array([1.4, 0.5, 0.9])
    for right in THETA:
        visit = sites.time if right == "sp_exp" else sites.visit
        V = tc.separable(f"un@{right}", sites.subject, sites.site, visit)
        right_theta = THETA[right][1:] / (THETA[right][0] if right in _SCALED else 1)
        out[f"un@{right}"] = (sites, V, np.append(product_theta, right_theta))
    out |= _grouped(one, out["ar1h"][1], out["ar1h"][2])
    return out | _random_effects(one, sites)


# Positive definite, with distinct numbers so that an exchanged pair is noticed.
THETA = {
    "un": np.array([1.3, 0.4, 0.2, 0.9, 0.3, 1.1]),
    "cs": np.array([1.3, 0.4]),
    "csh": np.array([1.3, 0.9, 2.1, 0.35]),
    "toep": np.array([1.3, 0.5, 0.2]),
    "toeph": np.array([1.3, 0.9, 2.1, 0.45, 0.15]),
    "ar1": np.array([1.3, 0.6]),
    "ar1h": np.array([1.3, 0.9, 2.1, -0.4]),
    "ad": np.array([1.3, 0.6, 0.2]),
    "adh": np.array([1.3, 0.9, 2.1, 0.6, -0.3]),
    "sp_exp": np.array([1.3, 0.45]),
}
# In a product these are divided by the first variance, which a product fixes at one.
_SCALED = ("un", "cs", "toep", "csh", "toeph", "ar1h", "adh")


def _visits(name, rows):
    visit = rows.time if name == "sp_exp" else rows.visit
    return tc.residuals(name, rows.subject, visit), THETA[name]


def _grouped(rows, V, theta):
    two = np.concatenate([theta, 1.5 * theta])
    two[-1] = 0.3
    return {
        "ar1h by arm": (rows, tc.by_group(V, rows.arm), two),
        "ar1h weighted": (rows, tc.weighted(V, rows.weight), theta),
    }


def _random_effects(rows, sites):
    slope = (rows.subject, np.column_stack([np.ones(len(rows.time)), rows.time]), "full")
    one = np.ones((len(sites.time), 1))
    nested = ((sites.subject, one, "full"), (sites.subject * 10 + sites.site, one, "full"))
    G, independent = [0.9, -0.2, 0.3], tc.independent(len(rows.time))
    AR1 = tc.residuals("ar1", rows.subject, rows.visit)
    return {
        "intercept": (rows, tc.mixed([(rows.subject, slope[1][:, :1], "full")], independent),
                      np.array([0.9, 1.2])),
        "slope": (rows, tc.mixed([slope], independent), np.array([*G, 1.2])),
        "diagonal slope": (rows, tc.mixed([(*slope[:2], "diagonal")], independent),
                           np.array([0.9, 0.3, 1.2])),
        "slope + ar1": (rows, tc.mixed([slope], AR1), np.array([*G, 1.2, 0.3])),
        "nested, variance by site": (sites, tc.mixed(nested, tc.variance_by_group(sites.site)),
                                     np.array([0.9, 0.5, 1.2, 0.7])),
    }  # fmt: skip


def make_model(rows, V, theta, method="reml", seed=3):
    """A dense model with intercept, arm, time and a covariate; y drawn from N(X beta, V)."""
    rng = np.random.default_rng(seed)
    n = len(rows.time)
    X = np.column_stack([np.ones(n), rows.arm, rows.time, rng.normal(size=n)])
    y = X @ [1.0, 0.5, -0.3, 0.2] + np.linalg.cholesky(V(theta)) @ rng.normal(size=n)
    return dense.DenseModel(X, y, V, method)
