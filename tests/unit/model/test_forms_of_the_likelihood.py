"""One likelihood, three forms: by pattern, by subject, by random effects."""

from dataclasses import astuple

import made_covariances as covariances
import made_criteria as made
import numpy as np
import pytest
from made_trials import make_trial

from aibmd.model.covariance.effects import RandomEffectsTerm, SumTerm
from aibmd.model.covariance.features import RandomPart
from aibmd.model.covariance.terms import IndependentTerm
from aibmd.model.criteria import subject_criterion
from aibmd.model.effects_likelihood import EffectsCriterion
from aibmd.model.features import build_features
from aibmd.model.pattern_likelihood import PatternCriterion
from aibmd.model.rows import FurtherColumns
from aibmd.model.subject_likelihood import SubjectCriterion

# Relative to the largest entry: the same sums in another order.
SAME = 1e-9
FORMULA = "y ~ arm * visit + x"
WEIGHTS = {
    "plain": {},
    "precision": {"weights": "w"},
    "sampling": {"sampling_weights": "s"},
    "both": {"weights": "w", "sampling_weights": "s"},
}
weightings = pytest.mark.parametrize("weighting", list(WEIGHTS))
methods = pytest.mark.parametrize("method", ["reml", "ml"])


def assert_close(found, want):
    size = max(abs(np.asarray(want)).max(), 1e-3)
    np.testing.assert_allclose(np.asarray(found) / size, np.asarray(want) / size, atol=SAME)


def assert_same_form(one, other, theta, to_other=lambda theta: theta, J=None):
    """`other` at `to_other(theta)`, where J is the derivative of that map."""
    theta_other = to_other(theta)
    J = np.eye(len(theta)) if J is None else J
    here, there = one.evaluate(theta), other.evaluate(theta_other)
    assert here.loglik == pytest.approx(there.loglik, rel=1e-12, abs=1e-10)
    assert_close(here.beta, there.beta)
    assert_close(here.Phi, there.Phi)
    found, want = one.differentiate(theta, here), other.differentiate(theta_other, there)
    assert_close(found.score, J.T @ want.score)
    for name in ("expected", "observed", "known_mean"):
        assert_close(getattr(found, name), J.T @ getattr(want, name) @ J)
    assert_close(found.P, np.tensordot(J.T, want.P, axes=1))
    A = np.random.default_rng(2).normal(size=(len(theta),) * 2)
    W = A @ A.T
    for second_order in (False, True):
        assert_close(
            one.kenward_roger_sums(theta, here, W, second_order),
            other.kenward_roger_sums(theta_other, there, J @ W @ J.T, second_order),
        )


@pytest.fixture(scope="module")
def sites():
    return made.make_sites()


@pytest.fixture(scope="module")
def trial():
    table = make_trial(7, 30, 4, gaps=0.25)
    rng = np.random.default_rng(1)
    table["w"] = rng.uniform(0.5, 2.0, len(table))
    table["s"] = rng.uniform(0.5, 2.0, 30)[table["who"]]
    return table


@methods
@weightings
@pytest.mark.parametrize("structure", [n for n in covariances.THETA if n != "sp_exp"])
def test_patterns_are_subjects(structure, weighting, method, trial):
    further = FurtherColumns(**WEIGHTS[weighting])
    pattern, _ = made.by_pattern(trial, FORMULA, structure, method, further)
    subject, _ = made.by_subject(trial, FORMULA, structure, method, further)
    assert isinstance(pattern, PatternCriterion)
    assert isinstance(subject, SubjectCriterion)
    theta = covariances.THETA[structure]
    assert_same_form(pattern, subject, theta)
    assert pattern.smallest_correlation(theta) == pytest.approx(
        subject.smallest_correlation(theta), rel=1e-9
    )


