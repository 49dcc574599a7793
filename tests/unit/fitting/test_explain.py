"""Every number that `explain` prints is that of the dense textbook formulas, or of the fit."""

import re
from pathlib import Path

import dense
import dense_clusters
import numpy as np
import pandas as pd
import pytest
from made_trials import fit, make_trial
from scipy import stats

import aibmd
from aibmd.errors import AibmdError, NotEstimableError

TESTS = Path(__file__).resolve().parents[2]
NOTES = TESTS.parent / "docs" / "methods"
NAME = "arm[T.b]"
# Six digits are printed: half a unit of the last, and as much again for the optimiser's last step.
DIGITS = 1e-5


@pytest.fixture(scope="module")
def trial():
    return make_trial(12, 50, 3)


def lines_of(text):
    """Label -> values, in order, of lines such as ``(S3) df = 2 x ... = 40.3924``."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\(([A-Z]\d+)\) .* = (\S+)$", line)
        if match:
            found.setdefault(match[1], []).append(float(match[2].replace("Inf", "inf")))
    return found


def table_of(text, first):
    """The table whose header starts with `first`; blanks are NaN."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(f"  {first} "))
    rows = []
    for line in lines[begin:]:
        if not line.startswith("  ") or line.strip().startswith("std_error"):
            break
        rows.append(re.split(r"\s{2,}", line.strip()))
    return rows[0], rows[1:]


def column(rows, k):
    return np.array([float(row[k]) for row in rows])


def ar1h(theta):
    sd = np.sqrt(theta[:3])
    power = theta[3] ** np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]])
    return sd[:, None] * sd * power


def un(theta):
    return np.array([theta[[0, 1, 2]], theta[[1, 3, 4]], theta[[2, 4, 5]]])


def at_optimum(made, Sigma, information="observed"):
    """The dense engine at the fitted theta."""
    rows = made.design.rows
    same = rows.subject[:, None] == rows.subject
    X = made.design.columns_of(np.arange(made.n_obs))
    model = dense.DenseModel(
        X, rows.y, lambda theta: same * Sigma(theta)[np.ix_(rows.visit, rows.visit)]
    )
    return model.at(made.engine.theta, information)


def check_estimate(text, made, at, j):
    u = at.model.X.T @ at.V_inverse @ at.model.y
    header, rows = table_of(text, "k")
    assert header == ["k", "Phi_jk", "u_k", "product"]
    assert [row[0] for row in rows] == list(made.params.index)
    size = np.abs(at.Phi[j] * u).max()
    np.testing.assert_allclose(column(rows, 1), at.Phi[j], rtol=DIGITS)
    np.testing.assert_allclose(column(rows, 2), u, rtol=DIGITS)
    np.testing.assert_allclose(column(rows, 3), at.Phi[j] * u, atol=DIGITS * size)
    found = lines_of(text)
    assert column(rows, 3).sum() == pytest.approx(found["M10"][0], abs=len(rows) * DIGITS * size)
    assert found["M10"][0] == pytest.approx(at.beta[j], rel=DIGITS)
    assert found["M10"][0] == float(f"{made.params.iloc[j]:.6g}")
    assert found["M1"] == [float(f"{made.llf:.6g}")]
    assert found["M1"][0] == pytest.approx(at.llf, rel=DIGITS)
    assert found["S1"] == pytest.approx([at.Phi[j, j]], rel=DIGITS)


def check_satterthwaite(text, made, at, j):
    g = np.array([-(at.Phi @ P @ at.Phi)[j, j] for P in at.P])
    header, rows = table_of(text, "parameter")
    assert header == ["parameter", "theta_h", "root W_hh", "g_h", "(Wg)_h", "g_h (Wg)_h"]
    assert [row[0] for row in rows] == list(made.covariance_parameters.index)
    want = [at.theta, np.sqrt(np.diag(at.W)), g, at.W @ g, g * (at.W @ g)]
    for k, values in enumerate(want, start=1):
        np.testing.assert_allclose(
            column(rows, k), values, rtol=DIGITS, atol=1e-6 * np.abs(values).max()
        )
    df = dense.satterthwaite_df(at, np.eye(len(at.beta))[j])
    assert lines_of(text)["S3"] == pytest.approx([g @ at.W @ g, df], rel=DIGITS)


