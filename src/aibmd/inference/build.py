"""From a fitted engine to the inference its coefficients get."""

from contextlib import suppress

import numpy as np

from aibmd.errors import AibmdError, ConvergenceError
from aibmd.inference import kenward_roger
from aibmd.inference.between_within import compute_column_df
from aibmd.inference.coefficients import CoefficientInference
from aibmd.inference.options import KENWARD_ROGER, choose_df_method
from aibmd.inference.sandwich import compute_sandwich
from aibmd.linalg.symmetric import FloatArray, inverse_spd
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.design import Design
from aibmd.model.engine import EngineFit
from aibmd.model.subject_rows import iterate_subjects
from aibmd.vocabulary import DfMethod, Information, VcovMethod


def build_inference(
    fit: EngineFit,
    df_method: DfMethod | None,
    information: Information,
    vcov: VcovMethod = "model",
    design: Design | None = None,
    features: RowFeatures | None = None,
) -> CoefficientInference:
    """Equip a fit with a covariance for beta and a df rule.

    Parameters
    ----------
    fit : EngineFit
    df_method : str or None
    information : "observed" or "expected"
    vcov : "model", "CR0", "CR2" or "CR3"
    design, features
        The rows, for a sandwich and for between-within df.

    Raises
    ------
    AibmdError
        Unknown or impossible combination.
    ConvergenceError
        The information is not positive definite, so no df exist.
    """
    weighted = design is not None and design.rows.sampling_weights is not None
    chosen = choose_df_method(df_method, fit.method, vcov, weighted)
    if information not in ("observed", "expected"):
        raise AibmdError(f"information={information!r} is not 'observed' or 'expected'")
    scale, Phi = fit.least_squares, fit.at.Phi
    n, p = scale.n_rows, scale.n_coefficients
    sandwich, column_df = None, np.empty(0)
    if (vcov != "model" or chosen == "between_within") and (design is None or features is None):
        raise ValueError(f"vcov={vcov!r}, df_method={chosen!r} need the design and its features")
    if vcov != "model" and design is not None and features is not None:
        sandwich = compute_sandwich(iterate_subjects(design, features, fit), Phi, vcov)
    if chosen == "between_within" and design is not None:
        column_df = compute_column_df(design.columns_of(np.arange(n)), design.rows.subject)
    needs_theta = sandwich is None and (chosen == "satterthwaite" or chosen in KENWARD_ROGER)
    theta_vcov = compute_theta_vcov(fit, information) if needs_theta else np.empty((0, 0))
    Phi_gradient = Phi @ fit.derivatives.P @ Phi if needs_theta else np.empty((0, p, p))
    covariance = fit.Phi if sandwich is None else scale.to_user_vcov(sandwich.vcov)
    if chosen in KENWARD_ROGER:
        second_order = chosen == "kenward_roger_second_order"
        covariance = kenward_roger.compute_adjusted_vcov(fit, theta_vcov, second_order)
    return CoefficientInference(
        beta=fit.beta,
        vcov=covariance,
        Phi=fit.Phi,
        Phi_gradient=scale.to_user_vcov(Phi_gradient),
        theta_vcov=theta_vcov,
        df_method=chosen,
        information=information,
        residual_df=float(n - p),
        vcov_method=vcov,
        column_df=column_df,
        sandwich=sandwich,
        to_scaled=scale.basis.transform * scale.scale,
    )


def compute_theta_vcov(fit: EngineFit, information: Information) -> FloatArray:
    """Inverse information, where there is a maximum inside to take it at."""
    certificate, boundary = fit.certificate, fit.boundary
    if certificate.is_bounded and certificate.is_definite:
        with suppress(np.linalg.LinAlgError):
            is_observed = information == "observed"
            along = boundary.restrict(getattr(fit.derivatives, information), is_observed)
            return np.asarray(boundary.tangent @ inverse_spd(along) @ boundary.tangent.T)
    reason = "; ".join(certificate.messages) or "the information is not positive definite"
    raise ConvergenceError(
        f"no degrees of freedom exist for this fit: {reason}. Use {_simpler(fit)}, or "
        "df_method='residual' to see the estimates"
    )


def _simpler(fit: EngineFit) -> str:
    if fit.covariance.effects:
        return "fewer random effects or an independent residual (for example random='1')"
    return "a simpler covariance (for example covariance='cs')"