@pytest.mark.parametrize("covariance", ["un@ar1h", "un@un", "cs@ar1h", "csh@adh", "un@cs"])
@pytest.mark.parametrize("group", [None, "arm"])
def test_patterns_of_cells_are_subjects(covariance, group, sites):
    further = FurtherColumns(repeated="site", group=group, weights="w")
    pattern, _ = made.by_pattern(sites, FORMULA, covariance, "reml", further)
    subject, _ = made.by_subject(sites, FORMULA, covariance, "reml", further)
    theta = np.where(pattern.covariance.is_variance, 1.3, 0.2)
    if group is not None:
        theta[len(theta) // 2 :] *= 0.8
    assert_same_form(pattern, subject, theta)


def test_un_over_all_cells_by_pattern_is_by_subject(sites):
    further = FurtherColumns(repeated="site")
    pattern, _ = made.by_pattern(sites, FORMULA, "un", "reml", further)
    subject, _ = made.by_subject(sites, FORMULA, "un", "reml", further)
    theta = np.where(pattern.covariance.is_variance, 1.3, 0.2)
    assert len(theta) == 21
    assert_same_form(pattern, subject, theta)


def intercept_form(table, method, further):
    design = made.make_design(table, FORMULA, "rows", further)
    n = len(design.rows.y)
    parts = (RandomPart(np.ones((n, 1)), np.zeros(n, dtype=np.intp)),)
    term = SumTerm((RandomEffectsTerm(0, "who", ("intercept",), False), IndependentTerm()))
    features = build_features(design.rows, random=parts)
    effects, _ = subject_criterion(design, term, features, method)
    assert isinstance(effects, EffectsCriterion)
    return effects, made.effects_by_subject(design, term, parts, method)


@methods
@pytest.mark.parametrize("weighting", ["plain", "sampling"])
def test_a_random_intercept_is_compound_symmetry_with_a_positive_covariance(
    weighting, method, trial
):
    further = FurtherColumns(**WEIGHTS[weighting])
    effects, by_subject = intercept_form(trial, method, further)
    theta = np.array([0.4, 0.9])
    to_cs = np.array([[1.0, 1.0], [1.0, 0.0]])  # variance is the sum, covariance the intercept's
    pattern, _ = made.by_pattern(trial, FORMULA, "cs", method, further)
    subject, _ = made.by_subject(trial, FORMULA, "cs", method, further)
    assert_same_form(effects, pattern, theta, lambda t: to_cs @ t, to_cs)
    assert_same_form(effects, subject, theta, lambda t: to_cs @ t, to_cs)
    assert_same_form(by_subject, pattern, theta, lambda t: to_cs @ t, to_cs)


def effects_terms(rows, table):
    """Name -> (term, parts, theta) of random effects with independent errors."""
    n = len(rows.y)
    zero, site = np.zeros(n, dtype=np.intp), (table["site"] == "spine").to_numpy(dtype=np.intp)
    slope = RandomPart(np.column_stack([np.ones(n), table["time"]]), zero)
    nested = RandomPart(np.ones((n, 1)), site)
    nested_slope = RandomPart(slope.Z, site)
    names = ("intercept", "time")
    one = RandomEffectsTerm(0, "who", names, False)
    inner = RandomEffectsTerm(1, "who:site", ("intercept",), False)
    inner_slope = RandomEffectsTerm(1, "who:site", names, False)
    G = covariances.G_THETA
    residual = IndependentTerm()
    diagonal = RandomEffectsTerm(0, "who", names, True)
    return {
        "slope": (SumTerm((one, residual)), (slope,), np.append(G, 1.2)),
        "diagonal": (SumTerm((diagonal, residual)), (slope,), np.array([0.9, 0.3, 1.2])),
        "nested": (SumTerm((one, inner, residual)), (slope, nested), np.array([*G, 0.5, 1.2])),
        "nested slope": (
            SumTerm((one, inner_slope, residual)),
            (slope, nested_slope),
            np.array([*G, *(0.5 * G), 1.2]),
        ),
        "slope of rank one": (SumTerm((one, residual)), (slope,), np.array([0.9, 0.3, 0.1, 1.2])),
        "nothing": (SumTerm((one, residual)), (slope,), np.array([0.0, 0.0, 0.0, 1.2])),
    }


@methods
@weightings
@pytest.mark.parametrize(
    "name", ["slope", "diagonal", "nested", "nested slope", "slope of rank one", "nothing"]
)
def test_random_effects_are_subjects(name, weighting, method, sites):
    further = FurtherColumns(**WEIGHTS[weighting])
    design = made.make_design(sites, FORMULA, "rows", further)
    term, parts, theta = effects_terms(design.rows, sites)[name]
    features = build_features(design.rows, random=parts)
    effects, _ = subject_criterion(design, term, features, method)
    assert isinstance(effects, EffectsCriterion)
    assert_same_form(effects, made.effects_by_subject(design, term, parts, method), theta)


def test_random_effects_are_subjects_whatever_the_order_of_rows(sites):
    shuffled = sites.sample(frac=1, random_state=4)
    found = []
    for table in (sites, shuffled):
        design = made.make_design(table, FORMULA, "rows")
        term, parts, theta = effects_terms(design.rows, table)["nested slope"]
        features = build_features(design.rows, random=parts)
        criterion, _ = subject_criterion(design, term, features, "reml")
        at = criterion.evaluate(theta)
        found.append((at.loglik, criterion.differentiate(theta, at)))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-10)
    # In either order the basis is one of the same columns, up to signs: P is left out.
    for one, other in zip(astuple(found[0][1])[:4], astuple(found[1][1])[:4], strict=True):
        assert_close(one, other)


@pytest.mark.parametrize("theta", [[0.5, 0.6, 0.5, 1.0], [-0.1, 0.0, 0.5, 1.0]])
def test_a_g_that_is_not_positive_semidefinite_has_no_likelihood_of_effects(theta, sites):
    design = made.make_design(sites, FORMULA, "rows")
    term, parts, _ = effects_terms(design.rows, sites)["slope"]
    features = build_features(design.rows, random=parts)
    effects, _ = subject_criterion(design, term, features, "reml")
    assert effects.evaluate(np.array(theta)) is None
    assert effects.evaluate(np.array([0.5, 0.1, 0.5, 0.0])) is None