def check_test(text, estimate, se, df):
    t = estimate / se
    margin = stats.t.ppf(0.975, df) * se
    found = lines_of(text)
    assert f"std_error = root of that = {se:.6g}" in text
    assert found["D4"] == pytest.approx([t], rel=DIGITS)
    assert found["D5"] == pytest.approx([2 * stats.t.sf(abs(t), df)], rel=1e-4)
    low, high = re.search(r"\(D6\) 95 % limits = (\S+) to (\S+)", text).groups()
    assert [float(low), float(high)] == pytest.approx(
        [estimate - margin, estimate + margin], abs=DIGITS * margin
    )
    printed = re.search(r"\(D4\) t = (\S+) / (\S+) = (\S+)", text).groups()
    assert float(printed[0]) / float(printed[1]) == pytest.approx(float(printed[2]), rel=DIGITS)


@pytest.mark.parametrize("information", ["observed", "expected"])
@pytest.mark.parametrize("df_method", ["kenward_roger", "kenward_roger_second_order"])
def test_kenward_roger_row_is_that_of_the_dense_formulas(df_method, information, trial):
    made = fit(
        "y ~ arm + visit + base", trial, covariance="ar1h", df_method=df_method,
        information=information,
    )  # fmt: skip
    text, at, j = made.explain(NAME), at_optimum(made, ar1h, information), 1
    check_estimate(text, made, at, j)
    check_satterthwaite(text, made, at, j)
    WQ = np.einsum("hk,hkab->ab", at.W, at.Q)
    WP = np.einsum("hk,hab,bc,kcd->ad", at.W, at.P, at.Phi, at.P)
    WR = np.einsum("hk,hkab->ab", at.W, at.R)
    parts = [2 * (at.Phi @ WQ @ at.Phi)[j, j], -2 * (at.Phi @ WP @ at.Phi)[j, j]]
    second = df_method == "kenward_roger_second_order"
    adjusted = dense.adjusted_vcov(at, second)[j, j]
    found = lines_of(text)
    # The adjusted variance bears the label of the formula it was adjusted by.
    assert found["K1"] == pytest.approx(parts if second else [*parts, adjusted], rel=DIGITS)
    assert ("K10" in found) == second
    if second:
        of_r = -(at.Phi @ WR @ at.Phi)[j, j] / 2
        assert found["K10"] == pytest.approx([of_r, adjusted], rel=1e-4)
    terms = [found["S1"][0], *found["K1"], *found.get("K10", [])]
    assert sum(terms[:-1]) == pytest.approx(terms[-1], rel=2e-6)
    check_test(text, made.params.iloc[j], np.sqrt(adjusted), found["S3"][1])


def test_satterthwaite_row_is_that_of_the_dense_formulas(trial):
    made = fit("y ~ arm * visit", trial, df_method="satterthwaite")
    text, at, j = made.explain(NAME), at_optimum(made, un), 1
    check_estimate(text, made, at, j)
    check_satterthwaite(text, made, at, j)
    check_test(text, at.beta[j], np.sqrt(at.Phi[j, j]), made.df.iloc[j])
    assert not {"K1", "K10", "H1", "H6"} & set(lines_of(text))


