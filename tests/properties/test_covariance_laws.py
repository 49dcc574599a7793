"""Laws that hold for any data and any covariance: structures, products, groups, random effects."""

import made_models as made
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import aibmd

# Relative. The same optimum, reached along another path of roundings.
SAME = 1e-7
few = settings(
    derandomize=True, max_examples=2, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
every_model = pytest.mark.parametrize("model", made.MODELS, ids=lambda model: model.name)
seeds = st.integers(0, 5_000)
df_methods = st.sampled_from(["kenward_roger", "satterthwaite"])


def assert_same_tests(found, reference, keep=None):
    keep = list(reference.params.index) if keep is None else keep
    np.testing.assert_allclose(found.tvalues[keep], reference.tvalues[keep], rtol=SAME, atol=SAME)
    np.testing.assert_allclose(found.df[keep], reference.df[keep], rtol=SAME)
    np.testing.assert_allclose(found.pvalues[keep], reference.pvalues[keep], rtol=1e-6)


def assert_same_fit(found, reference):
    assert_same_tests(found, reference)
    np.testing.assert_allclose(found.bse, reference.bse, rtol=SAME)
    size = reference.covariance_parameters.abs().max()
    np.testing.assert_allclose(
        found.covariance_parameters / size, reference.covariance_parameters / size, atol=1e-6
    )
    assert abs(found.llf - reference.llf) < 1e-8
    assert found.converged == reference.converged
    assert found.singular == reference.singular


def with_unit(fit):
    """Which covariance parameters are in squared units of the response."""
    return fit.engine.covariance.has_unit


@every_model
@few
@given(seeds, df_methods, st.sampled_from([1e-3, 1e3]))
def test_units_law(model, seed, df_method, unit):
    """g/cm2 and mg/cm2 give the same t, df, p and the same warnings."""
    table = made.make_table(model, seed)
    reference, said = made.fit(model, table, df_method=df_method)
    scaled = table.assign(y=unit * table["y"])
    found, said_too = made.fit(model, scaled, df_method=df_method)
    assert_same_tests(found, reference)
    assert said_too == said
    assert found.converged == reference.converged
    assert found.singular == reference.singular
    np.testing.assert_allclose(found.bse, unit * reference.bse, rtol=SAME)
    want = np.where(with_unit(reference), unit**2, 1.0) * reference.covariance_parameters
    np.testing.assert_allclose(
        found.covariance_parameters, want, rtol=1e-6, atol=1e-9 * min(unit**2, 1.0)
    )


@every_model
@few
@given(seeds, df_methods, st.randoms(use_true_random=False))
def test_the_order_of_rows_moves_nothing(model, seed, df_method, random):
    table = made.make_table(model, seed)
    order = list(range(len(table)))
    random.shuffle(order)
    reference, _ = made.fit(model, table, df_method=df_method)
    found, _ = made.fit(model, table.iloc[order], df_method=df_method)
    assert_same_fit(found, reference)
    np.testing.assert_allclose(found.resid.loc[table.index], reference.resid, atol=1e-7)


@every_model
@few
@given(seeds, df_methods)
def test_the_labels_of_subjects_mean_nothing(model, seed, df_method):
    table = made.make_table(model, seed)
    reference, _ = made.fit(model, table, df_method=df_method)
    names = {who: f"woman {(7 * who) % 101:03d}" for who in table["who"]}
    found, _ = made.fit(model, table.assign(who=table["who"].map(names)), df_method=df_method)
    assert_same_fit(found, reference)


@every_model
@few
@given(seeds, df_methods)
def test_another_reference_level_moves_no_f_test(model, seed, df_method):
    table = made.make_table(model, seed)
    reference, _ = made.fit(model, table, df_method=df_method)
    turned = table.assign(
        arm=pd.Categorical(table["arm"], ["b", "a"]),
        center=pd.Categorical(table["center"], ["r", "p", "q"]),
    )
    found, _ = made.fit(model, turned, df_method=df_method)
    first, second = aibmd.anova(found), aibmd.anova(reference)
    assert first["term"].tolist() == second["term"].tolist()
    np.testing.assert_array_equal(first["df_num"], second["df_num"])
    np.testing.assert_allclose(first["statistic"], second["statistic"], rtol=1e-6, atol=1e-9)
    # Satterthwaite's joint df depend on the directions a hypothesis is split into, and those
    # on the order of levels; Kenward-Roger's do not.
    free = (first["df_num"] == 1) | (df_method == "kenward_roger")
    for name in ("df_denom", "p_value"):
        np.testing.assert_allclose(first[name][free], second[name][free], rtol=1e-6)
    assert abs(found.llf - reference.llf) < 1e-8


@every_model
@few
@given(seeds, df_methods)
def test_a_factor_may_be_split_into_its_levels(model, seed, df_method):
    """Three centers are two flags; what is said of the other terms is the same."""
    table = made.make_table(model, seed)
    table["q"] = np.where(table["center"] == "q", "yes", "no")
    table["r"] = np.where(table["center"] == "r", "yes", "no")
    reference, _ = made.fit(model, table, df_method=df_method)
    found, _ = made.fit(model, table, model.formula.replace("center", "q + r"), df_method=df_method)
    others = [name for name in reference.params.index if "center" not in name]
    assert_same_tests(found, reference, others)
    assert abs(found.llf - reference.llf) < 1e-8
    for flag in ("q", "r"):
        assert abs(found.tvalues[f"{flag}[T.yes]"] - reference.tvalues[f"center[T.{flag}]"]) < 1e-6


@every_model
@few
@given(seeds, df_methods)
def test_a_factor_that_repeats_another_is_dropped_and_told(model, seed, df_method):
    table = made.make_table(model, seed)
    table["ward"] = table["center"].map({"p": "one", "q": "two", "r": "three"})
    reference, said = made.fit(model, table, df_method=df_method)
    found, said_too = made.fit(model, table, model.formula + " + ward", df_method=df_method)
    assert_same_tests(found, reference)
    assert found.dropped_columns == ("ward[T.three]", "ward[T.two]")
    assert len(said_too) == len(said) + 1


@every_model
@few
@given(seeds, df_methods)
def test_a_subject_without_outcomes_changes_nothing_but_the_count_of_rows(model, seed, df_method):
    table = made.make_table(model, seed)
    reference, _ = made.fit(model, table, df_method=df_method)
    empty = table.head(2).assign(who=999, y=np.nan, visit=["v1", "v2"])
    found, _ = made.fit(model, pd.concat([empty, table]), df_method=df_method)
    assert_same_fit(found, reference)
    assert found.n_subjects == reference.n_subjects
    assert found.dropped_rows == {"missing response y": 2}


@every_model
@few
@given(seeds, df_methods)
def test_weights_of_one_are_no_weights(model, seed, df_method):
    table = made.make_table(model, seed).assign(w=1.0)
    reference, _ = made.fit(model, table, df_method=df_method)
    found, _ = made.fit(model, table, df_method=df_method, weights="w")
    assert_same_fit(found, reference)


@every_model
@few
@given(seeds, df_methods, st.sampled_from([0.01, 2.0, 1e4]))
def test_weights_times_k_go_into_the_residual_variance_alone(model, seed, df_method, k):
    table = made.make_table(model, seed)
    table["w"] = np.random.default_rng(seed).uniform(0.5, 2.0, len(table))
    reference, said = made.fit(model, table, df_method=df_method, weights="w")
    found, said_too = made.fit(
        model, table.assign(w=k * table["w"]), df_method=df_method, weights="w"
    )
    assert_same_tests(found, reference)
    assert said == said_too
    assert abs(found.llf - reference.llf) < 1e-7
    np.testing.assert_allclose(found.params, reference.params, rtol=SAME, atol=1e-9)
    of_effects = np.array(["|" in name for name in reference.covariance_parameters.index])
    factor = np.where(with_unit(reference) & ~of_effects, k, 1.0)
    np.testing.assert_allclose(
        found.covariance_parameters, factor * reference.covariance_parameters, rtol=1e-5, atol=1e-8
    )


@every_model
@few
@given(seeds, st.sampled_from(["model", "CR0"]))
def test_copies_of_every_subject_halve_the_variance_of_maximum_likelihood(model, seed, vcov):
    """Twice the same likelihood has its maximum where it was, and half the variance."""
    table = made.make_table(model, seed)
    options = {"method": "ml", "df_method": "satterthwaite", "vcov": vcov}
    once, _ = made.fit(model, table, **options)
    twice, _ = made.fit(model, made.copy_subjects(table), **options)
    assert twice.n_subjects == 2 * once.n_subjects
    assert abs(twice.llf - 2 * once.llf) < 1e-7
    np.testing.assert_allclose(twice.params, once.params, rtol=1e-6, atol=1e-8)
    ratio = (twice.bse / once.bse) ** 2
    np.testing.assert_allclose(ratio, 0.5, rtol=1e-6)
    if vcov == "model":
        # Information of theta doubles too, and nu is inverse to its variance.
        np.testing.assert_allclose(twice.df, 2.0 * once.df, rtol=1e-5)


@every_model
@few
@given(seeds, st.sampled_from(["kenward_roger", "satterthwaite"]))
def test_copies_of_every_subject_halve_the_variance_to_first_order(model, seed, df_method):
    table = made.make_table(model, seed)
    once, _ = made.fit(model, table, df_method=df_method)
    twice, _ = made.fit(model, made.copy_subjects(table), df_method=df_method)
    # REML loses p of n once instead of twice; Kenward-Roger adds a share of order 1/n.
    np.testing.assert_allclose((twice.bse / once.bse) ** 2, 0.5, rtol=0.25)
    moved = (twice.params - once.params) / once.bse
    np.testing.assert_allclose(moved, 0.0, atol=0.3)


marginal_models = pytest.mark.parametrize(
    "model", [model for model in made.MODELS if not model.has_effects], ids=lambda model: model.name
)


@marginal_models
@few
@given(seeds, st.sampled_from(["CR0", "CR2", "CR3"]), st.sampled_from([1.0, 7.5]))
def test_equal_sampling_weights_are_none(model, seed, vcov, weight):
    table = made.make_table(model, seed).assign(s=weight)
    reference, _ = made.fit(model, table, vcov=vcov)
    found, _ = made.fit(model, table, vcov=vcov, sampling_weights="s")
    assert_same_fit(found, reference)


@marginal_models
@few
@given(seeds)
def test_a_sampling_weight_of_two_estimates_as_two_such_subjects_do(model, seed):
    """By maximum likelihood; the sandwich still knows that they are one."""
    table = made.make_table(model, seed)
    twice = table["who"] % 3 == 0
    doubled = pd.concat([table, table[twice].assign(who=lambda rows: rows["who"] + 1000)])
    reference, _ = made.fit(model, doubled, method="ml", vcov="CR0")
    weighted = table.assign(s=np.where(twice, 2.0, 1.0))
    found, _ = made.fit(model, weighted, method="ml", vcov="CR0", sampling_weights="s")
    np.testing.assert_allclose(found.params, reference.params, rtol=1e-6, atol=1e-8)
    size = reference.covariance_parameters.abs().max()
    np.testing.assert_allclose(
        found.covariance_parameters / size, reference.covariance_parameters / size, atol=1e-6
    )
    assert found.n_subjects < reference.n_subjects


@few
@given(seeds, df_methods)
def test_a_random_intercept_is_compound_symmetry_with_a_positive_covariance(seed, df_method):
    model = made.MODELS[1]
    table = made.make_table(model, seed)
    marginal, _ = made.fit(model, table, df_method=df_method)
    assert marginal.covariance_parameters["covariance"] > 0
    found = aibmd.fit_lmm(model.formula, table, subject="who", random="1", df_method=df_method)
    assert_same_tests(found, marginal)
    assert abs(found.llf - marginal.llf) < 1e-8
    intercept, residual = found.covariance_parameters
    np.testing.assert_allclose(
        [intercept + residual, intercept], marginal.covariance_parameters, rtol=1e-6
    )
