"""Engine defects, switched in by name from tests only: none is reachable from the product.

Each replaces one function or method of the engine by a wrong one, as a plausible mistake would.
"""

from dataclasses import replace

import numpy as np
import pytest
from validation import shifts

_patch = pytest.MonkeyPatch()
DEFECTS = {}


def defect(tests):
    """Register a defect with the test files that are run against it."""

    def register(function):
        DEFECTS[function.__name__] = (function, tests.split())
        return function

    return register


def switch_in(name):
    """`shift:file:quantity` or `defect:name`, for the rest of this process."""
    kind, _, what = name.partition(":")
    if kind == "shift":
        shifts.shift(*what.split(":"))
    else:
        DEFECTS[what][0]()


MMRM, POLISHED = "test_mmrm_against_peers", "test_polished_against_engine"


@defect(MMRM)
def reml_constant():
    """The restricted likelihood keeps N log 2 pi where N - p belong."""
    from aibmd.model.least_squares import LeastSquares

    right = LeastSquares.to_user_loglik

    def wrong(self, loglik, method):
        off = 0.5 * self.n_coefficients * np.log(2 * np.pi) if method == "reml" else 0.0
        return right(self, loglik, method) - off

    _patch.setattr(LeastSquares, "to_user_loglik", wrong)


@defect(POLISHED)
def expected_for_observed_information():
    from aibmd.inference import build

    right = build.compute_theta_vcov
    _patch.setattr(build, "compute_theta_vcov", lambda fit, kind: right(fit, "expected"))


@defect(POLISHED)
def observed_for_expected_information():
    from aibmd.inference import build

    right = build.compute_theta_vcov
    _patch.setattr(build, "compute_theta_vcov", lambda fit, kind: right(fit, "observed"))


@defect(POLISHED)
def kenward_roger_covariance_not_adjusted():
    from aibmd.inference import kenward_roger

    _patch.setattr(kenward_roger, "compute_adjusted_vcov", lambda fit, *rest: fit.Phi)


@defect(POLISHED)
def second_order_of_kenward_roger_left_out():
    from aibmd.inference import kenward_roger

    right = kenward_roger.compute_adjusted_vcov
    _patch.setattr(kenward_roger, "compute_adjusted_vcov", lambda fit, W, second=False: right(fit, W))


@defect(MMRM)
def kenward_roger_f_not_scaled():
    from aibmd.inference import kenward_roger

    right = kenward_roger.compute_f_scaling
    _patch.setattr(
        kenward_roger, "compute_f_scaling", lambda *args: replace(right(*args), scaling=1.0)
    )


@defect(MMRM)
def visits_reindexed():
    """The k-th record of a subject is taken for her k-th visit."""
    from aibmd.model.rows import AnalysedRows

    right = AnalysedRows.__post_init__

    def wrong(self):
        order = np.lexsort((self.visit, self.subject))
        new = np.r_[True, np.diff(self.subject[order]) != 0]
        rank = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
        visit = np.empty_like(self.visit)
        visit[order] = rank
        if self.repeated is None and len(self.visits):
            object.__setattr__(self, "visit", visit)
        right(self)

    _patch.setattr(AnalysedRows, "__post_init__", wrong)


@defect(MMRM)
def weights_not_applied():
    from aibmd.model import design

    _patch.setattr(design, "_apply_weights", lambda X, rows: (X, rows.y, 0.0))


@defect(MMRM)
def log_weights_left_out_of_the_constant():
    from aibmd.model import design

    right = design._apply_weights
    _patch.setattr(design, "_apply_weights", lambda X, rows: (*right(X, rows)[:2], 0.0))


@defect(f"{MMRM} {POLISHED}")
def cr2_root_replaced_by_identity():
    from aibmd.inference import sandwich

    right = sandwich._adjust
    _patch.setattr(
        sandwich,
        "_adjust",
        lambda X, count, Phi, squares, kind: (
            None if kind == "CR2" else right(X, count, Phi, squares, kind)
        ),
    )