@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
def test_sandwich_row_is_that_of_the_dense_formulas(kind, trial):
    made = fit("y ~ arm + visit + base", trial, covariance="ar1h", vcov=kind)
    text, at, j = made.explain(NAME), at_optimum(made, ar1h), 1
    subject, row = made.design.rows.subject, np.eye(len(made.params))[[j]]
    check_estimate(text, made, at, j)
    robust = dense_clusters.sandwich(at, subject, kind)[j, j]
    assert lines_of(text)["H1"] == pytest.approx([robust], rel=DIGITS)
    label = {"CR0": "H2", "CR2": "H3", "CR3": "H4"}[kind]
    assert f"A_i by ({label})" in text
    header, rows = table_of(text, "subject")
    assert header == ["subject", "e_i", "e_i^2"]
    np.testing.assert_allclose(column(rows[:-1], 1) ** 2, column(rows[:-1], 2), rtol=DIGITS)
    assert rows[-1][0] == f"the other {made.n_subjects - 5}"
    shown = column(rows[:-1], 2).sum() + float(rows[-1][1])
    assert shown == pytest.approx(robust, rel=DIGITS)
    df = dense_clusters.bell_mccaffrey_df(at, subject, kind, row)[0]
    expected, variance, printed = lines_of(text)["H6"]
    assert printed == pytest.approx(df, rel=DIGITS)
    # By the definition of df: twice the squared mean over the variance.
    assert 2 * expected**2 / variance == pytest.approx(df, rel=DIGITS)
    if kind == "CR2":  # unbiased under the working model, by construction
        assert expected == pytest.approx(at.Phi[j, j], rel=DIGITS)
    else:
        assert (expected < at.Phi[j, j]) == (kind == "CR0")
    check_test(text, at.beta[j], np.sqrt(robust), df)


def test_influence_of_a_subject_is_its_part_of_the_robust_variance(trial):
    """CR0: e_i = l'Phi X_i'V_i^-1 r_i, for the subject named in the table."""
    made = fit("y ~ arm + visit", trial, covariance="ar1h", vcov="CR0")
    at, j = at_optimum(made, ar1h), 1
    # V is block-diagonal, so rows of a subject use that subject's rows alone.
    weighted = at.model.X @ at.Phi[:, j], at.V_inverse @ (at.model.y - at.model.X @ at.beta)
    by_subject = pd.Series(weighted[0] * weighted[1]).groupby(made.design.rows.subject).sum()
    labels = [str(label) for label in made.design.rows.subjects]
    for name, e, _ in table_of(made.explain(NAME), "subject")[1][:-1]:
        assert float(e) == pytest.approx(by_subject.iloc[labels.index(name)], rel=DIGITS)


@pytest.mark.parametrize(
    ("term", "want"),
    [
        (NAME, "(D1) constant within subjects: df = n - b = 50 - 3 = 47"),
        ("base", "(D1) constant within subjects: df = n - b = 50 - 3 = 47"),
        ("x", "or the intercept: df = N - n - w = {N} - 50 - 3 = {within}"),
        ("Intercept", "or the intercept: df = N - n - w = {N} - 50 - 3 = {within}"),
        ("visit[T.v2]", "or the intercept: df = N - n - w = {N} - 50 - 3 = {within}"),
    ],
)
def test_between_within_counts_columns(term, want, trial):
    """Between: intercept, arm, base. Within: two visits and x."""
    made = fit("y ~ arm + base + visit + x", trial, df_method="between_within")
    assert made.n_subjects == 50
    N = made.n_obs
    text = made.explain(term)
    assert want.format(N=N, within=N - 50 - 3) in text
    check_test(text, made.params[term], made.bse[term], made.df[term])


def test_residual_and_normal_df(trial):
    N = len(trial)
    by_residual = fit("y ~ arm + visit", trial, df_method="residual").explain(NAME)
    assert f"(D2) df = N - p = {N} - 4 = {N - 4}" in by_residual
    made = fit("y ~ arm + visit", trial, df_method="normal")
    assert lines_of(made.explain(NAME))["D3"] == [np.inf]
    check_test(made.explain(NAME), made.params[NAME], made.bse[NAME], np.inf)


