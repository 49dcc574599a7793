"""Subjects by the visits they have: every row found again, at its visit, whatever the order."""

import numpy as np
import pytest

from aibmd.model.patterns import find_patterns


def check(subject, visit, n_visits):
    """Compare with a dictionary built row by row."""
    found = find_patterns(subject, visit, n_visits)
    visits_of = {}
    for s, v in zip(subject.tolist(), visit.tolist(), strict=True):
        visits_of.setdefault(s, set()).add(v)
    want = {}
    for visits in visits_of.values():
        want[frozenset(visits)] = want.get(frozenset(visits), 0) + 1
    got = {}
    for seen, count, rows in zip(found.observed, found.n_subjects, found.rows, strict=True):
        at = np.flatnonzero(seen)
        got[frozenset(at.tolist())] = int(count)
        assert rows.shape == (count, len(at))
        for line in rows:
            assert len(set(subject[line].tolist())) == 1
            np.testing.assert_array_equal(visit[line], at)
    assert got == want
    assert found.n_rows == len(subject)
    assert sorted(np.concatenate([rows.ravel() for rows in found.rows])) == list(
        range(len(subject))
    )
    return found


def gapped(n_subjects, n_visits, share, seed=0):
    rng = np.random.default_rng(seed)
    seen = rng.uniform(size=(n_subjects, n_visits)) < share
    seen[np.arange(n_subjects), rng.integers(n_visits, size=n_subjects)] = True
    return (part.astype(np.intp) for part in np.nonzero(seen))


def test_patterns_of_rows_in_order():
    check(*gapped(50, 4, 0.7), 4)


def test_patterns_of_shuffled_rows():
    subject, visit = gapped(50, 5, 0.6)
    order = np.random.default_rng(1).permutation(len(subject))
    check(subject[order], visit[order], 5)


def test_a_second_record_is_the_visit_it_belongs_to():
    found = check(np.array([0, 0]), np.array([0, 3]), 4)
    np.testing.assert_array_equal(found.observed, [[True, False, False, True]])


def test_a_visit_that_nobody_has_is_in_no_pattern():
    subject, visit = gapped(20, 3, 0.8)
    found = check(subject, visit + (visit > 0), 4)
    assert not found.observed[:, 1].any()


@pytest.mark.parametrize("n_visits", [61, 62, 63, 64, 70, 124, 125, 130])
def test_more_visits_than_a_word_has_bits(n_visits):
    subject, visit = gapped(40, n_visits, 0.9, seed=n_visits)
    order = np.random.default_rng(1).permutation(len(subject))
    check(subject[order], visit[order], n_visits)


@pytest.mark.parametrize("n_visits", [2, 62, 63, 124, 125, 187])
def test_patterns_that_differ_in_the_last_visit_alone_are_two(n_visits):
    visit = np.concatenate([np.arange(n_visits), np.arange(n_visits - 1)])
    subject = np.repeat([0, 1], [n_visits, n_visits - 1])
    assert len(check(subject, visit, n_visits).observed) == 2


def test_pair_counts_are_subjects_seen_at_both_visits():
    subject, visit = gapped(40, 4, 0.6)
    seen = np.zeros((40, 4), dtype=int)
    seen[subject, visit] = 1
    np.testing.assert_array_equal(find_patterns(subject, visit, 4).pair_counts(), seen.T @ seen)