@defect(POLISHED)
def cr3_with_the_root_of_cr2():
    from aibmd.inference import sandwich

    right = sandwich._adjust
    _patch.setattr(
        sandwich,
        "_adjust",
        lambda X, count, Phi, squares, kind: right(
            X, count, Phi, squares, "CR2" if kind == "CR3" else kind
        ),
    )


@defect(POLISHED)
def curvature_of_sigma_left_out_of_the_observed_information():
    """Second derivatives of V are dropped from (M6)."""
    from aibmd.model.pattern_likelihood import PatternCriterion
    from aibmd.model.subject_likelihood import SubjectCriterion

    for criterion in (PatternCriterion, SubjectCriterion):
        _patch.setattr(criterion, "_curvature", lambda self, theta, *rest: None)


@defect(MMRM)
def satterthwaite_gradient_sign():
    """One element of the gradient has the wrong sign."""
    from aibmd.inference import satterthwaite

    right = satterthwaite.compute_df

    def wrong(L, Phi, Phi_gradient, theta_vcov):
        flipped = np.array(Phi_gradient)
        flipped[:1] *= -1.0
        return right(L, Phi, flipped, theta_vcov)

    _patch.setattr(satterthwaite, "compute_df", wrong)


@defect(POLISHED)
def kronecker_factors_swapped():
    """The structure of the sites is given to the visits and the other way round."""
    from aibmd.fitting import mmrm

    right = mmrm.parse_covariance

    def wrong(name):
        left, at, visits = name.partition("@")
        return right(f"{visits}@{left}" if at and left != visits else name)

    _patch.setattr(mmrm, "parse_covariance", wrong)


@defect(MMRM)
def group_parameters_shared():
    from aibmd.fitting import mmrm

    right = mmrm.build_visit_term
    _patch.setattr(
        mmrm, "build_visit_term", lambda choice, visits, repeated, group: right(
            choice, visits, repeated, None
        )
    )  # fmt: skip


@defect("test_boundary_against_peers")
def boundary_parameters_kept_in_w():
    """A variance of zero counts as if it could move both ways."""
    from aibmd.inference import build

    def wrong(fit, information):
        return np.linalg.inv(getattr(fit.derivatives, information))

    _patch.setattr(build, "compute_theta_vcov", wrong)


@defect(MMRM)
def df_from_maximum_likelihood_under_reml():
    from aibmd.inference import build

    right = build.compute_theta_vcov

    def wrong(fit, information):
        W = right(fit, information)
        return np.linalg.inv(fit.derivatives.known_mean) if fit.method == "reml" else W

    _patch.setattr(build, "compute_theta_vcov", wrong)


@defect(MMRM)
def times_rounded_to_visits():
    """sp_exp takes the number of the record for its time."""
    from aibmd.model.rows import AnalysedRows

    right = AnalysedRows.__post_init__

    def wrong(self):
        if self.time is not None:
            object.__setattr__(self, "time", np.arange(len(self.time)) % 4.0)
        right(self)

    _patch.setattr(AnalysedRows, "__post_init__", wrong)


@defect("test_random_effects_against_peers")
def effects_taken_as_uncorrelated():
    from aibmd.fitting import lmm

    right = lmm.parse_random
    _patch.setattr(
        lmm, "parse_random", lambda random, shape, *rest: right(random, "diagonal", *rest)
    )


@defect(POLISHED)
def residual_variance_shared_by_groups():
    from aibmd.fitting import lmm

    right = lmm.build_residual_term
    _patch.setattr(
        lmm, "build_residual_term", lambda residual, visits, levels: right(residual, visits, None)
    )


@defect(MMRM)
def between_within_counts_every_column_between():
    from aibmd.inference import build

    right = build.compute_column_df
    _patch.setattr(
        build, "compute_column_df", lambda X, subject: np.full(X.shape[1], right(X, subject).min())
    )


@defect("test_means_adjusted test_means_against_peers test_mmrm_against_peers")
def p_values_of_one_side():
    from aibmd.fitting import mixed_fit

    right = mixed_fit.compute_t_p_value
    _patch.setattr(mixed_fit, "compute_t_p_value", lambda t, df: 0.5 * right(t, df))