def test_random_slopes_are_explained_in_their_own_parameters():
    sleep = pd.read_csv(TESTS / "reference" / "data" / "sleepstudy_unbalanced.csv")
    made = aibmd.fit_lmm("reaction ~ days", sleep, subject="subject", random="1 + days")
    rows, Z = made.design.rows, made.features.random[0].Z
    same = rows.subject[:, None] == rows.subject

    def V(theta):
        G = np.array([theta[[0, 1]], theta[[1, 2]]])
        return same * (Z @ G @ Z.T) + theta[3] * np.eye(len(Z))

    at = dense.DenseModel(made.design.columns_of(np.arange(len(Z))), rows.y, V).at(
        made.engine.theta
    )
    text = made.explain("days")
    check_estimate(text, made, at, 1)
    check_satterthwaite(text, made, at, 1)
    adjusted = dense.adjusted_vcov(at)[1, 1]
    check_test(text, at.beta[1], np.sqrt(adjusted), made.df["days"])


@pytest.mark.parametrize(
    "options",
    [
        {"weights": "w"},
        {"sampling_weights": "s", "vcov": "CR2"},
        {"covariance": "cs", "group": "arm"},
        {"method": "ml"},
    ],
    ids=str,
)
def test_the_sums_end_at_the_fit_under_every_option(options, trial):
    table = trial.assign(w=1.0 + (trial["x"] > 0), s=1.0 + (trial["base"] > 0))
    made = fit("y ~ arm + visit", table, **options)
    found = lines_of(made.explain(NAME))
    assert found["M10"][0] == pytest.approx(made.params[NAME], rel=DIGITS)
    if "vcov" in options:
        assert found["H1"][0] == pytest.approx(made.bse[NAME] ** 2, rel=DIGITS)
        assert "e_i = s_i l'Phi" in made.explain(NAME)
    else:
        assert found["S3"][1] == pytest.approx(made.df[NAME], rel=DIGITS)


def test_the_unit_of_the_response_changes_no_test(trial):
    texts = [
        fit("y ~ arm + visit", table, covariance="cs").explain(NAME)
        for table in (trial, trial.assign(y=1024.0 * trial["y"]))
    ]
    ours, scaled = (lines_of(text) for text in texts)
    for label in ("D4", "D5"):
        assert ours[label] == pytest.approx(scaled[label], rel=DIGITS)
    assert ours["S3"][1] == pytest.approx(scaled["S3"][1], rel=DIGITS)
    assert scaled["M10"][0] == pytest.approx(1024 * ours["M10"][0], rel=DIGITS)


def test_the_level_of_the_limits_is_the_callers(trial):
    made = fit("y ~ arm + visit", trial)
    low, high = made.conf_int(0.1).loc[NAME]
    assert f"(D6) 90 % limits = {low:.6g} to {high:.6g}" in made.explain(NAME, conf_level=0.9)


def test_long_sums_show_their_largest_parts_and_the_rest(trial):
    made = fit("y ~ arm * visit * center", trial, covariance="cs")
    assert len(made.params) == 18
    text = made.explain(NAME)
    _, rows = table_of(text, "k")
    assert len(rows) == 13
    assert rows[-1][0] == "the other 6"
    total = column(rows[:-1], 3).sum() + float(rows[-1][1])
    assert total == pytest.approx(
        made.params[NAME], abs=DIGITS * np.abs(column(rows[:-1], 3)).max()
    )
    smallest = np.abs(column(rows[:-1], 3)).min()
    assert abs(float(rows[-1][1])) <= 6 * smallest


@pytest.mark.filterwarnings("ignore::aibmd.errors.SingularFitWarning")
def test_a_lost_dimension_of_the_random_effects_is_said():
    dyes = pd.read_csv(TESTS / "reference" / "data" / "dyestuff2.csv")
    made = aibmd.fit_lmm("yield ~ 1", dyes, subject="batch", random="1")
    text = made.explain("Intercept")
    assert "(B4) random effects lost a dimension: W is that along the boundary" in text
    _, rows = table_of(text, "parameter")
    assert [float(value) for value in rows[0][2:3]] == [0.0]


def test_what_is_rounding_is_printed_as_zero():
    """Complete balanced data: the slope does not depend on the variance of the intercept."""
    tied = pd.read_csv(TESTS / "reference" / "data" / "tied_slope.csv")
    balanced = tied.assign(y=tied["y"] + 2.0 * tied["subject"].rank().mod(7))
    made = aibmd.fit_lmm("y ~ time", balanced, subject="subject", random="1 + time")
    _, rows = table_of(made.explain("time"), "parameter")
    assert rows[0][0] == "var(intercept | subject)"
    assert float(rows[0][3]) == 0.0


