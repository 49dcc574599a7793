"""From a design and a covariance to the form of the likelihood that fits them best."""

from dataclasses import dataclass

import numpy as np

from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.build import CovarianceChoice
from aibmd.model.covariance.effects import SumTerm
from aibmd.model.covariance.features import RandomPart, RowFeatures, cell_features
from aibmd.model.covariance.terms import CovarianceTerm, IndependentTerm
from aibmd.model.criterion import Criterion
from aibmd.model.design import Design, count_cells
from aibmd.model.effects_likelihood import EffectsCriterion
from aibmd.model.effects_products import collect_effects_products, effect_directions
from aibmd.model.pattern_likelihood import PatternCriterion, residual_moments
from aibmd.model.start import StartMoments, residual_cell_moments
from aibmd.model.subject_likelihood import SubjectCriterion, make_blocks
from aibmd.vocabulary import Method

# Beyond this many cells of visits, starting values do not look at them one by one.
_MANY_CELLS = 200


@dataclass(frozen=True, slots=True)
class SubjectOrder:
    """Rows sorted by subject.

    Attributes
    ----------
    order : (n,) int array
    starts : (S,) int array
        Where each subject begins in `order`.
    blocks : tuple of (S_k, k) int arrays
        Row numbers of subjects with k rows each, by k.
    """

    order: IntArray
    starts: IntArray
    blocks: tuple[IntArray, ...]


def order_by_subject(subject: IntArray, within: IntArray | None = None) -> SubjectOrder:
    """Sort rows by subject, and by `within` inside it."""
    is_sorted = within is None and bool((np.diff(subject) >= 0).all())
    keys = (subject,) if within is None else (within, subject)
    order = np.arange(len(subject)) if is_sorted else np.lexsort(keys)
    starts = np.flatnonzero(np.diff(subject[order], prepend=-1))
    lengths = np.diff(starts, append=len(order))
    blocks = tuple(order[starts[lengths == k][:, None] + np.arange(k)] for k in np.unique(lengths))
    return SubjectOrder(order, starts, blocks)


def pattern_criterion(
    design: Design, term: CovarianceTerm, choice: CovarianceChoice, method: Method
) -> tuple[PatternCriterion, StartMoments]:
    """The likelihood of scheduled visits, and moments to start from."""
    rows, cross = design.rows, design.cross
    if cross is None:
        raise ValueError("the design has no cross-products")
    n_groups = 1 if rows.group is None else len(rows.group.labels)
    n_repeated = 1 if rows.repeated is None else len(rows.repeated.labels)
    n_visits = len(rows.visits)
    if choice.left is None:
        n_repeated, n_visits = 1, n_repeated * n_visits
    cells = cell_features(n_groups, n_repeated, n_visits)
    return (
        PatternCriterion(cross, term, cells, method),
        StartMoments(cells, *residual_moments(cross)),
    )


def subject_criterion(
    design: Design, term: CovarianceTerm, features: RowFeatures, method: Method
) -> tuple[Criterion, StartMoments]:
    """The likelihood of rows at times of their own, or of random effects."""
    rows, Z = design.rows, design.Z
    if Z is None:
        raise ValueError("the design has no scaled rows")
    if rows.weights is not None and features.random:
        features = features.scale_random(np.sqrt(rows.weights))
    by_subject = order_by_subject(rows.subject)
    start = _start_moments(design, features, by_subject)
    if _is_effects_only(term):
        assert isinstance(term, SumTerm)
        parts = features.random
        order, starts = by_subject.order, by_subject.starts
        products = collect_effects_products(Z, parts, order, starts, rows.sampling_weights)
        directions = effect_directions(term, parts, order, starts)
        return EffectsCriterion(design.least_squares, products, term, directions, method), start
    blocks = make_blocks(Z, features, by_subject.blocks, rows.sampling_weights)
    return SubjectCriterion(design.least_squares, blocks, term, method), start


def _is_effects_only(term: CovarianceTerm) -> bool:
    return isinstance(term, SumTerm) and isinstance(term.parts[-1], IndependentTerm)


def _start_moments(design: Design, features: RowFeatures, by_subject: SubjectOrder) -> StartMoments:
    rows, Z = design.rows, design.Z
    assert Z is not None
    n_groups = 1 if rows.group is None else len(rows.group.labels)
    n_repeated = 1 if rows.repeated is None else len(rows.repeated.labels)
    few = len(rows.visits) > 0 and count_cells(rows) <= _MANY_CELLS
    n_visits = len(rows.visits) if few else 1
    code = rows.visit if few else np.zeros_like(rows.visit)
    if rows.repeated is not None:
        code = rows.repeated.codes * n_visits + code
    if rows.group is not None:
        code = rows.group.codes * (n_repeated * n_visits) + code
    n_cells = n_groups * n_repeated * n_visits
    moments = residual_cell_moments(Z[:, -1], code, by_subject.blocks, n_cells)
    return StartMoments(
        cell_features(n_groups, n_repeated, n_visits),
        *moments,
        distance=_typical_distance(rows.time, by_subject),
        effect_sizes=tuple(_mean_square(part) for part in features.random),
    )


def _typical_distance(time: FloatArray | None, by_subject: SubjectOrder) -> float:
    """Median gap between neighbouring rows of a subject."""
    if time is None:
        return 1.0
    gaps = [np.diff(np.sort(time[rows], axis=1), axis=1).ravel() for rows in by_subject.blocks]
    positive = np.concatenate(gaps)
    positive = positive[positive > 0]
    return float(np.median(positive)) if len(positive) else 1.0


def _mean_square(part: RandomPart) -> FloatArray:
    size = np.mean(part.Z**2, axis=0)
    return np.asarray(np.where(size > 0, size, 1.0))
