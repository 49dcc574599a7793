"""Defects of inference: information, Kenward-Roger, sandwiches, degrees of freedom, p-values.

Each replaces one function or method of the engine by a wrong one, as a plausible mistake would.
"""

from dataclasses import replace

import numpy as np
from validation.sabotage import MMRM, POLISHED, defect, patch


@defect(POLISHED, "model-observed")
def expected_for_observed_information():
    from aibmd.inference import build

    right = build.compute_theta_vcov
    patch.setattr(build, "compute_theta_vcov", lambda fit, kind: right(fit, "expected"))


@defect(POLISHED, "model-expected")
def observed_for_expected_information():
    from aibmd.inference import build

    right = build.compute_theta_vcov
    patch.setattr(build, "compute_theta_vcov", lambda fit, kind: right(fit, "observed"))


@defect(POLISHED, "kenward_roger-observed")
def kenward_roger_covariance_not_adjusted():
    from aibmd.inference import kenward_roger

    patch.setattr(kenward_roger, "compute_adjusted_vcov", lambda fit, *rest: fit.Phi)


@defect(POLISHED, "ar1_reml-kenward_roger-kenward_roger_second")
def second_order_of_kenward_roger_left_out():
    from aibmd.inference import kenward_roger

    right = kenward_roger.compute_adjusted_vcov
    wrong = lambda fit, W, second_order=False: right(fit, W)  # noqa: E731
    patch.setattr(kenward_roger, "compute_adjusted_vcov", wrong)


@defect(MMRM, "type_three[fev-mmrm_us_reml-kenward")
def kenward_roger_f_not_scaled():
    from aibmd.inference import kenward_roger

    right = kenward_roger.compute_f_scaling
    patch.setattr(
        kenward_roger, "compute_f_scaling", lambda *args: replace(right(*args), scaling=1.0)
    )


@defect(f"{MMRM} {POLISHED}", "CR2")
def cr2_root_replaced_by_identity():
    from aibmd.inference import sandwich

    right = sandwich._adjust
    patch.setattr(
        sandwich,
        "_adjust",
        lambda X, count, Phi, squares, kind: (
            None if kind == "CR2" else right(X, count, Phi, squares, kind)
        ),
    )


@defect(POLISHED, "CR3")
def cr3_with_the_root_of_cr2():
    from aibmd.inference import sandwich

    right = sandwich._adjust
    patch.setattr(
        sandwich,
        "_adjust",
        lambda X, count, Phi, squares, kind: right(
            X, count, Phi, squares, "CR2" if kind == "CR3" else kind
        ),
    )


@defect(MMRM, "test_coefficients")
def satterthwaite_gradient_sign():
    """One element of the gradient has the wrong sign."""
    from aibmd.inference import satterthwaite

    right = satterthwaite.compute_df

    def wrong(L, Phi, Phi_gradient, theta_vcov):
        flipped = np.array(Phi_gradient)
        flipped[:1] *= -1.0
        return right(L, Phi, flipped, theta_vcov)

    patch.setattr(satterthwaite, "compute_df", wrong)


@defect("test_boundary_against_peers")
def boundary_parameters_kept_in_w():
    """A variance of zero counts as if it could move both ways."""
    from aibmd.inference import build

    def wrong(fit, information):
        return np.linalg.inv(getattr(fit.derivatives, information))

    patch.setattr(build, "compute_theta_vcov", wrong)


@defect(MMRM, "test_coefficients")
def df_from_maximum_likelihood_under_reml():
    from aibmd.inference import build

    right = build.compute_theta_vcov

    def wrong(fit, information):
        W = right(fit, information)
        return np.linalg.inv(fit.derivatives.known_mean) if fit.method == "reml" else W

    patch.setattr(build, "compute_theta_vcov", wrong)


@defect(MMRM, "between_within")
def between_within_counts_every_column_between():
    from aibmd.inference import build

    right = build.compute_column_df
    patch.setattr(
        build, "compute_column_df", lambda X, subject: np.full(X.shape[1], right(X, subject).min())
    )


@defect("test_means_adjusted test_means_against_peers test_mmrm_against_peers", "test_coefficients")
def p_values_of_one_side():
    from aibmd.fitting import mixed_fit

    right = mixed_fit.compute_t_p_value
    patch.setattr(mixed_fit, "compute_t_p_value", lambda t, df: 0.5 * right(t, df))