def test_a_level_of_a_million_changes_no_digit():
    scans = pd.read_csv(TESTS / "reference" / "data" / "irregular.csv")
    texts = [
        aibmd.fit_lmm("bmd ~ arm * time", table, subject="subject", random="1 + time").explain(
            "time"
        )
        for table in (scans, scans.assign(bmd=scans["bmd"] + 1e6))
    ]
    plain, lifted = (lines_of(text) for text in texts)
    for label in ("M10", "S1", "K1", "S3", "D4"):
        assert plain[label] == pytest.approx(lifted[label], rel=DIGITS)


def test_what_is_printed_adds_up_where_terms_cancel():
    """Products near 1e6 that end at 0.01: with six digits each they would end anywhere."""
    scans = pd.read_csv(TESTS / "reference" / "data" / "irregular.csv")
    scans = scans.assign(bmd=scans["bmd"] + 1e6)
    made = aibmd.fit_lmm("bmd ~ arm * time", scans, subject="subject", random="1 + time")
    for name in made.params.index:
        _, rows = table_of(made.explain(name), "k")
        # A double holds sixteen digits of the products.
        rounding = 1e-15 * np.abs(column(rows, 3)).max()
        assert column(rows, 3).sum() == pytest.approx(made.params[name], rel=2e-6, abs=8 * rounding)


def test_the_header_says_model_response_and_covariance(trial):
    positive = trial.assign(y=np.exp(trial["y"] / 10))
    text = fit("log(y) ~ arm + visit", positive, covariance="cs", group="arm").explain(NAME)
    assert "Model: log(y) ~ arm + visit\n" in text
    assert "Response: log(y); every number below is on this scale\n" in text
    assert re.search(r"Covariance: cs \(.+\) within who, for each arm its own\n", text)
    assert "Response: y, in its own units" in fit("y ~ arm", trial).explain(NAME)
    sleep = pd.read_csv(TESTS / "reference" / "data" / "sleepstudy_unbalanced.csv")
    made = aibmd.fit_lmm("reaction ~ days", sleep, subject="subject", random="1 + days")
    want = "Covariance: random effects 1 + days | subject (full); residual independent"
    assert want in made.explain("days")


def test_with_sampling_weights_the_sums_are_written_with_them(trial):
    table = trial.assign(s=1.0 + (trial["base"] > 0))
    text = fit("y ~ arm", table, sampling_weights="s", vcov="CR2").explain(NAME)
    assert "Phi = (sum_i s_i X_i'V_i^-1 X_i)^-1 and u = sum_i s_i X_i'V_i^-1 y_i" in text
    assert "s_i" not in fit("y ~ arm", trial).explain(NAME)


def test_the_variance_of_the_robust_variance_is_called_as_in_the_note(trial):
    text = fit("y ~ arm", trial, vcov="CR2").explain(NAME)
    assert "(H6) U_2 = its variance" in text
    assert "df = 2 E^2 / U_2" in text
    assert "nu = 2 E^2 / U_2" in (NOTES / "sandwich.md").read_text("utf-8")


def test_w_is_had_where_the_text_says(trial):
    made = fit("y ~ arm + visit", trial, covariance="ar1h", df_method="satterthwaite")
    text = made.explain(NAME)
    where = re.search(r"W is (.*), c = (.*)", text)
    c = eval(where[2], {"fit": made})
    W = eval(where[1], {"fit": made, "numpy": np, "c": c})
    _, rows = table_of(text, "parameter")
    g = column(rows, 3)
    np.testing.assert_allclose(np.sqrt(np.diag(W)), column(rows, 2), rtol=DIGITS)
    np.testing.assert_allclose(column(rows, 4), W @ g, atol=DIGITS * np.abs(W @ g).max())


