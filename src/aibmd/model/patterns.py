"""Subjects grouped by the visits they have: all subjects of a pattern share V_i."""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class VisitPatterns:
    """Which visits each group of subjects has, and where their rows lie.

    Attributes
    ----------
    observed : (K, m) bool array
        One row per pattern.
    n_subjects : (K,) int array
    rows : tuple of (n_k, k_k) int arrays
        Row numbers in the data: one line per subject, visits in order. A subject's
        second record is the visit it belongs to, never "visit 2".
    """

    observed: BoolArray
    n_subjects: IntArray
    rows: tuple[IntArray, ...]

    @property
    def n_rows(self) -> int:
        """Number of observations."""
        return int(sum(block.size for block in self.rows))

    def pair_counts(self) -> IntArray:
        """(m, m): number of subjects seen at both visits."""
        seen = self.observed.astype(float)
        return np.asarray(np.rint((seen * self.n_subjects[:, None]).T @ seen), dtype=np.intp)


def find_patterns(subject: IntArray, visit: IntArray, n_visits: int) -> VisitPatterns:
    """Group rows by pattern.

    Parameters
    ----------
    subject, visit : (n,) int arrays
        Codes from zero; a subject has a visit at most once.
    n_visits : int
    """
    order = _subject_visit_order(subject, visit, n_visits)
    starts = np.flatnonzero(np.diff(subject[order], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    keys = _pattern_keys(visit[order], starts, n_visits)
    by_pattern = np.argsort(keys, kind="stable")
    in_order = keys[by_pattern]
    first = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
    members = np.split(by_pattern, first[1:])
    counts = np.diff(first, append=len(keys))
    rows = tuple(order[starts[block][:, None] + np.arange(lengths[block[0]])] for block in members)
    observed = np.zeros((len(first), n_visits), dtype=bool)
    for pattern, block in enumerate(rows):
        observed[pattern, visit[block[0]]] = True
    return VisitPatterns(observed, counts.astype(np.intp), rows)


def _subject_visit_order(subject: IntArray, visit: IntArray, n_visits: int) -> IntArray:
    key = subject * n_visits + visit
    if (np.diff(key) > 0).all():
        return np.arange(len(key))
    return np.argsort(key, kind="stable")


def _pattern_keys(visit: IntArray, starts: IntArray, n_visits: int) -> IntArray:
    """A whole number per subject, equal for equal sets of visits."""
    if n_visits <= 62:
        return np.bitwise_or.reduceat(np.left_shift(np.int64(1), visit.astype(np.int64)), starts)
    words = [_pattern_keys_of_word(visit, starts, word) for word in range((n_visits + 61) // 62)]
    return np.unique(np.column_stack(words), axis=0, return_inverse=True)[1]


def _pattern_keys_of_word(visit: IntArray, starts: IntArray, word: int) -> IntArray:
    place = visit.astype(np.int64) - 62 * word
    inside = (place >= 0) & (place < 62)
    bit = np.where(inside, np.left_shift(np.int64(1), np.clip(place, 0, 61)), 0)
    return np.bitwise_or.reduceat(bit, starts)
