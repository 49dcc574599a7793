"""The oracle against results that have a closed form: no program in between."""

from dataclasses import replace

import dense
import dense_clusters
import numpy as np
import pytest
import textbook_covariances as tc

KINDS = ("observed", "expected")
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_complete_unstructured_data_give_hotelling_t_squared(kind):
    """F = (n - q) / (q (n - 1)) T^2 on n - q df, which Kenward and Roger's F reproduces."""
    rng = np.random.default_rng(1)
    n, m = 12, 4
    wide = rng.normal(size=(n, m)) @ rng.normal(size=(m, m)) + [0.0, 0.5, 1.0, 0.2]
    S, mean = np.cov(wide.T), wide.mean(axis=0)
    subject, visit = np.divmod(np.arange(n * m), m)
    model = dense.DenseModel(
        np.tile(np.eye(m), (n, 1)), wide.ravel(), tc.residuals("un", subject, visit)
    )
    theta = tc.theta_of("un", S)
    L = np.diff(np.eye(m), axis=0)
    at, q = model.at(theta, kind), m - 1
    T2 = n * (L @ mean) @ np.linalg.solve(L @ S @ L.T, L @ mean)
    np.testing.assert_allclose(model.score(theta), 0, atol=1e-9)
    _, se, one, F, df, _ = dense.kenward_roger(at, L)
    np.testing.assert_allclose(se, np.sqrt(np.diag(L @ S @ L.T) / n), rtol=1e-10)
    np.testing.assert_allclose(one, n - 1, rtol=1e-9)
    assert pytest.approx((n - q) / (q * (n - 1)) * T2, rel=1e-9) == F
    assert df == pytest.approx(n - q, rel=1e-9)


