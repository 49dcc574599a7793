"""Cross-products against the sums they stand for, row by row and pair by pair."""

import numpy as np
import pytest

from aibmd.linalg import unpack_symmetric
from aibmd.model.cross_products import collect_cross_products, visit_pairs
from aibmd.model.least_squares import residual_scale
from aibmd.model.patterns import find_patterns


def long_rows(seed=0, n_subjects=15, n_visits=4, p=3):
    rng = np.random.default_rng(seed)
    subject, visit = np.nonzero(rng.uniform(size=(n_subjects, n_visits)) < 0.7)
    subject = np.unique(subject, return_inverse=True)[1]
    order = rng.permutation(len(subject))
    X = np.column_stack([np.ones(len(subject)), rng.normal(size=(len(subject), p - 1))])
    return X, rng.normal(size=len(subject)) + 5.0, subject[order], visit[order]


def collect(X, y, subject, visit, n_visits=4):
    return collect_cross_products(X, y, find_patterns(subject, visit, n_visits))


def test_gram_is_the_double_loop_over_subjects_and_visit_pairs():
    X, y, subject, visit = long_rows()
    cross = collect(X, y, subject, visit)
    Q = X @ cross.least_squares.basis.transform
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    Z = np.column_stack([Q, (y - X @ beta) / cross.least_squares.scale])
    row = {(s, v): i for i, (s, v) in enumerate(zip(subject, visit, strict=True))}
    visits_of = {s: frozenset(visit[subject == s].tolist()) for s in subject}
    got = unpack_symmetric(cross.gram, Z.shape[1])
    for pair in range(len(got)):
        j, k = cross.first[pair], cross.second[pair]
        pattern = frozenset(np.flatnonzero(cross.observed[cross.pattern[pair]]).tolist())
        want = np.zeros((Z.shape[1],) * 2)
        for s, visits in visits_of.items():
            if visits == pattern:
                outer = np.outer(Z[row[s, j]], Z[row[s, k]])
                want += outer if j == k else outer + outer.T
        np.testing.assert_allclose(got[pair], want, atol=1e-13)


def test_visit_pairs_are_the_upper_triangle_of_each_pattern():
    observed = np.array([[True, False, True], [False, True, False]])
    pattern, first, second = visit_pairs(observed)
    found = list(zip(pattern.tolist(), first.tolist(), second.tolist(), strict=True))
    assert found == [(0, 0, 0), (0, 0, 2), (0, 2, 2), (1, 1, 1)]


def test_start_and_scale_are_those_of_least_squares():
    X, y, subject, visit = long_rows()
    cross = collect(X, y, subject, visit)
    beta, (rss,), *_ = np.linalg.lstsq(X, y, rcond=None)
    np.testing.assert_allclose(cross.least_squares.beta0, beta, rtol=1e-12)
    assert cross.least_squares.scale == pytest.approx(np.sqrt(rss / (len(y) - 3)), rel=1e-12)


def test_a_large_mean_costs_no_more_digits_than_the_data_lost():
    X, y, subject, visit = long_rows()
    near, far = collect(X, y, subject, visit), collect(X, y + 1e8, subject, visit)
    # y + 1e8 is rounded to 1.5e-8; nothing beyond that may be lost.
    np.testing.assert_allclose(far.gram, near.gram, atol=1e-6)
    assert far.least_squares.scale == pytest.approx(near.least_squares.scale, rel=1e-7)


def test_the_order_of_rows_does_not_matter():
    X, y, subject, visit = long_rows()
    order = np.random.default_rng(5).permutation(len(y))
    sorted_, shuffled = (
        collect(X, y, subject, visit),
        collect(X[order], y[order], subject[order], visit[order]),
    )
    np.testing.assert_allclose(shuffled.gram, sorted_.gram, atol=1e-13)


def test_a_dependent_column_leaves_the_cross_products_as_they_were():
    X, y, subject, visit = long_rows()
    lean, full = (
        collect(X, y, subject, visit),
        collect(np.column_stack([X, X @ [1.0, 2.0, 3.0]]), y, subject, visit),
    )
    assert full.n_coefficients == 3
    # The basis may have turned its signs: compare what does not depend on it.
    np.testing.assert_allclose(full.least_squares.beta0, lean.least_squares.beta0, rtol=1e-10)
    np.testing.assert_allclose(full.gram[:, -1], lean.gram[:, -1], atol=1e-12)


def test_a_subject_counts_as_often_as_its_sampling_weight_says():
    X, y, subject, visit = long_rows()
    patterns = find_patterns(subject, visit, 4)
    own = np.random.default_rng(3).uniform(0.5, 2.0, size=subject.max() + 1)
    plain = collect_cross_products(X, y, patterns)
    found = collect_cross_products(X, y, patterns, sampling=own[subject])
    for seen, count in zip(found.observed, found.n_subjects, strict=True):
        wanted = [
            own[s]
            for s in range(len(own))
            if set(visit[subject == s].tolist()) == set(np.flatnonzero(seen).tolist())
        ]
        assert count == pytest.approx(sum(wanted))
    # Least squares are the scale, not the estimate: they do not know of sampling weights.
    np.testing.assert_array_equal(found.least_squares.beta0, plain.least_squares.beta0)
    Q = X @ found.least_squares.basis.transform
    total = (Q * own[subject][:, None]).T @ Q
    same_visit = found.first == found.second
    gram = unpack_symmetric(found.gram[same_visit], 4).sum(axis=0)
    np.testing.assert_allclose(gram[:3, :3], total, atol=1e-13)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_perfect_fit_is_seen_in_any_unit(unit):
    y = unit * np.array([1.0, 2.0, 4.0])
    assert residual_scale(1e-15 * y, y, 1) == 0.0
    assert residual_scale(1e-3 * y, y, 1) > 0.0


def test_as_many_columns_as_rows_leave_no_scale():
    assert residual_scale(np.ones(3), np.ones(3), 3) == 0.0
