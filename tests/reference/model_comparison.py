"""Every number of a stored model beside ours: criterion, parameters, blocks, tests, means."""

import compared
import numpy as np
import pandas as pd
import peer_fits
import stored
from compared import WORDS, agree, largest, relative
from scipy.linalg import block_diag

import aibmd

tol = compared.tol
_SECOND = {"kenward_roger_second": "kenward_roger_second_order"}


def requested(block):
    """(df_method, information, vcov) of ours that ask for a stored block."""
    df_method = _SECOND.get(block.vcov_method, block.df_method)
    vcov = block.vcov_method if block.vcov_method.startswith("CR") else "model"
    information = "expected" if block.information == "expected" else "observed"
    return df_method, information, vcov


def fit_of(model, block=None):
    return peer_fits.fit(model.file, model.key, *(requested(block) if block else ()))


def tolerance(kind, quantity):
    return getattr(tol, f"{kind}_{quantity}")


def positions(model, fit, names):
    """Where R's coefficient names stand among ours."""
    spelled = [stored.formulaic_name(n, model.factors) for n in names]
    return [stored.position(name, fit.params.index) for name in spelled]


def compare_loglik(peer, kind, model, value=None):
    want = model.loglik if value is None else value
    agree(peer, WORDS["LOGLIK"], abs(fit_of(model).llf - want), tolerance(kind, "LOGLIK"))


def compare_coefficients(peer, kind, model, fit, table, df=True):
    """Estimates, standard errors, df and p of one table."""
    at = positions(model, fit, table["name"])
    ours = fit.params.iloc[at].to_numpy()
    quantities = {
        "ESTIMATE_IN_SE": largest((ours - table["estimate"]) / table["se"]),
        "SE": relative(fit.bse.iloc[at], table["se"]),
    }
    if df:
        quantities["DF"] = relative(fit.df.iloc[at], table["df"])
        p = table["p"].to_numpy(float)
        seen = p > 1e-300
        quantities["P_VALUE"] = relative(fit.pvalues.iloc[at][seen], p[seen])
    for quantity, difference in quantities.items():
        agree(peer, WORDS[quantity], difference, tolerance(kind, quantity))


def compare_vcov(peer, kind, model, fit, want, names):
    """The whole coefficient covariance, each element beside its two variances."""
    at = positions(model, fit, names)
    got = fit.cov_params().to_numpy()[np.ix_(at, at)]
    sd = np.sqrt(np.diagonal(want))
    agree(peer, WORDS["VCOV"], largest((got - want) / np.outer(sd, sd)), tolerance(kind, "SE") * 2)


def compare_type3(peer, kind, fit, table, with_df=True):
    compared.compare_tests(peer, aibmd.anova(fit, type="III"), table, kind, with_df)


def compare_theta(peer, model, tolerance_in_se):
    """Covariance parameters, in the standard errors that the stored information gives them."""
    want = np.asarray(model.numbers["theta"], dtype=float)
    got = fit_of(model).covariance_parameters
    assert len(got) == len(want)
    information = np.asarray(model.numbers["theta_information_observed"], dtype=float)
    se = np.sqrt(np.diagonal(np.linalg.inv(information)))
    agree(peer, WORDS["THETA_IN_SE"], largest((got.to_numpy() - want) / se), tolerance_in_se)


def compare_information(peer, model, which, limit):
    """The information matrix of the covariance parameters, in the user's units."""
    engine = fit_of(model).engine
    got = getattr(engine.derivatives, which) / np.outer(engine.theta_units, engine.theta_units)
    want = np.asarray(model.numbers[f"theta_information_{which}"], dtype=float)
    sd = np.sqrt(np.diagonal(want))
    words = f"{which} {WORDS['INFORMATION']}"
    agree(peer, words, largest((got - want) / np.outer(sd, sd)), limit)


def compare_covariance(peer, kind, model):
    """Visit or cell covariance, of each group."""
    got = fit_of(model).covariance
    for level, want in model.covariance.items():
        ours = got[level] if isinstance(got, dict) else got
        difference = largest(ours.to_numpy() - want) / largest(want)
        agree(peer, WORDS["COVARIANCE"], difference, tolerance(kind, "COVARIANCE"))


def compare_effects(peer, kind, model):
    """Covariance of the random effects and the residual variance."""
    got = fit_of(model).random_covariance
    for grouping, want in _joined(model.random_covariance).items():
        ours = (got[_nearest(grouping, got)] if isinstance(got, dict) else got).to_numpy()
        words = "covariance of the random effects, of the largest element"
        agree(peer, words, largest(ours - want) / largest(want), tolerance(kind, "COVARIANCE"))
    if isinstance(model.residual_variance, float):
        difference = relative(fit_of(model).residual_variance, model.residual_variance)
        agree(peer, "residual variance, relative", difference, tolerance(kind, "COVARIANCE"))


def _joined(random_covariance):
    """lme4 calls the second uncorrelated term of `subject` subject.1."""
    out = {}
    for name, matrix in random_covariance.items():
        grouping = name.removesuffix(".1")
        out[grouping] = block_diag(out[grouping], matrix) if grouping in out else matrix
    return out


def _nearest(grouping, got):
    wanted = sorted(grouping.split(":"))
    return next(name for name in got if sorted(name.split(":")) == wanted)


def compare_means(peer, kind, fit, table, contrasts=None):
    """Marginal means over the last grid the peer used, and later minus earlier levels."""
    keys = list(table.columns[: list(table.columns).index("estimate")])
    over, by = keys[:1], keys[1:] or None
    numeric = {k: sorted(set(table[k])) for k in keys if pd.api.types.is_numeric_dtype(table[k])}
    means = aibmd.emmeans(fit, over=over, by=by, at=numeric or None)
    _compare_rows(peer, kind, means.to_frame(), table, keys)
    if contrasts is not None:
        ours = aibmd.contrast(means, "revpairwise").to_frame()
        keys = list(contrasts.columns[: list(contrasts.columns).index("estimate")])
        if not numeric:
            _compare_rows(peer, kind, ours, contrasts, keys)


def _compare_rows(peer, kind, got, want, keys):
    labels = list(zip(*(got[k].astype(str) for k in keys), strict=True))
    at = [labels.index(row) for row in zip(*(want[k].astype(str) for k in keys), strict=True)]
    assert len(got) == len(want)
    got = got.iloc[at].reset_index(drop=True)
    pairs = {
        "ESTIMATE_IN_SE": largest((got["estimate"] - want["estimate"]) / want["se"]),
        "SE": relative(got["std_error"], want["se"]),
        "DF": relative(got["df"], want["df"]),
    }
    for quantity, difference in pairs.items():
        words = "means and contrasts: " + WORDS[quantity]
        agree(peer, words, difference, tolerance(kind, quantity))
