"""The oracle itself is checked: by complex steps, and against formulas stored from R."""

from functools import cache

import dense
import formulaic
import numpy as np
import pandas as pd
import pytest
from neighbours import stored, tol

STORED = [(d, s) for d in ("fev", "orthodont") for s in ("us", "cs")]
KINDS = ("observed", "expected")


def dense_model(case):
    data = case.data
    response = case.formula.split("~")[0].strip()
    data = data[data[response].notna()]
    y, X = formulaic.model_matrix(case.formula, data)
    visit = data[case.visit].cat.remove_unused_categories().cat.codes.to_numpy()
    model = dense.DenseModel(
        X.to_numpy(float), y.to_numpy(float).ravel(), pd.factorize(data[case.subject])[0], visit,
        case.structure, case.method,
    )  # fmt: skip
    return model, list(X.columns)


def order(case, columns, names):
    """Positions of R's names among ours."""
    return [stored.position(stored.formulaic_name(n, case.factors), columns) for n in names]


@cache
def evaluated(dataset, key, kind):
    case = next(c for c in stored.mmrm_cases() if (c.dataset, c.model) == (dataset, key))
    model, columns = dense_model(case)
    theta = dense.theta_of(stored.load(dataset)["models"][f"direct_{key.split('_')[1]}"]["cov"],
                           case.structure)  # fmt: skip
    return case, columns, model, theta, model.at(theta, kind)


@pytest.mark.parametrize(("dataset", "structure"), STORED)
def test_the_oracle_likelihood_is_the_one_mmrm_reports(dataset, structure):
    case, _, _, _, result = evaluated(dataset, f"mmrm_{structure}_reml", "observed")
    assert result.llf == pytest.approx(case.numbers["loglik"], abs=1e-9)


@pytest.mark.parametrize(("dataset", "structure"), STORED)
def test_the_oracle_score_is_the_complex_step_of_its_likelihood(dataset, structure):
    _, _, model, theta, _ = evaluated(dataset, f"mmrm_{structure}_reml", "observed")
    away = theta * (1 + 0.01 * np.arange(len(theta)))  # at the optimum both are zero
    step = 1e-20
    by_step = [np.imag(model.gls(away + 1j * step * e)[2]) / step for e in np.eye(len(away))]
    np.testing.assert_allclose(model.score(away), by_step, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dataset", "structure"), STORED)
def test_the_oracle_df_and_adjusted_se_equal_the_stored_direct_formulas(dataset, structure, kind):
    case, columns, _, _, result = evaluated(dataset, f"mmrm_{structure}_reml", kind)
    block = stored.load(dataset)["models"][f"direct_{structure}"]["by_information"][kind]
    want = pd.DataFrame(block["coefficients"])
    L = np.eye(len(columns))[order(case, columns, want["name"])]
    _, se, df, *_ = result.satterthwaite(L)
    _, se_kr, df_kr, *_ = result.kenward_roger(L)
    np.testing.assert_allclose(se, want["se_model"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(df, want["df_satterthwaite"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(se_kr, want["se_kr"], rtol=tol.SAME_FORMULA)
    np.testing.assert_allclose(df_kr, want["df_kr"], rtol=tol.SAME_FORMULA)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dataset", "structure"), STORED)
def test_the_oracle_kenward_roger_f_equals_the_stored_direct_formula(dataset, structure, kind):
    case, columns, _, _, result = evaluated(dataset, f"mmrm_{structure}_reml", kind)
    block = stored.load(dataset)["models"][f"direct_{structure}"]["by_information"][kind]
    for want in block["type3_kr"]:
        L = hypothesis(case, columns, case.numbers["type3_L"][want["term"]])
        *_, F, df, scale = result.kenward_roger(L)
        assert pytest.approx(want["F"], rel=tol.SAME_FORMULA_F) == F, want["term"]
        assert df == pytest.approx(want["den_df"], rel=tol.SAME_FORMULA_F), want["term"]
        assert scale == pytest.approx(want["F_scaling"], rel=tol.SAME_FORMULA_F), want["term"]


@pytest.mark.parametrize(("dataset", "structure"), STORED)
def test_the_oracle_satterthwaite_f_equals_mmrm(dataset, structure):
    case, columns, _, _, result = evaluated(dataset, f"mmrm_{structure}_reml", "observed")
    block = next(b for b in case.blocks if b.df_method == "satterthwaite")
    for want in block.table("type3").itertuples():
        L = hypothesis(case, columns, case.numbers["type3_L"][want.term])
        *_, F, q, df = result.satterthwaite(L)
        assert q == want.num_df
        assert pytest.approx(want.F, rel=tol.PEER_STATISTIC) == F, want.term
        assert df == pytest.approx(want.den_df, rel=tol.PEER_DF), want.term


def hypothesis(case, columns, stored_matrix):
    L = np.zeros((len(stored_matrix["values"]), len(columns)))
    L[:, order(case, columns, stored_matrix["cols"])] = stored_matrix["values"]
    return L


MADE = stored.direct_cases("calcium", "bmd_like", "negative_correlation", "two_visits")
SMALL = [c for c in MADE if c.dataset != "calcium" or c.model in {"change_un_reml", "pct_cs_reml"}]


@pytest.mark.parametrize("case", SMALL, ids=lambda c: c.id)
def test_two_independent_evaluations_of_the_formulas_agree(case):
    """R: exact information by trace formulas. Python: complex steps of the score."""
    model, columns = dense_model(case)
    theta = dense.theta_of(case.numbers["cov"], case.structure)
    for block in case.blocks:
        result = model.at(theta, block.information)
        assert result.llf == pytest.approx(case.numbers["loglik"], abs=1e-9)
        want = block.table("coefficients")
        L = np.eye(len(columns))[order(case, columns, want["name"])]
        got = getattr(result, block.df_method)(L)
        np.testing.assert_allclose(got[0] / got[1], want["t"], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(got[1], want["se"], rtol=tol.SAME_FORMULA)
        np.testing.assert_allclose(got[2], want["df"], rtol=1e-8)
