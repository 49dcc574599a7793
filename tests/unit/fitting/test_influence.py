"""Leaving out a woman: exact at fixed covariance parameters, one step against true refits."""

import re

import numpy as np
import pandas as pd
import pytest
import stored
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError
from aibmd.fitting.left_out import leave_out


@pytest.fixture(scope="module")
def trial():
    table = make_trial(37, 16, 4)
    rng = np.random.default_rng(3)
    table["time"] = table["visit"].str[1:].astype(float) + rng.uniform(0, 0.5, len(table))
    table["w"] = rng.uniform(0.5, 2.0, len(table))
    level, slope = rng.normal(size=(2, 16))
    table["y"] += 2 * level[table["who"]] + slope[table["who"]] * table["time"]
    return table.sample(frac=1.0, random_state=3)


FITS = {
    "un": lambda d: fit("y ~ arm + visit", d),
    "toeph, ML": lambda d: fit("y ~ arm + visit", d, covariance="toeph", method="ml"),
    "ar1h, weights": lambda d: fit("y ~ arm + visit", d, covariance="ar1h", weights="w"),
    "cs by arm": lambda d: fit("y ~ arm + base", d, covariance="cs", group="arm"),
    "sp_exp": lambda d: fit("y ~ arm + base", d, covariance="sp_exp", time="time"),
    "slopes": lambda d: aibmd.fit_lmm("y ~ arm * time", d, subject="who"),
    "slopes, weights, ML": lambda d: aibmd.fit_lmm(
        "y ~ arm * time", d, subject="who", weights="w", method="ml"
    ),
    "intercept + ar1": lambda d: aibmd.fit_lmm(
        "y ~ arm * time", d, subject="who", random="1", residual="ar1", visit="visit"
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_at_fixed_covariance_parameters_it_is_the_refit_without_her(trial, name):
    """Estimates, covariance, score and information of the likelihood of the others."""
    make = FITS[name]
    found = make(trial)
    result = aibmd.influence(found, np.eye(len(found.params)))
    parts = list(leave_out(found))
    scores = np.concatenate([part.score for part in parts])
    informations = np.concatenate([part.information for part in parts])
    codes = np.concatenate([part.subject for part in parts])
    for who in (0, 5, 11):
        reduced = make(trial[trial["who"] != who]).engine
        units = reduced.theta_units
        at = reduced.criterion.evaluate(found.engine.theta / units)
        derivatives = reduced.criterion.differentiate(found.engine.theta / units, at)
        scale = reduced.least_squares
        beta, Phi = scale.to_user_beta(at.beta), scale.to_user_vcov(at.Phi)
        np.testing.assert_allclose(result.coefficients.loc[who], beta, rtol=1e-8, atol=1e-9)
        want = np.sqrt(np.diag(Phi))
        np.testing.assert_allclose(result.contrast_std_errors.loc[who], want, rtol=1e-8)
        ratio = np.linalg.det(Phi) / np.linalg.det(found.engine.Phi)
        assert result.by_subject.loc[who, "covariance_ratio"] == pytest.approx(ratio, rel=1e-7)
        line = int(np.flatnonzero(codes == found.design.rows.subjects.get_loc(who))[0])
        ours, theirs = found.engine.theta_units, units
        np.testing.assert_allclose(
            scores[line] / ours, derivatives.score / theirs, rtol=1e-6, atol=1e-7
        )
        np.testing.assert_allclose(
            informations[line] / np.outer(ours, ours),
            derivatives.expected / np.outer(theirs, theirs),
            rtol=1e-6,
            atol=1e-7,
        )


def test_leverage_adds_up_and_cooks_distance_is_the_shift_in_the_metric_of_phi(trial):
    found = fit("y ~ arm * visit", trial)
    result = aibmd.influence(found)
    assert result.by_subject["leverage"].sum() == pytest.approx(len(found.params), rel=1e-10)
    assert result.by_subject["n_rows"].tolist() == [
        int((trial["who"] == who).sum()) for who in result.by_subject.index
    ]
    shift = result.coefficients.to_numpy() - found.params.to_numpy()
    distance = np.einsum("sp,pq,sq->s", shift, np.linalg.inv(found.engine.Phi), shift)
    want = distance / len(found.params)
    np.testing.assert_allclose(result.by_subject["cooks_distance"], want, rtol=1e-8)
    assert result.to_frame()["cooks_distance"].is_monotonic_decreasing


def test_contrasts_are_linear_in_the_coefficients(trial):
    found = fit("y ~ arm + visit", trial)
    L = pd.DataFrame({"arm[T.b]": [1.0, 0.0], "visit[T.v4]": [0.0, 2.0]}, index=["arm", "late"])
    result = aibmd.influence(found, L)
    assert result.contrasts.columns.tolist() == ["arm", "late"]
    np.testing.assert_allclose(result.contrasts["arm"], result.coefficients["arm[T.b]"])
    want = 2 * result.coefficients_one_step["visit[T.v4]"]
    np.testing.assert_allclose(result.contrasts_one_step["late"], want)
    with pytest.raises(AibmdError, match="no coefficient of the fit"):
        aibmd.influence(found, pd.DataFrame({"dose": [1.0]}))


@pytest.fixture(scope="module")
def by_visit(trial):
    return fit("y ~ arm * visit", trial)


def test_estimates_are_taken_as_functions_named_by_their_identifiers(by_visit):
    means = aibmd.emmeans(by_visit, "arm", by="visit")
    result = aibmd.influence(by_visit, means)
    assert result.contrasts.columns.names == ["arm", "visit"]
    want = result.coefficients["Intercept"] + result.coefficients["arm[T.b]"]
    np.testing.assert_allclose(result.contrasts[("b", "v1")], want, rtol=1e-10)
    table = means.to_frame()
    np.testing.assert_allclose(result.estimates["estimate"], table["estimate"], rtol=1e-10)
    np.testing.assert_allclose(result.estimates["std_error"], table["std_error"], rtol=1e-10)
    assert aibmd.influence(by_visit, aibmd.emmeans(by_visit, "arm")).contrasts.columns.tolist() == [
        "a", "b",
    ]  # fmt: skip


def test_estimates_of_another_fit_are_refused(by_visit, trial):
    means = aibmd.emmeans(fit("y ~ arm + visit", trial), "arm")
    with pytest.raises(AibmdError, match="estimates of another fit"):
        aibmd.influence(by_visit, means)
    shifted = aibmd.emmeans(fit("y ~ arm * visit", trial.assign(y=trial["y"] + 1)), "arm")
    with pytest.raises(AibmdError, match="estimates of another fit"):
        aibmd.influence(by_visit, shifted)


def test_a_mean_that_is_not_estimable_stays_so_and_hides_no_other(trial):
    empty = trial[~((trial["arm"] == "b") & (trial["visit"] == "v4"))]
    with pytest.warns(aibmd.DataWarning, match="repeat earlier ones"):
        found = fit("y ~ arm * visit", empty, covariance="cs")
    result = aibmd.influence(found, aibmd.emmeans(found, "arm", by="visit"))
    assert result.contrasts[("b", "v4")].isna().all()
    assert np.isfinite(result.contrasts.drop(columns=[("b", "v4")])).all(axis=None)
    assert "not estimable" in repr(result)


def test_what_is_printed_is_the_largest_shift_in_standard_errors(by_visit):
    L = pd.DataFrame({"arm[T.b]": [1.0]}, index=["arm effect"])
    result = aibmd.influence(by_visit, L)
    shift = (result.contrasts["arm effect"] - by_visit.params["arm[T.b]"]) / by_visit.bse[
        "arm[T.b]"
    ]
    ranked = shift.abs().sort_values(ascending=False).index[:3]
    rows = [line for line in repr(result).splitlines() if "arm effect" in line]
    assert len(rows) == 3
    for who, row in zip(ranked, rows, strict=True):
        cells = row.split()
        assert cells[0] == str(who)
        shown = [by_visit.params["arm[T.b]"], by_visit.bse["arm[T.b]"]]
        assert [float(cell) for cell in cells[3:5]] == pytest.approx(shown, rel=1e-3)
        assert float(cells[5]) == pytest.approx(result.contrasts.loc[who, "arm effect"], rel=1e-3)
        assert float(cells[6]) == pytest.approx(shift[who], abs=0.006)


def test_without_functions_the_print_names_the_coefficient_each_woman_moves_most(by_visit):
    result = aibmd.influence(by_visit)
    first = result.to_frame().index[0]
    shift = ((result.coefficients.loc[first] - by_visit.params) / by_visit.bse).abs()
    row = repr(result).splitlines()[5].split()
    assert row[0] == str(first)
    assert row[2] == shift.idxmax()
    assert len(repr(result).splitlines()) < 20


# Largest error over subjects and parameters against refits by R, in SE: of coefficients at
# fixed covariance parameters, of coefficients and of covariance parameters after one step.
# Where data are balanced, coefficients do not depend on the covariance and the step is exact.
REFITS = {
    "sleepstudy_rs": (1e-5, 1e-5, 1e-4),
    "orthodont_ri": (1e-5, 1e-5, 1e-4),
    "orthodont_un": (1e-5, 1e-5, 1e-4),
    "orthodont_ar1h": (1e-5, 1e-5, 0.47),
    "irregular_rs": (0.020, 0.006, 0.049),
    "bmd_like_un": (0.20, 0.053, 0.038),
}


@pytest.mark.parametrize("key", REFITS)
def test_one_step_comes_this_close_to_refits_of_r(key):
    model = stored.load_model("leave_one_out", key)
    numbers = model.numbers
    if model.random:
        random = re.match(r"\((.*)\|", model.random).group(1)
        found = aibmd.fit_lmm(model.formula, model.data, subject=model.subject, random=random)
    else:
        found = aibmd.fit_mmrm(
            model.formula, model.data, subject=model.subject, visit=model.visit,
            covariance=model.structure,
        )  # fmt: skip
    result = aibmd.influence(found)
    names = [stored.formulaic_name(name, model.factors) for name in numbers["names"]]
    columns = [stored.position(name, list(found.params.index)) for name in names]
    labels = result.by_subject.index.astype(str).tolist()
    rows = [labels.index(str(label)) for label in numbers["left_out"]]
    beta, theta = np.array(numbers["beta_without"]), np.array(numbers["theta_without"])
    se = np.sqrt(np.diag(np.array(numbers["vcov"])))
    observed = found.engine.derivatives.observed
    theta_se = np.sqrt(np.diag(np.linalg.inv(observed))) * found.engine.theta_units
    fixed = np.abs(result.coefficients.to_numpy()[rows][:, columns] - beta) / se
    moved = np.abs(result.coefficients_one_step.to_numpy()[rows][:, columns] - beta) / se
    step = np.abs(result.covariance_parameters_one_step.to_numpy()[rows] - theta) / theta_se
    largest = tuple(float(errors.max()) for errors in (fixed, moved, step))
    assert all(got <= limit for got, limit in zip(largest, REFITS[key], strict=True)), largest


def _orthodont_slopes(table):
    return aibmd.fit_lmm("distance ~ age * sex", table, subject="subject", random="1 + age")


def _fev_un(table):
    formula = "fev1 ~ race + sex + armcd * avisit"
    return aibmd.fit_mmrm(formula, table, subject="usubjid", visit="avisit", df_method="normal")


def _calcium_un(table):
    formula = "bmd ~ group * C(visit)"
    return aibmd.fit_mmrm(formula, table, subject="person", visit="visit", df_method="normal")


# As above, by our own refits without the most influential subjects and some others; all
# subjects are in docs/methods/influence.md.
OWN_REFITS = {
    "orthodont": (_orthodont_slopes, "subject", (1e-5, 1e-5)),
    "fev": (_fev_un, "usubjid", (0.23, 0.026)),
    "calcium": (_calcium_un, "person", (0.018, 0.0016)),
}


def _read(name):
    if name == "orthodont":
        return stored.load_model("orthodont", "lmer_rs_reml").data
    if name == "fev":
        return pd.read_csv(stored.HERE / "data" / "fev.csv").dropna(subset="fev1")
    return pd.read_csv(stored.ROOT / "data" / "calcium" / "calcium.csv")


# Without M13 the best slopes and intercepts are perfectly correlated.
@pytest.mark.filterwarnings("ignore::aibmd.errors.SingularFitWarning")
@pytest.mark.parametrize("name", OWN_REFITS)
def test_one_step_comes_this_close_to_true_refits(name):
    make, subject, (fixed, moved) = OWN_REFITS[name]
    table = _read(name)
    found = make(table)
    result = aibmd.influence(found)
    ranked = result.to_frame().index
    se = np.sqrt(np.diag(found.engine.Phi))
    for who in [*ranked[:4], *ranked[10::60][:3]]:
        refit = make(table[table[subject] != who]).params
        assert (np.abs(result.coefficients.loc[who] - refit) / se).max() <= fixed
        assert (np.abs(result.coefficients_one_step.loc[who] - refit) / se).max() <= moved


def test_the_step_is_better_than_none(trial):
    """Away from balance, moving the covariance parameters brings the refit closer."""
    found = fit("y ~ arm + visit + x", trial)
    result = aibmd.influence(found)
    fixed, moved = [], []
    for who in result.by_subject.index:
        refit = fit("y ~ arm + visit + x", trial[trial["who"] != who], df_method="residual").params
        fixed.append(np.abs(result.coefficients.loc[who] - refit).sum())
        moved.append(np.abs(result.coefficients_one_step.loc[who] - refit).sum())
    assert np.median(moved) < 0.5 * np.median(fixed)


def test_a_woman_who_alone_determines_a_coefficient_is_told_apart(trial):
    special = trial.assign(only=(trial["who"] == 4).astype(float))
    result = aibmd.influence(fit("y ~ arm + only", special, covariance="cs"))
    her = result.by_subject.loc[4]
    assert np.isinf(her["covariance_ratio"])
    assert np.isnan(her["cooks_distance"])
    assert result.to_frame().index[0] == 4  # nobody matters more
    assert repr(result).splitlines()[5].split()[0] == "4"
    assert np.isfinite(result.by_subject.drop(index=4)["cooks_distance"]).all()


def test_a_planted_outlier_stands_first(trial):
    found = fit("y ~ arm + visit", trial.assign(y=trial["y"] + 30 * (trial["who"] == 9)))
    assert aibmd.influence(found).to_frame().index[0] == 9


def test_sampling_weights_count_in_what_is_left_out(trial):
    """With weights of one and two, weighing is counting: a woman of weight two is two women."""
    table = trial.assign(s=1.0 + trial["who"] % 2)
    found = fit("y ~ arm + base", table, covariance="cs", sampling_weights="s", vcov="CR0")
    result = aibmd.influence(found)
    who = 6
    rest = table[table["who"] != who]
    twice = rest[rest["s"] == 2]
    copies = pd.concat([rest, twice.assign(who=twice["who"] + 100)])
    engine = fit("y ~ arm + base", copies, covariance="cs").engine
    at = engine.criterion.evaluate(found.engine.theta / engine.theta_units)
    beta = engine.least_squares.to_user_beta(at.beta)
    np.testing.assert_allclose(result.coefficients.loc[who], beta, rtol=1e-8, atol=1e-10)
