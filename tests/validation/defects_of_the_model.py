"""Defects of the likelihood and of the covariance model.

Each replaces one function or method of the engine by a wrong one, as a plausible mistake would.
"""

import numpy as np
from validation.sabotage import MMRM, POLISHED, defect, patch


@defect(MMRM)
def reml_constant():
    """The restricted likelihood keeps N log 2 pi where N - p belong."""
    from aibmd.model.least_squares import LeastSquares

    right = LeastSquares.to_user_loglik

    def wrong(self, loglik, method):
        off = 0.5 * self.n_coefficients * np.log(2 * np.pi) if method == "reml" else 0.0
        return right(self, loglik, method) - off

    patch.setattr(LeastSquares, "to_user_loglik", wrong)


@defect(MMRM)
def visits_reindexed():
    """The k-th record of a subject is taken for her k-th visit."""
    from aibmd.model.rows import AnalysedRows

    right = AnalysedRows.__post_init__

    def wrong(self):
        order = np.lexsort((self.visit, self.subject))
        new = np.r_[True, np.diff(self.subject[order]) != 0]
        at = np.arange(len(order))
        rank = at - np.maximum.accumulate(np.where(new, at, 0))
        visit = np.empty_like(self.visit)
        visit[order] = rank
        if self.repeated is None and len(self.visits):
            object.__setattr__(self, "visit", visit)
        right(self)

    patch.setattr(AnalysedRows, "__post_init__", wrong)


@defect(MMRM, "weights")
def weights_not_applied():
    from aibmd.model import design

    patch.setattr(design, "_apply_weights", lambda X, rows: (X, rows.y, 0.0))


@defect(MMRM, "weights")
def log_weights_left_out_of_the_constant():
    from aibmd.model import design

    right = design._apply_weights
    patch.setattr(design, "_apply_weights", lambda X, rows: (*right(X, rows)[:2], 0.0))


@defect(POLISHED, "observed-fev_dense-ar1")
def curvature_of_sigma_left_out_of_the_observed_information():
    """Second derivatives of V are dropped from (M6)."""
    from aibmd.model.pattern_likelihood import PatternCriterion
    from aibmd.model.subject_likelihood import SubjectCriterion

    for criterion in (PatternCriterion, SubjectCriterion):
        patch.setattr(criterion, "_curvature", lambda self, theta, *rest: None)


@defect(POLISHED, "products-")
def kronecker_factors_swapped():
    """The structure of the sites is given to the visits and the other way round."""
    from aibmd.fitting import mmrm

    right = mmrm.parse_covariance

    def wrong(name):
        left, at, visits = name.partition("@")
        return right(f"{visits}@{left}" if at and left != visits else name)

    patch.setattr(mmrm, "parse_covariance", wrong)


@defect(MMRM, "by_arm")
def group_parameters_shared():
    from aibmd.fitting import mmrm

    right = mmrm.build_visit_term
    patch.setattr(
        mmrm, "build_visit_term", lambda choice, visits, repeated, group: right(
            choice, visits, repeated, None
        )
    )  # fmt: skip


@defect(MMRM, "spatial")
def times_rounded_to_visits():
    """sp_exp takes the number of the record for its time."""
    from aibmd.model.rows import AnalysedRows

    right = AnalysedRows.__post_init__

    def wrong(self):
        if self.time is not None:
            object.__setattr__(self, "time", np.arange(len(self.time)) % 4.0)
        right(self)

    patch.setattr(AnalysedRows, "__post_init__", wrong)


@defect("test_random_effects_against_peers", "rs_reml")
def effects_taken_as_uncorrelated():
    from aibmd.fitting import lmm

    right = lmm.parse_random
    patch.setattr(
        lmm, "parse_random", lambda random, shape, *rest: right(random, "diagonal", *rest)
    )


@defect(POLISHED, "residual_group")
def residual_variance_shared_by_groups():
    from aibmd.fitting import lmm

    right = lmm.build_residual_term
    patch.setattr(
        lmm, "build_residual_term", lambda residual, visits, levels: right(residual, visits, None)
    )
