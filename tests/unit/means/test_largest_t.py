"""The distribution of the largest of several t: tables, closed forms, other quadratures."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr, stdtr
from scipy.stats import studentized_range

from aibmd.inference import largest_t
from aibmd.inference.largest_normal import compute_any_tail, find_loadings
from aibmd.inference.largest_t import LargestT, build_multivariate_t, build_range_t

VALUES = np.linspace(0.2, 6.0, 30)


def correlate_pairs(shares):
    """Correlation of all differences of independent means with variances 1 / share."""
    k = len(shares)
    L = np.array([np.eye(k)[i] - np.eye(k)[j] for i in range(k) for j in range(i)])
    V = L @ np.diag(1.0 / np.asarray(shares, dtype=float)) @ L.T
    return V / np.sqrt(np.outer(np.diagonal(V), np.diagonal(V)))


def one_factor(loadings):
    R = np.outer(loadings, loadings)
    np.fill_diagonal(R, 1.0)
    return R


@pytest.mark.parametrize(
    ("n_means", "df", "value"),
    # Upper 5 % points of the studentized range, from the tables printed in most textbooks.
    [(3, 10, 3.877), (4, 20, 3.958), (5, 60, 3.977), (10, np.inf, 4.474), (2, 5, 3.635)],
)
def test_tukeys_quantiles_are_those_of_the_tables(n_means, df, value):
    found = build_range_t(n_means).find_quantile(0.95, df) * np.sqrt(2)
    assert found == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize(
    ("count", "df", "value"),
    # Two-sided 5 % points with correlation one half: Dunnett 1964, Biometrics 20:482-491.
    [(2, 20, 2.38), (3, 20, 2.54), (5, 20, 2.73), (2, np.inf, 2.21), (5, np.inf, 2.51)],
)
def test_dunnetts_quantiles_are_those_of_the_table(count, df, value):
    R = one_factor(np.full(count, np.sqrt(0.5)))
    assert build_multivariate_t(R).find_quantile(0.95, df) == pytest.approx(value, abs=6e-3)


@pytest.mark.parametrize("n_means", [3, 5, 12])
@pytest.mark.parametrize("df", [2.0, 7.3, 41.6, np.inf])
def test_the_range_is_that_of_scipy(n_means, df):
    ours = [build_range_t(n_means).compute_tail(value, df) for value in VALUES]
    scipys = studentized_range.sf(VALUES * np.sqrt(2), n_means, df)
    np.testing.assert_allclose(ours, scipys, atol=1e-8)


@pytest.mark.parametrize("df", [1.5, 12.4, np.inf])
def test_statistics_in_a_plane_follow_from_one_integral_over_the_angle(df):
    """A bivariate normal in polar form: P(max > c) = mean over angles of the radius' tail."""
    angles = np.array([0.0, 0.4, 1.3, 2.5])
    R = np.cos(angles[:, None] - angles)

    def beyond(theta, value):
        size = np.abs(np.cos(theta - angles)).max()
        if np.isinf(df):
            return np.exp(-0.5 * (value / size) ** 2)
        return (1 + (value / size) ** 2 / df) ** (-df / 2)

    turn = np.sort(
        np.r_[(angles[:, None] + angles) / 2, (angles[:, None] + angles) / 2 + np.pi / 2]
    )
    for value in (0.7, 1.9, 3.0):
        want = quad(beyond, 0, np.pi, args=(value,), points=np.unique(turn % np.pi), limit=400)[0]
        assert build_multivariate_t(R).compute_tail(value, df) == pytest.approx(
            want / np.pi, abs=1e-5
        )


@pytest.mark.parametrize("n_means", [3, 4, 6])
def test_any_correlation_gives_the_range_where_that_is_the_case(n_means):
    general = build_multivariate_t(correlate_pairs(np.ones(n_means)))
    assert 0 < general.error < 4e-6
    for df in (9.5, np.inf):
        ours = [general.compute_tail(value, df) for value in VALUES]
        exact = [build_range_t(n_means).compute_tail(value, df) for value in VALUES]
        np.testing.assert_allclose(ours, exact, atol=1e-5)
    assert general.find_quantile(0.95, 9.5) == pytest.approx(
        build_range_t(n_means).find_quantile(0.95, 9.5), abs=1e-4
    )


def test_any_correlation_gives_one_factor_where_that_is_the_case():
    R = one_factor(np.array([0.9, 0.5, -0.3, 0.7, 0.6]))
    exact = build_multivariate_t(R)
    assert exact.error == 0.0
    nodes = largest_t._nodes(28)
    tail, error = compute_any_tail(nodes, R)
    for value, found, spread in zip(nodes, tail, error, strict=True):
        assert spread < 4e-6
        assert found == pytest.approx(exact.compute_tail(value, np.inf), abs=max(1e-9, 5 * spread))


def test_independent_statistics_multiply():
    for value in VALUES:
        one = 2 * ndtr(-value)
        want = -np.expm1(4 * np.log1p(-one))
        found = build_multivariate_t(np.eye(4)).compute_tail(value, np.inf)
        assert found == pytest.approx(want, rel=1e-9)


def test_copies_of_one_statistic_need_no_adjustment():
    found = build_multivariate_t(np.ones((4, 4)))
    for value in VALUES:
        assert found.compute_tail(value, 8.0) == pytest.approx(2 * stdtr(8.0, -value), rel=1e-9)


@pytest.mark.parametrize(
    "R", [correlate_pairs([3, 9, 4, 20]), one_factor(np.array([0.2, 0.5, 0.9]))]
)
def test_the_tail_falls_between_one_t_and_bonferroni_and_the_quantile_inverts_it(R):
    found = build_multivariate_t(R)
    tails = np.array([found.compute_tail(value, 11.2) for value in VALUES])
    one = 2 * stdtr(11.2, -VALUES)
    assert (np.diff(tails) < 0).all()
    assert (tails >= one).all()
    assert (tails <= len(R) * one).all()
    for level in (0.8, 0.95, 0.999):
        value = found.find_quantile(level, 11.2)
        assert found.compute_tail(value, 11.2) == pytest.approx(1 - level, rel=1e-6)


def test_a_second_run_gives_the_same_numbers():
    R = correlate_pairs([3, 9, 4, 20])
    first = build_multivariate_t(R)
    largest_t._build_from_bytes.cache_clear()
    second = build_multivariate_t(R)
    assert second is not first
    np.testing.assert_array_equal(second.log_ratio, first.log_ratio)


def test_loadings_are_found_only_where_they_exist():
    loadings = np.array([0.9, -0.5, 0.3, 0.0])
    found = find_loadings(one_factor(loadings))
    np.testing.assert_allclose(np.outer(found, found)[0, 1:], [-0.45, 0.27, 0.0], atol=1e-12)
    assert find_loadings(correlate_pairs([1, 1, 1, 1])) is None
    np.testing.assert_array_equal(find_loadings(np.eye(3)), np.zeros(3))


def test_one_statistic_is_a_t():
    assert build_multivariate_t(np.eye(1)).find_quantile(0.95, 10) == pytest.approx(2.228, abs=5e-4)
    assert isinstance(build_multivariate_t(np.eye(1)), LargestT)
