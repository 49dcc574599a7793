"""Predictions of a woman's rows from her observed ones, for covariances of every kind."""

import dense
import dense_prediction
import numpy as np
import pandas as pd
import pytest
import stored
import textbook_covariances as tc
from made_trials import fit, make_trial

import aibmd
from aibmd.errors import AibmdError, SingularFitWarning

SATTERTHWAITE = {"df_method": "satterthwaite"}


@pytest.fixture(scope="module")
def trial():
    """Complete visits; `seen` says which the fit gets."""
    table = make_trial(17, 30, 4, gaps=0.0)
    rng = np.random.default_rng(5)
    table["seen"] = rng.uniform(size=len(table)) > 0.25
    table.loc[table["who"] == 29, "seen"] = False  # a woman the fit does not know
    level, slope = rng.normal(size=(2, 30))
    number = table["visit"].str[1:].astype(float)
    table["time"] = number + rng.uniform(0.0, 0.5, size=len(table))
    table["w"] = rng.uniform(0.5, 2.0, size=len(table))
    table["y"] += 1.5 * level[table["who"]] + 0.6 * slope[table["who"]] * table["time"]
    return table.sample(frac=1.0, random_state=1).reset_index(drop=True)


def split(trial):
    """Rows of the fit, and rows to predict without their response."""
    return trial[trial["seen"]], trial[~trial["seen"]].drop(columns="y")


def visits_of(trial):
    return trial["visit"].str[1:].astype(int).to_numpy() - 1


def both(trial):
    old, new = split(trial)
    return pd.concat([old, new])


def _marginal(name, rows):
    if name == "sp_exp":
        return tc.residuals("sp_exp", rows["who"].to_numpy(), rows["time"].to_numpy())
    return tc.residuals(name, rows["who"].to_numpy(), visits_of(rows), 4)


MARGINAL = {
    "un": {},
    "toeph": {},
    "adh": {},
    "cs": {"group": "arm"},
    "ar1h": {"weights": "w"},
    "sp_exp": {"time": "time"},
}


@pytest.mark.parametrize("name", MARGINAL)
def test_given_observed_visits_rows_are_predicted_as_by_the_dense_formulas(trial, name):
    options = MARGINAL[name]
    old, new = split(trial)
    found = fit("y ~ arm * time + base", old, covariance=name, **options, **SATTERTHWAITE)
    rows = both(trial)
    V_all, V_old = _marginal(name, rows), _marginal(name, old)
    if "group" in options:
        V_all = tc.by_group(V_all, (rows["arm"] == "b").astype(int).to_numpy())
        V_old = tc.by_group(V_old, (old["arm"] == "b").astype(int).to_numpy())
    if "weights" in options:
        V_all = tc.weighted(V_all, rows["w"].to_numpy())
        V_old = tc.weighted(V_old, old["w"].to_numpy())
    got = aibmd.predict(found, new, kind="observed_visits", interval="prediction")
    _compare(found, old, new, V_old, V_all, got)
    assert got["observed"].sum() == 0


