"""The engine's criterion away from its maximum, for every structure, product, group and G + R.

Public fits supply the criterion; it is then asked at a theta that is not the optimum, and the
dense oracle is asked at the same theta, on the user's scale.
"""

from functools import cache

import dense
import numpy as np
import pandas as pd
import pytest
import small_designs
from validation import recorder

import aibmd

COVARIANCES = small_designs.covariances()
FORMULA = "y ~ arm + time + x"
SITES = {"subject": "1", "subject:site": "1"}
RANDOM = {
    "intercept": {"random": "1"},
    "slope": {"random": "1 + time"},
    "diagonal slope": {"random": "1 + time", "random_covariance": "diagonal"},
    "slope + ar1": {"random": "1 + time", "residual": "ar1", "visit": "visit"},
    "nested, variance by site": {"random": SITES, "residual_group": "site"},
}
# Of the largest entry: full matrices against sums over subjects; second derivatives of V are
# differences in the oracle, good to 1e-10.
LIMITS = {"log-likelihood": 1e-9, "observed": 1e-8}
SAME = 1e-9
CASES = [(name, method) for name in COVARIANCES for method in ("reml", "ml")]
cases = pytest.mark.parametrize(("name", "method"), CASES, ids=["-".join(c) for c in CASES])


def options(name):
    """What to ask the package for, to get that covariance."""
    if name in RANDOM:
        return aibmd.fit_lmm, RANDOM[name]
    structure, *further = name.split(" ", 1)
    visits = {"time": "time"} if "sp_exp" in structure else {"visit": "visit"}
    asked = {"covariance": structure, **visits}
    if "@" in structure:
        asked["repeated"] = "site"
    if further:
        asked |= {"group": "arm"} if further == ["by arm"] else {"weights": "w"}
    return aibmd.fit_mmrm, asked


@cache
def both(name, method):
    """The package's fit, and the dense model of the same rows."""
    rows, V, theta = COVARIANCES[name]
    model = small_designs.make_model(rows, V, theta, method)
    arm = np.where(rows.arm == 1, "b", "a")
    table = pd.DataFrame(
        {"subject": rows.subject, "site": [f"s{s}" for s in rows.site], "time": rows.time,
         "visit": [f"v{v}" for v in rows.visit], "arm": arm, "x": model.X[:, 3],
         "w": rows.weight, "y": model.y}
    )  # fmt: skip
    function, asked = options(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aibmd.fitting.mmrm.warn_about", lambda fit: None)
        patch.setattr("aibmd.fitting.lmm.warn_about", lambda fit: None)
        fit = function(FORMULA, table, subject="subject", method=method,
                       df_method="residual", **asked)  # fmt: skip
    names = ["Intercept", "arm[T.b]", "time", "x"]
    assert sorted(fit.params.index) == sorted(names)
    order = [names.index(n) for n in fit.params.index]
    return fit, dense.DenseModel(model.X[:, order], model.y, V, method), theta


@cache
def here(name, method):
    """The engine at theta: its scale, its evaluation, its derivatives; the oracle there."""
    fit, model, theta = both(name, method)
    engine = fit.engine
    assert len(engine.theta) == len(theta)
    scaled = theta / engine.theta_units
    at = engine.criterion.evaluate(scaled)
    return engine, at, engine.criterion.differentiate(scaled, at), model.at(theta)


def agree(quantity, got, want, limit=SAME):
    size = max(float(np.max(np.abs(want))), 1e-3)
    difference = float(np.max(np.abs(np.asarray(got) - want))) / size
    recorder.record("dense oracle", quantity, difference, limit)
    assert difference <= limit, f"{quantity}: {difference:.2g}"


@cases
def test_the_criterion_and_the_means(name, method):
    engine, at, _, want = here(name, method)
    scale = engine.least_squares
    agree("log-likelihood", scale.to_user_loglik(at.loglik, method), want.llf)
    agree("estimates", scale.to_user_beta(at.beta), want.beta)
    agree("covariance of the estimates", scale.to_user_vcov(at.Phi), want.Phi)


@cases
def test_score_and_information(name, method):
    engine, _, found, want = here(name, method)
    units = engine.theta_units
    agree("score", found.score / units, want.model.score(want.theta))
    both_units = np.outer(units, units)
    agree("expected information", found.expected / both_units, want.expected)
    agree("observed information", found.observed / both_units, want.observed, LIMITS["observed"])


@pytest.mark.parametrize("second_order", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("kind", ["expected", "observed"])
@pytest.mark.parametrize("name", COVARIANCES)
def test_kenward_roger_sums(name, kind, second_order):
    engine, at, found, want = here(name, "reml")
    units, scale = engine.theta_units, engine.least_squares
    W = np.linalg.inv(getattr(want, kind)) / np.outer(units, units)
    sums = engine.criterion.kenward_roger_sums(want.theta / units, at, W, second_order=second_order)
    inner = sums - np.einsum("kh,kab,bc,hcd->ad", W, found.P, at.Phi, found.P)
    got = scale.to_user_vcov(at.Phi + 2 * at.Phi @ inner @ at.Phi)
    order = "second" if second_order else "first"
    limit = LIMITS["observed"] if kind == "observed" or second_order else SAME
    expected = dense.adjusted_vcov(want.using(kind), second_order)
    agree(f"Kenward-Roger covariance, {order} order", got, expected, limit)


@pytest.mark.parametrize("kind", ["expected", "observed"])
@cases
def test_satterthwaite_gradients(name, method, kind):
    engine, at, found, want = here(name, method)
    Phi_gradient = engine.least_squares.to_user_vcov(at.Phi @ found.P @ at.Phi)
    W = np.linalg.inv(getattr(want, kind))
    for j in range(len(want.beta)):
        g = Phi_gradient[:, j, j] / engine.theta_units
        df = 2 * want.Phi[j, j] ** 2 / (g @ W @ g)
        row = np.eye(len(want.beta))[j]
        expected = dense.satterthwaite_df(want.using(kind), row)
        agree("Satterthwaite df", df, expected, LIMITS["observed"])