@pytest.mark.parametrize(
    "options",
    [{"covariance": "ar1h"}, {"vcov": "CR2"}, {"df_method": "between_within"}, {"method": "ml"},
     {"covariance": "ar1h", "df_method": "kenward_roger_second_order"}],
    ids=str,
)  # fmt: skip
def test_a_contrast_is_explained_by_its_row(options, trial):
    made = fit("y ~ arm * visit", trial, **options)
    pairs = aibmd.contrast(aibmd.emmeans(made, "arm", by="visit"), "pairwise")
    row = pairs.to_frame().iloc[2]
    text = made.explain(pairs.L[2])
    found = lines_of(text)
    assert text.startswith("l = -1 arm[T.b] -1 arm[T.b]:visit[T.v3]: its row")
    check_test(text, row["estimate"], row["std_error"], row["df"])
    _, rows = table_of(text, "k")
    assert column(rows, 3).sum() == pytest.approx(row["estimate"], rel=2e-6)
    variance = row["std_error"] ** 2
    if "vcov" in options:
        e = table_of(text, "subject")[1]
        shown = column(e[:-1], 2).sum() + float(e[-1][1])
        assert shown == pytest.approx(variance, rel=DIGITS)
    else:
        terms = [found["S1"][0], *found.get("K1", []), *found.get("K10", [])]
        if len(terms) > 1:
            assert sum(terms[:-1]) == pytest.approx(terms[-1], rel=DIGITS)
        assert terms[-1] == pytest.approx(variance, rel=DIGITS)
    last = {"vcov": "H6", "df_method": "D1"}.get(next(reversed(options)), "S3")
    label = "S3" if options.get("df_method", "").startswith("kenward") else last
    assert found[label][-1] == pytest.approx(row["df"], rel=DIGITS)


def test_a_row_of_one_coefficient_is_that_coefficient(trial):
    made = fit("y ~ arm + visit", trial)
    by_name, by_row = made.explain(NAME), made.explain(pd.Series({NAME: 1.0}))
    ours, theirs = lines_of(by_name), lines_of(by_row)
    assert ours == theirs


def test_only_one_estimable_function_is_explained(trial):
    made = fit("y ~ arm + visit", trial)
    means = aibmd.emmeans(made, "arm")
    with pytest.raises(AibmdError, match=r"2 estimates; .*fit.explain\(estimates.L\[i\]\)"):
        made.explain(means)
    with pytest.raises(AibmdError, match="one function, one row of L"):
        made.explain(means.L)
    with pytest.raises(AibmdError, match="one function, one row of L"):
        made.explain(0 * means.L[0])
    with pytest.raises(NotEstimableError, match="not estimable"):
        made.explain(np.nan * means.L[0])
    pair = aibmd.contrast(means, "pairwise")
    assert made.explain(pair).startswith("a - b: its row")


def test_an_unknown_coefficient_is_an_error_that_lists_those_there_are(trial):
    with pytest.raises(AibmdError, match=r"'armb' is no coefficient.*Intercept, arm\[T.b\]"):
        fit("y ~ arm", trial).explain("armb")


def test_a_dropped_coefficient_has_no_row(trial):
    with pytest.warns(aibmd.DataWarning, match="repeat earlier ones"):
        made = fit("y ~ base + twice", trial.assign(twice=2 * trial["base"]))
    with pytest.raises(NotEstimableError, match="'twice' repeats earlier columns"):
        made.explain("twice")


def test_every_label_it_can_print_stands_in_a_note(trial):
    notes = "\n".join(path.read_text("utf-8") for path in NOTES.glob("*.md"))
    options = [
        {"df_method": "kenward_roger_second_order", "covariance": "ar1"},
        *({"vcov": kind} for kind in ("CR0", "CR2", "CR3")),
        *({"df_method": name} for name in ("between_within", "residual", "normal")),
    ]
    for one in options:
        for label in re.findall(r"\(([A-Z]\d+)\)", fit("y ~ arm", trial, **one).explain(NAME)):
            assert f"**({label})" in notes, label
