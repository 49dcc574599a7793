"""`crosscheck`: the same model by statsmodels' `MixedLM`; the only file that talks to it."""

import warnings
from typing import Any, Final

import numpy as np

from aibmd.errors import MissingExtraError
from aibmd.fitting.covariance_tables import effects_terms
from aibmd.fitting.crosscheck_result import Crosscheck, Difference
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.formatting import format_number
from aibmd.linalg.symmetric import FloatArray

# Below this share of the residual variance MixedLM returns coefficients of exactly zero
# (statsmodels issue 10239); its own limit is 1e-10.
_VANISHING: Final = 1e-9
_VANISHED: Final = (
    "MixedLM ended at a random-effects variance of zero, where it returns coefficients of exactly "
    "0.0, converged or not (statsmodels issue 10239): not compared"
)


def crosscheck(fit: MixedFit) -> Crosscheck:
    """Refit with statsmodels' `MixedLM` and tabulate what differs.

    Answers whether a program that shares no code with this one finds the same maximum, where it
    can express the model: random effects of the subject with a full covariance and independent
    errors of one variance; compound symmetry with a positive covariance is its random intercept.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    Crosscheck
        ``.agrees`` (None where nothing was compared), ``.reason`` where the model is not
        expressible, ``.to_frame()``; it prints.

    Raises
    ------
    MissingExtraError
        statsmodels is not installed; the message names the command.

    Notes
    -----
    MixedLM has no degrees of freedom and only model-based standard errors, so those are
    compared whatever the fit's ``vcov`` and ``df_method``. The response is divided by its
    residual SD first: MixedLM's limits are absolute, and BMD in g/cm2 has variances of 1e-4. The
    log-likelihood is taken back to the user's unit.

    Agreement misleads as proof of a good model: both programs fitted the same one. Where they
    differ, look at the log-likelihood: the higher one is nearer the maximum. MixedLM stops short
    on ordinary data, and near a variance of zero returns coefficients of exactly zero
    (statsmodels issue 10239), which is said and not compared.

    MixedLM takes most of the time, in proportion to the number of women: about a second for two
    hundred, ten for two thousand. It shows no progress; a model it cannot express is answered
    at once.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> aibmd.crosscheck(aibmd.fit_mmrm("bmd ~ arm * visit", hip)).is_expressible
    False
    """
    reason = _why_not(fit)
    if reason:
        return Crosscheck(reason)
    model, result, said = _refit(fit)
    if result is None:
        return Crosscheck(notes=said)
    if _has_vanished(result):
        return Crosscheck(notes=(*said, _VANISHED))
    found = (*_compare_loglik(fit, model, result), *_compare_coefficients(fit, model, result))
    return Crosscheck(
        "", (*found, *_compare_covariance(fit, result)), (*said, _own_se(fit, result))
    )


def _why_not(fit: MixedFit) -> str:
    """The first thing MixedLM has no words for."""
    spec = fit.spec
    for name in ("weights", "sampling_weights", "group", "repeated", "residual_group"):
        if getattr(spec, name) is not None:
            return f"MixedLM has no {name.replace('_', ' ')} ({name}={getattr(spec, name)!r})"
    if fit.choice is not None:
        if fit.choice.text != "cs":
            return (
                f"MixedLM has no covariance of the errors, such as {fit.choice.text!r} "
                f"({fit.choice.title}); of those it has 'cs' alone, as a random intercept"
            )
        if fit.engine.theta[1] <= 0:
            return "a random intercept cannot have the negative covariance estimated here"
        return ""
    if spec.residual != "independent":
        return f"MixedLM has independent errors only, not residual={spec.residual!r}"
    terms = effects_terms(fit)
    if len(terms) > 1 or terms[0][0].grouping != spec.subject:
        return "MixedLM is compared for effects of the subject alone, not for nested groupings"
    if terms[0][0].is_diagonal and len(terms[0][0].columns) > 1:
        return "MixedLM's conjugate gradients do not hold covariances of random effects at zero"
    return ""


def _effects(fit: MixedFit) -> tuple[FloatArray, FloatArray, float]:
    """Z of all rows, G and the residual variance."""
    if fit.choice is not None:
        variance, covariance = fit.engine.theta
        return np.ones((fit.n_obs, 1)), np.array([[covariance]]), float(variance - covariance)
    (term, theta), *_ = effects_terms(fit)
    return fit.features.random[0].Z, term.matrix(theta), float(fit.engine.theta[-1])