@kinds
def test_a_balanced_split_plot_has_the_df_and_f_of_its_strata(kind):
    """Arms between subjects, visits within: two mean squares, two denominators."""
    rng = np.random.default_rng(2)
    n, m = 10, 3
    arm = np.repeat([0, 1], n // 2)
    wide = rng.normal(size=(n, 1)) + rng.normal(size=(n, m)) + 0.4 * arm[:, None]
    cells = np.array([wide[arm == a].mean(axis=0) for a in (0, 1)])[arm]
    residual = wide - cells
    between = m * np.sum(residual.mean(axis=1) ** 2) / (n - 2)
    within = np.sum((residual - residual.mean(axis=1, keepdims=True)) ** 2) / ((n - 2) * (m - 1))
    covariance = (between - within) / m
    subject, visit = np.divmod(np.arange(n * m), m)
    X = np.eye(2 * m)[arm[subject] * m + visit]
    model = dense.DenseModel(X, wide.ravel(), tc.residuals("cs", subject, visit))
    theta = np.array([covariance + within, covariance])
    np.testing.assert_allclose(model.score(theta), 0, atol=1e-9)

    at = model.at(theta, kind)
    overall = np.kron([[-1.0, 1.0]], np.ones((1, m)) / m)
    interaction = np.kron([[-1.0, 1.0]], np.diff(np.eye(m), axis=0))
    for method in (dense.satterthwaite, dense.kenward_roger):
        _, se, df, *_ = method(at, overall)
        assert df[0] == pytest.approx(n - 2, rel=1e-8)
        assert se[0] == pytest.approx(np.sqrt(between / m * 4 / n), rel=1e-10)
        _, _, df, *_ = method(at, interaction)
        np.testing.assert_allclose(df, (n - 2) * (m - 1), rtol=1e-8)
    difference = cells[-1] - cells[0]
    sum_of_squares = n / 4 * np.sum((difference - difference.mean()) ** 2)
    *_, F, df, scale = dense.kenward_roger(at, interaction)
    assert pytest.approx(sum_of_squares / (m - 1) / within, rel=1e-8) == F
    assert df == pytest.approx((n - 2) * (m - 1), rel=1e-8)
    assert scale == pytest.approx(1, rel=1e-8)


def regression(n=15):
    """Independent rows, each its own cluster."""
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    model = dense.DenseModel(X, rng.normal(size=n) * (1 + X[:, 1] ** 2), tc.independent(n))
    return model, model.at([2.3])


@pytest.mark.parametrize(("kind", "power"), [("CR0", 0), ("CR2", 1), ("CR3", 2)])
def test_with_one_row_a_subject_the_sandwiches_are_hc0_hc2_and_hc3(kind, power):
    model, at = regression()
    X, XtX = model.X, np.linalg.inv(model.X.T @ model.X)
    leverage = np.sum(X @ XtX * X, axis=1)
    e = model.y - X @ (XtX @ X.T @ model.y)
    want = XtX @ (X.T * (e**2 / (1 - leverage) ** power)) @ X @ XtX
    found = dense_clusters.sandwich(at, np.arange(len(e)), kind)
    np.testing.assert_allclose(found, want, rtol=1e-10)


def test_two_groups_of_single_rows_have_welch_df_at_equal_variances():
    """CR2 of a difference of means is s1^2/n1 + s2^2/n2; its df are Welch's at sigma1 = sigma2."""
    n = np.array([4, 9])
    group = np.repeat([0, 1], n)
    y = np.random.default_rng(4).normal(size=13)
    at = dense.DenseModel(np.eye(2)[group], y, tc.independent(13)).at([1.0])
    row, alone = np.array([-1.0, 1.0]), np.arange(13)
    variances = np.array([y[group == g].var(ddof=1) for g in (0, 1)])
    U = dense_clusters.sandwich(at, alone, "CR2")
    assert row @ U @ row == pytest.approx(np.sum(variances / n), rel=1e-12)
    want = np.sum(1 / n) ** 2 / np.sum(1 / (n**2 * (n - 1)))
    df = dense_clusters.bell_mccaffrey_df(at, alone, "CR2", row[None])
    assert df == pytest.approx(want, rel=1e-12)


def clustered(name="un"):
    rng = np.random.default_rng(5)
    subject, visit = np.divmod(np.flatnonzero(rng.uniform(size=36) > 0.2), 3)
    V = tc.residuals(name, subject, visit)
    theta = np.array([1.3, 0.4, 0.2, 0.9, 0.3, 1.1])
    X = np.column_stack([np.ones(len(visit)), visit, subject % 2, rng.normal(size=len(visit))])
    return dense.DenseModel(X, rng.normal(size=len(visit)), V), theta, subject


def test_cr3_is_the_jackknife_over_subjects_at_the_same_theta():
    model, theta, subject = clustered()
    at = model.at(theta)
    shifts = []
    for code in np.unique(subject):
        stay = subject != code
        inverse = np.linalg.inv(at.V[np.ix_(stay, stay)])
        X, y = model.X[stay], model.y[stay]
        shifts.append(np.linalg.solve(X.T @ inverse @ X, X.T @ inverse @ y) - at.beta)
    want = np.array(shifts).T @ np.array(shifts)
    np.testing.assert_allclose(dense_clusters.sandwich(at, subject, "CR3"), want, rtol=1e-9)


def test_cr2_is_unbiased_when_the_covariance_is_true():
    """Exactly: outcomes sqrt(n) c_j over the columns of a root of V have second moment V."""
    model, theta, subject = clustered()
    at = model.at(theta)
    outcomes = np.linalg.cholesky(at.V).T * np.sqrt(len(model.y))
    found = [
        dense_clusters.sandwich(replace(model, y=y).at(theta), subject, "CR2") for y in outcomes
    ]
    np.testing.assert_allclose(np.mean(found, axis=0), at.Phi, rtol=1e-9)


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_bell_mccaffrey_df_match_the_moments_of_a_quadratic_form(kind):
    """l'Ul = y'By with df 2 E^2 / Var, E = tr(BV), Var = 2 tr(BVBV); B by polarisation."""
    model, theta, subject = clustered()
    at, row = model.at(theta), np.array([0.0, 1.0, -0.5, 0.2])
    n, unit = len(model.y), np.eye(len(model.y))

    def form(y):
        return row @ dense_clusters.sandwich(replace(model, y=y).at(theta), subject, kind) @ row

    own = [form(e) for e in unit]
    B = np.array(
        [[(form(unit[a] + unit[b]) - own[a] - own[b]) / 2 for b in range(n)] for a in range(n)]
    )
    BV = B @ at.V
    want = np.trace(BV) ** 2 / np.trace(BV @ BV)
    found = dense_clusters.bell_mccaffrey_df(at, subject, kind, row[None])
    assert found == pytest.approx(want, rel=1e-9)
