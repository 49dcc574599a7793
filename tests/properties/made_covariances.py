"""Made-up covariance terms with parameters inside their bounds, and numerical derivatives."""

import numpy as np

from aibmd.model.covariance.build import build_visit_term, parse_covariance
from aibmd.model.covariance.compositions import GroupedTerm
from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RandomPart, RowFeatures
from aibmd.model.covariance.terms import IndependentTerm, StructureTerm

VISITS = ("v1", "v2", "v3", "v4")
SITES = ("hip", "spine")
ARMS = ("a", "b")
# Positive definite for four visits, with distinct numbers so that an exchange is noticed.
THETA = {
    "un": np.array([1.3, 0.4, 0.2, 0.1, 0.9, 0.3, 0.15, 1.1, 0.35, 1.6]),
    "toep": np.array([1.3, 0.5, 0.2, 0.1]),
    "toeph": np.array([1.3, 0.9, 2.1, 1.6, 0.45, 0.15, 0.05]),
    "ar1": np.array([1.3, 0.6]),
    "ar1h": np.array([1.3, 0.9, 2.1, 1.6, -0.4]),
    "cs": np.array([1.3, 0.4]),
    "csh": np.array([1.3, 0.9, 2.1, 1.6, 0.35]),
    "ad": np.array([1.3, 0.6, 0.2, -0.4]),
    "adh": np.array([1.3, 0.9, 2.1, 1.6, 0.6, -0.3, 0.5]),
    "sp_exp": np.array([1.3, 0.45]),
}
# In units of the response; in a product they are divided by the first variance.
N_WITH_UNIT = {
    "un": 10, "toep": 4, "toeph": 4, "ar1": 1, "ar1h": 4,
    "cs": 2, "csh": 4, "ad": 1, "adh": 4, "sp_exp": 1,
}  # fmt: skip
LEFT = {
    "un": np.array([1.4, 0.5, 0.9]),
    "cs": np.array([1.4, 0.5]),
    "csh": np.array([1.4, 0.9, 0.4]),
}
PRODUCTS = [f"un@{right}" for right in THETA] + ["cs@ar1h", "csh@toep", "csh@adh"]
G_THETA = np.array([0.9, -0.2, 0.3])


def make_rows(seed=1, n_subjects=5, n_rows=6, n_sites=2):
    """(S, k) features of every kind; no cell twice in a subject (no visit twice: one site)."""
    rng = np.random.default_rng(seed)
    cells = np.array([rng.permutation(4 * n_sites)[:n_rows] for _ in range(n_subjects)])
    visit, site = cells % 4, (cells // 4 + cells * (n_sites == 1)) % 2
    time = visit + rng.uniform(0.0, 0.6, size=cells.shape)
    group = np.repeat(np.arange(n_subjects)[:, None] % 2, n_rows, axis=1)
    slope = np.stack([np.ones(cells.shape), time], axis=-1)
    return RowFeatures(
        visit=visit,
        repeated=site,
        group=group,
        residual_group=site,
        time=time,
        random=(
            RandomPart(slope, np.zeros_like(site)),
            RandomPart(np.ones((*cells.shape, 1)), site),
        ),
    )


def one_visit_term(structure):
    """A structure over the four visits, or over times."""
    return build_visit_term(parse_covariance(structure), VISITS, None, None)


def product_theta(text):
    """Parameters of A, then those of B scaled to a first variance of one, without it."""
    left, right = text.split("@")
    scaled = THETA[right].copy()
    scaled[: N_WITH_UNIT[right]] /= THETA[right][0]
    return np.append(LEFT[left], scaled[1:])


def make_terms():
    """Name -> (term, theta): every structure, product, group, effects and sums."""
    made = {name: (one_visit_term(name), THETA[name]) for name in THETA}
    for text in PRODUCTS:
        term = build_visit_term(parse_covariance(text), VISITS, SITES, None)
        made[text] = (term, product_theta(text))
    for name in THETA:
        term = build_visit_term(parse_covariance(name), VISITS, None, ARMS)
        made[f"{name} by arm"] = (term, np.append(THETA[name], 0.9 * THETA[name]))
    term = build_visit_term(parse_covariance("un@ar1h"), VISITS, SITES, ARMS)
    theta = product_theta("un@ar1h")
    made["un@ar1h by arm"] = (term, np.append(theta, 0.8 * theta))
    return made | _effects()


def _effects():
    slope = RandomEffectsTerm(0, "who", ("intercept", "time"), is_diagonal=False)
    diagonal = RandomEffectsTerm(0, "who", ("intercept", "time"), is_diagonal=True)
    nested = RandomEffectsTerm(1, "who:site", ("intercept",), is_diagonal=False)
    residual = IndependentTerm()
    by_site = GroupedTerm(residual, SITES, "residual_group")
    ar1_by_site = GroupedTerm(one_visit_term("ar1"), SITES, "residual_group")
    sp_exp = StructureTerm(parse_covariance("sp_exp").right, (), "time")
    two = np.array([1.2, 0.7])
    return {
        "independent": (residual, np.array([1.2])),
        "slope": (SumTerm((slope, residual)), np.append(G_THETA, 1.2)),
        "diagonal slope": (SumTerm((diagonal, residual)), np.array([0.9, 0.3, 1.2])),
        "nested": (SumTerm((slope, nested, residual)), np.array([*G_THETA, 0.5, 1.2])),
        "variance by site": (SumTerm((slope, by_site)), np.append(G_THETA, two)),
        "slope + sp_exp": (SumTerm((slope, sp_exp)), np.append(G_THETA, THETA["sp_exp"])),
        "nested + ar1h": (
            SumTerm((nested, one_visit_term("ar1h"))),
            np.append([0.5], THETA["ar1h"]),
        ),
        "slope + ar1 by site": (
            SumTerm((slope, ar1_by_site)),
            np.concatenate([G_THETA, [1.2, 0.6], [0.7, -0.3]]),
        ),
    }


def differentiate_numerically(function, theta, step=2e-3):
    """Derivatives along each parameter, first axis; five points, error near 1e-11."""
    columns = []
    for direction in np.eye(len(theta)):
        h = step * direction
        near = function(theta + h) - function(theta - h)
        far = function(theta + 2 * h) - function(theta - 2 * h)
        columns.append((8 * near - far) / (12 * step))
    return np.array(columns)