def _refit(fit: MixedFit) -> tuple[Any, Any, tuple[str, ...]]:
    """MixedLM on the response in residual SDs; no result where it breaks down."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError as error:
        raise MissingExtraError.for_extra("statsmodels", "stats") from error
    rows, unit = fit.design.rows, fit.engine.least_squares.scale
    X = fit.design.columns_of(np.arange(fit.n_obs))
    model = MixedLM(rows.y / unit, X, groups=rows.subject, exog_re=_effects(fit)[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = model.fit(reml=fit.spec.method == "reml", method="cg", gtol=1e-7, maxiter=2000)
        except (np.linalg.LinAlgError, ValueError) as error:
            return model, None, (f"MixedLM broke down: {error}",)
    said = dict.fromkeys(f"MixedLM warned: {warning.message}" for warning in caught)
    return model, result, tuple(said)


def _has_vanished(result: Any) -> bool:
    smallest = np.linalg.eigvalsh(np.atleast_2d(result.cov_re_unscaled))[0]
    return bool(smallest < _VANISHING or (result.fe_params == 0.0).any())


def _compare_loglik(fit: MixedFit, model: Any, result: Any) -> tuple[Difference, ...]:
    """At MixedLM's optimum, and by MixedLM's formula at our estimates."""
    is_reml, scale = fit.spec.method == "reml", fit.engine.least_squares
    n = fit.n_obs - (scale.n_coefficients if is_reml else 0)
    undo = n * np.log(scale.scale)
    found = [("at its own optimum", float(result.llf) - undo)]
    _, G, residual = _effects(fit)
    if np.linalg.eigvalsh(G)[0] > _VANISHING * residual:
        from statsmodels.regression.mixed_linear_model import MixedLMParams

        ours = MixedLMParams.from_components(
            fe_params=np.zeros(len(fit.params)), cov_re=G / residual
        )
        found.append(("at our estimates", float(model.loglike(ours)) - undo))
    return tuple(
        Difference("log-likelihood", name, fit.llf, value, value - fit.llf) for name, value in found
    )


def _compare_coefficients(fit: MixedFit, model: Any, result: Any) -> list[Difference]:
    unit, names = fit.engine.least_squares.scale, fit.coding.kept_columns
    ours, theirs = fit.inference.beta, np.asarray(result.fe_params) * unit
    our_se = np.sqrt(np.diagonal(fit.inference.Phi))
    information = -model.hessian(result.params_object)[0][: len(ours), : len(ours)]
    their_se = np.sqrt(np.diagonal(np.linalg.inv(information))) * unit
    pairs = zip(names, ours.tolist(), theirs.tolist(), our_se.tolist(), strict=True)
    found = [Difference("estimate", name, a, b, (b - a) / se) for name, a, b, se in pairs]
    pairs_se = zip(names, our_se.tolist(), their_se.tolist(), strict=True)
    return found + [Difference("std_error", name, a, b, b / a - 1.0) for name, a, b in pairs_se]


def _own_se(fit: MixedFit, result: Any) -> str:
    """MixedLM prints another standard error than (X'V^-1 X)^-1 has; say how far off."""
    printed = np.asarray(result.bse_fe) * fit.engine.least_squares.scale
    ratio = printed / np.sqrt(np.diagonal(fit.inference.Phi))
    return (
        "standard errors are those of (X'V^-1 X)^-1 in both; what MixedLM prints inverts the "
        "observed information of coefficients and covariance parameters together, here up to "
        f"{format_number(100 * float(np.abs(ratio - 1).max()), 2)} % away"
    )


def _compare_covariance(fit: MixedFit, result: Any) -> list[Difference]:
    _, G, residual = _effects(fit)
    square = fit.engine.least_squares.scale**2
    their_G = np.atleast_2d(np.asarray(result.cov_re)) * square
    their_residual = float(result.scale) * square
    if fit.choice is not None:
        total = float(G[0, 0]) + residual
        pairs = [(total, their_G[0, 0] + their_residual, total), (G[0, 0], their_G[0, 0], total)]
    else:
        sd = np.sqrt(np.diagonal(G))
        pairs = [(G[u, v], their_G[u, v], sd[u] * sd[v]) for u, v in effects_terms(fit)[0][0].pairs]
        pairs.append((residual, their_residual, residual))
    return [
        Difference(
            "covariance", name, float(a), float(b), float((b - a) / size) if size else np.nan
        )
        for name, (a, b, size) in zip(fit.engine.parameter_names, pairs, strict=True)
    ]