def _compare(found, old, new, V_old, V_all, got, new_errors=None):
    y = old["y"].to_numpy()
    at = dense.DenseModel(found.coding.code(old), y, V_old).at(found.engine.theta)
    X_new = found.coding.code(new)
    want = dense_prediction.predict_new(at, V_all, X_new, y, len(y), new_errors)
    assert got.index.equals(new.index)
    np.testing.assert_allclose(got["estimate"], want[0], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(got["std_error"] ** 2, want[1], rtol=1e-8)
    np.testing.assert_allclose(got["df"], want[2], rtol=1e-5)  # differences of first order


def test_products_of_site_and_visit_are_predicted_as_by_the_dense_formulas():
    rng = np.random.default_rng(8)
    who, site, visit = np.indices((40, 2, 3)).reshape(3, -1)
    table = pd.DataFrame({"who": who, "site": np.array(["hip", "spine"])[site], "visit": visit})
    table["y"] = rng.normal(size=len(who)) + rng.normal(size=40)[who] + site
    table["seen"] = rng.uniform(size=len(who)) > 0.3
    old, new = split(table)
    options = {"covariance": "un@ar1", "repeated": "site", **SATTERTHWAITE}
    found = fit("y ~ site + C(visit)", old, **options)
    got = aibmd.predict(found, new, kind="observed_visits", interval="prediction")
    rows = both(table)

    def V(part):
        codes = (part["site"] == "spine").astype(int).to_numpy()
        who, visit = part["who"].to_numpy(), part["visit"].to_numpy()
        return tc.separable("un@ar1", who, codes, visit, 2, 3)

    _compare(found, old, new, V(old), V(rows), got)


def test_over_cells_of_site_and_visit_every_missing_scan_is_predicted():
    """un over all cells: as un over visits called after both."""
    rng = np.random.default_rng(8)
    who, site, visit = np.indices((40, 2, 3)).reshape(3, -1)
    table = pd.DataFrame({"who": who, "site": np.array(["hip", "spine"])[site], "visit": visit})
    table["y"] = rng.normal(size=len(who)) + rng.normal(size=40)[who] + site
    table["cell"] = table["site"] + table["visit"].astype(str)
    old = table[rng.uniform(size=len(who)) > 0.3]
    cells = fit("y ~ site * C(visit)", old, repeated="site")
    plain = fit("y ~ cell", old, visit="cell")
    got = aibmd.predict(cells, kind="observed_visits", interval="prediction")
    want = aibmd.predict(plain, kind="observed_visits", interval="prediction")
    got["cell"] = got["site"] + got["visit"].astype(str)
    got, want = (one.set_index(["who", "cell"]).sort_index() for one in (got, want))
    assert len(got) == len(table) - len(old)
    columns = ["estimate", "std_error", "df", "conf_low"]
    np.testing.assert_allclose(got[columns], want[columns], rtol=1e-6)


def _slopes(rows, residual=None):
    Z = np.column_stack([np.ones(len(rows)), rows["time"]])
    R = tc.independent(len(rows))
    if residual is not None:
        R = tc.residuals(residual, rows["who"].to_numpy(), visits_of(rows), 4)
    return tc.mixed([(rows["who"].to_numpy(), Z, "full")], R)


def test_random_effects_and_serial_errors_together_predict_as_by_the_dense_formulas(trial):
    old, new = split(trial)
    found = aibmd.fit_lmm(
        "y ~ arm * time + base", old, subject="who", visit="visit", residual="ar1", **SATTERTHWAITE
    )
    got = aibmd.predict(found, new, kind="observed_visits", interval="prediction")
    _compare(found, old, new, _slopes(old, "ar1"), _slopes(both(trial), "ar1"), got)


@pytest.mark.parametrize("interval", ["confidence", "prediction"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_random_effects_predict_her_mean_and_a_new_scan_of_hers(trial, interval, weights):
    """Her mean has no error of its own; a new scan has one, whatever the others had."""
    old, new = split(trial)
    found = aibmd.fit_lmm(
        "y ~ arm * time + base", old, subject="who", random="1 + time", weights=weights,
        **SATTERTHWAITE,
    )  # fmt: skip
    got = aibmd.predict(found, new, kind="random_effects", interval=interval)
    w_old = np.ones(len(old)) if weights is None else old["w"].to_numpy()
    w_new = np.ones(len(new)) if weights is None else new["w"].to_numpy()

    def effects_alone(rows, errors):
        Z = np.column_stack([np.ones(len(rows)), rows["time"]])
        return tc.mixed(
            [(rows["who"].to_numpy(), Z, "full")], lambda theta: theta[0] * np.diag(errors)
        )

    V_old = effects_alone(old, 1 / w_old)
    V_all = effects_alone(both(trial), np.concatenate([1 / w_old, np.zeros(len(new))]))
    errors = (lambda theta: theta[-1] * np.diag(1 / w_new)) if interval == "prediction" else None
    _compare(found, old, new, V_old, V_all, got, errors)


def test_a_woman_the_fit_does_not_know_has_effects_of_zero_and_all_of_their_variance(trial):
    old, new = split(trial)
    found = aibmd.fit_lmm("y ~ arm * time", old, subject="who", random="1 + time")
    stranger = new[new["who"] == 29]
    got = aibmd.predict(found, stranger, kind="random_effects", interval="prediction")
    mean = aibmd.predict(found, stranger, interval="confidence")
    z = np.column_stack([np.ones(4), stranger["time"]])
    own = np.einsum("nu,uv,nv->n", z, found.random_covariance.to_numpy(), z)
    own = own + found.residual_variance
    np.testing.assert_allclose(got["estimate"], mean["estimate"], rtol=1e-12)
    np.testing.assert_allclose(got["std_error"] ** 2, mean["std_error"] ** 2 + own, rtol=1e-10)
    marginal = aibmd.predict(found, stranger, interval="prediction")
    pd.testing.assert_frame_equal(marginal, got)


def test_without_new_rows_random_effects_give_x_beta_and_z_times_the_predicted_effects(trial):
    old, _ = split(trial)
    found = aibmd.fit_lmm("y ~ arm * time", old, subject="who", random="1 + time")
    effects = found.random_effects.loc[old["who"]].to_numpy()
    want = found.fittedvalues + effects[:, 0] + effects[:, 1] * old["time"]
    got = aibmd.predict(found, kind="random_effects")["estimate"]
    np.testing.assert_allclose(got, want, rtol=1e-10)
    assert got.index.equals(old.index)


def test_nested_levels_share_an_effect_only_where_the_fit_has_them():
    model = stored.load_model("random_slopes", "three_sites_nested_reml")
    data = model.data
    random = {"subject": "1", "subject:site": "1"}
    found = aibmd.fit_lmm("bmd ~ site * time + group", data, subject="subject", random=random)
    fitted = aibmd.predict(found, kind="random_effects")["estimate"]
    np.testing.assert_allclose(fitted, model.numbers["fitted"], rtol=1e-7)
    again = aibmd.predict(found, data, kind="random_effects")["estimate"]
    np.testing.assert_allclose(again, fitted, rtol=1e-12)


def test_known_responses_in_new_rows_replace_those_of_the_fit(trial):
    """Her responses are taken from newdata where it holds any, else from the fit."""
    old, new = split(trial)
    found = fit("y ~ arm + visit", old)
    table = pd.concat([old, new.assign(y=np.nan)])
    told = aibmd.predict(found, table, kind="observed_visits", interval="prediction")
    untold = aibmd.predict(found, new, kind="observed_visits", interval="prediction")
    pd.testing.assert_frame_equal(told.loc[new.index], untold)
    known = told.loc[old.index]
    assert known["observed"].all()
    np.testing.assert_array_equal(known["estimate"], old["y"])
    assert (known["std_error"] == 0).all()
    np.testing.assert_array_equal(known["conf_high"], old["y"])
    renamed = table.assign(who=table["who"] + 1000)
    again = aibmd.predict(found, renamed, kind="observed_visits", interval="prediction")
    pd.testing.assert_frame_equal(again, told)


def test_without_new_rows_every_missing_visit_is_predicted(trial):
    old, new = split(trial)
    found = fit("y ~ arm * visit + base", old)
    got = aibmd.predict(found, kind="observed_visits").set_index(["who", "visit"])
    known = new[new["who"].isin(old["who"])]
    want = aibmd.predict(found, known, kind="observed_visits")
    assert len(got) == len(known)
    keys = pd.MultiIndex.from_frame(known[["who", "visit"]])
    np.testing.assert_allclose(got.loc[keys, "estimate"], want["estimate"], rtol=1e-12)
    with pytest.raises(AibmdError, match="'time' changes from visit to visit"):
        aibmd.predict(fit("y ~ time + visit", old), kind="observed_visits")
    times = fit("y ~ arm", old, covariance="sp_exp", time="time")
    with pytest.raises(AibmdError, match="no scheduled visits to fill in; give newdata"):
        aibmd.predict(times, kind="observed_visits")


def test_a_mean_given_visits_is_as_uncertain_as_beta_makes_it(trial):
    old, new = split(trial)
    found = fit("y ~ arm + visit", old, **SATTERTHWAITE)
    mean = aibmd.predict(found, new, kind="observed_visits", interval="confidence")
    one = aibmd.predict(found, new, kind="observed_visits", interval="prediction")
    row, who = new.index[0], new["who"].iloc[0]
    hers = old[old["who"] == who]
    Sigma = found.covariance
    C = Sigma.loc[[new.loc[row, "visit"]], hers["visit"]].to_numpy()
    V = Sigma.loc[hers["visit"], hers["visit"]].to_numpy()
    m = found.coding.code(new.loc[[row]]) - C @ np.linalg.solve(V, found.coding.code(hers))
    own = Sigma.loc[new.loc[row, "visit"], new.loc[row, "visit"]] - C @ np.linalg.solve(V, C.T)
    variance = (m @ found.cov_params().to_numpy() @ m.T).item()
    np.testing.assert_allclose(mean.loc[row, "std_error"] ** 2, variance, rtol=1e-9)
    np.testing.assert_allclose(one.loc[row, "std_error"] ** 2, variance + own.item(), rtol=1e-9)


def test_unit_of_the_response_scales_predictions_and_leaves_df(trial):
    old, new = split(trial)
    tables = []
    for unit in (1.0, 1000.0):
        found = aibmd.fit_lmm("y ~ arm * time", old.assign(y=unit * old["y"]), subject="who")
        tables.append(aibmd.predict(found, new, kind="random_effects", interval="prediction"))
    lengths = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(tables[1][lengths], 1000 * tables[0][lengths], rtol=1e-5)
    np.testing.assert_allclose(tables[1]["df"], tables[0]["df"], rtol=1e-5)


def test_order_and_company_of_new_rows_do_not_matter(trial):
    old, new = split(trial)
    found = fit("y ~ arm + visit", old)
    whole = aibmd.predict(found, new, kind="observed_visits", interval="prediction")
    turned = aibmd.predict(found, new[::-1], kind="observed_visits", interval="prediction")
    pd.testing.assert_frame_equal(turned[::-1], whole)
    alone = aibmd.predict(found, new.iloc[[4]], kind="observed_visits", interval="prediction")
    pd.testing.assert_frame_equal(alone, whole.iloc[[4]])


def test_a_cohort_is_a_table_too():
    hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    found = aibmd.fit_mmrm("bmd ~ arm * visit", hip)
    got = aibmd.predict(found, hip)
    pd.testing.assert_frame_equal(got, aibmd.predict(found, hip.to_frame()))


@pytest.mark.parametrize("structure", ["un", "toep"])
def test_sas_predicts_the_same_rows(structure):
    """PROC MIXED OUTPM and OUTP, 263 rows without outcome; SAS stopped early, see the README."""
    model = stored.load("sas")["models"][f"prediction_{structure}"]
    want = pd.DataFrame(model["predictions"], columns=model["prediction_columns"])
    numbers = want.columns[2:]
    want[numbers] = want[numbers].astype(float)
    table = pd.read_csv(stored.HERE / "data" / "fev.csv").set_index(["usubjid", "avisit"])
    table = table.assign(usubjid=table.index.get_level_values(0))
    table["avisit"] = table.index.get_level_values(1)
    table.index = table.index.map(":".join)
    found = aibmd.fit_mmrm(
        "fev1 ~ armcd", table, subject="usubjid", visit="avisit", covariance=structure,
        df_method="satterthwaite",
    )  # fmt: skip
    keys = want["usubjid"] + ":" + want["avisit"]
    mean = aibmd.predict(found, table, interval="confidence").loc[keys]
    given = aibmd.predict(found, table, "observed_visits", "prediction").loc[keys]
    np.testing.assert_allclose(mean["estimate"], want["marginal"], rtol=5e-5)
    np.testing.assert_allclose(mean["std_error"], want["marginal_se"], rtol=2e-4)
    np.testing.assert_allclose(given["estimate"], want["given_observed"], rtol=2e-4)
    np.testing.assert_allclose(given["std_error"], want["given_observed_se"], rtol=2e-4)


def test_visits_that_nobody_has_together_are_not_predicted_from_each_other(trial):
    """v1 and v2 are never seen in the same woman: nothing says how they covary."""
    old = trial[trial["visit"] != np.where(trial["who"] % 2 == 0, "v2", "v1")]
    with pytest.warns(Warning, match="no subject has both"):
        found = fit("y ~ visit", old)
    new = trial[(trial["who"] == 0) & (trial["visit"] == "v2")].drop(columns="y")
    assert aibmd.predict(found, new, kind="observed_visits")["estimate"].isna().all()
    told = trial[(trial["who"] == 0) & trial["visit"].isin(["v2", "v3", "v4"])]
    told = told.assign(y=told["y"].where(told["visit"] != "v2"))
    assert aibmd.predict(found, told, kind="observed_visits")["estimate"].notna().all()


@pytest.mark.parametrize(
    ("without", "kind", "message"),
    [
        ("who", "observed_visits", "no column 'who'; a prediction for one woman needs"),
        ("visit", "observed_visits", "no column 'visit'; this prediction needs the visit column"),
        ("arm", "observed_visits", "no column 'arm'"),
    ],
)
def test_a_missing_column_is_named(trial, without, kind, message):
    found = fit("y ~ arm", trial[trial["seen"]])
    new = trial[~trial["seen"]].drop(columns=["y", without])
    with pytest.raises(AibmdError, match=message):
        aibmd.predict(found, new, kind=kind)


def test_columns_of_time_weights_group_and_effects_are_named_too(trial):
    old, new = split(trial)
    times = fit("y ~ arm", old, covariance="sp_exp", time="time")
    with pytest.raises(AibmdError, match="needs the time column 'time'"):
        aibmd.predict(times, new.drop(columns="time"), kind="observed_visits")
    weighted = fit("y ~ arm", old, weights="w")
    with pytest.raises(AibmdError, match="needs the weights column 'w'"):
        aibmd.predict(weighted, new.drop(columns="w"), interval="prediction")
    grouped = fit("y ~ base", old, covariance="cs", group="arm")
    with pytest.raises(AibmdError, match="needs the group column 'arm'"):
        aibmd.predict(grouped, new.drop(columns="arm"), kind="observed_visits")
    slopes = aibmd.fit_lmm("y ~ arm", old, subject="who", random="1 + time")
    with pytest.raises(AibmdError, match="no column 'time'"):
        aibmd.predict(slopes, new.drop(columns="time"), kind="random_effects")


def test_a_visit_told_twice_is_refused(trial):
    found = fit("y ~ arm", trial[trial["seen"]])
    hers = trial[trial["who"] == 3]
    twice = pd.concat([hers, hers.iloc[[0]], hers.assign(y=np.nan).iloc[[1]]])
    with pytest.raises(AibmdError, match="repeat a visit or time"):
        aibmd.predict(found, twice, kind="observed_visits")


def test_df_are_satterthwaites_also_beside_a_sandwich_and_fixed_where_the_fits_are(trial):
    old, new = split(trial)
    model = fit("y ~ arm + visit", old, **SATTERTHWAITE)
    robust = fit("y ~ arm + visit", old, vcov="CR0")
    fixed = fit("y ~ arm + visit", old, df_method="residual")
    tables = [
        aibmd.predict(one, new, kind="observed_visits", interval="prediction")
        for one in (model, robust, fixed)
    ]
    np.testing.assert_allclose(tables[1]["df"], tables[0]["df"], rtol=1e-10)
    assert (tables[2]["df"] == len(old) - 5).all()


def test_a_variance_of_zero_predicts_everyone_alike():
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"who": np.repeat(range(12), 4), "time": np.tile(range(4), 12)})
    table["y"] = np.tile([1.0, -1.0, 1.0, -1.0], 12) + rng.normal(0, 0.01, 48)
    with pytest.warns(SingularFitWarning):
        found = aibmd.fit_lmm("y ~ time", table, subject="who", random="1")
    own = aibmd.predict(found, table, kind="random_effects", interval="confidence")
    mean = aibmd.predict(found, table, interval="confidence")
    np.testing.assert_allclose(own["estimate"], mean["estimate"], rtol=1e-10)
    np.testing.assert_allclose(own["std_error"], mean["std_error"], rtol=1e-6)
