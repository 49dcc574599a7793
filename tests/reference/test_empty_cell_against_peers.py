"""One combination of two factors never occurs: what is said, what is tested, what is refused.

Type III main effects of the two factors are then a matter of definition and not compared.
The interaction and the terms outside it are not: their hypotheses are unique.
"""

import compared
import numpy as np
import pytest
import stored
from compared import BLOCKS, CASES, block_of, fit, limit, relative

import aibmd

EMPTY = [b for b in BLOCKS if b[0].startswith("empty_cell")]
empty = pytest.mark.parametrize(
    ("case_id", "df_method", "information"), EMPTY, ids=["-".join(b) for b in EMPTY]
)


def test_the_column_of_an_empty_cell_is_dropped_and_named():
    case = CASES["empty_cell-un_reml"]
    dropped = [stored.formulaic_name(n, case.factors) for n in case.numbers["dropped_columns"]]
    with pytest.warns(aibmd.DataWarning, match="dropped") as seen:
        result = aibmd.fit_mmrm(
            case.formula, case.data, subject=case.subject, visit=case.visit, covariance="un"
        )
    assert not set(dropped) & set(result.params.dropna().index)
    assert dropped[0] in str(seen[0].message)
    assert dropped[0] in str(result.summary())


def test_means_over_an_empty_cell_are_not_numbers():
    estimates = aibmd.emmeans(fit("empty_cell-un_reml"), over=["visit"]).to_frame()["estimate"]
    assert np.isnan(estimates.to_numpy(dtype=float)).all()


def both(case_id, df_method, information, term):
    got = aibmd.anova(fit(case_id, df_method, information), type="III").set_index("term").loc[term]
    want = block_of(case_id, df_method, information).table("type3").set_index("term").loc[term]
    return got, want


@pytest.mark.parametrize("term", ["region:dose", "visit"])
@empty
def test_type_three_statistics_of_terms_with_one_definition(case_id, df_method, information, term):
    got, want = both(case_id, df_method, information, term)
    assert got["df_num"] == want["num_df"]
    assert relative(got["statistic"], want["F"]) <= limit(CASES[case_id], "STATISTIC")


@pytest.mark.parametrize("term", ["region:dose", "visit"])
@pytest.mark.parametrize(
    ("case_id", "df_method", "information"),
    [b for b in EMPTY if b[1] == "kenward_roger"],
    ids=["-".join(b) for b in EMPTY if b[1] == "kenward_roger"],
)
def test_kenward_roger_df_do_not_depend_on_a_basis(case_id, df_method, information, term):
    got, want = both(case_id, df_method, information, term)
    assert relative(got["df_denom"], want["den_df"]) <= compared.tol.EXACT_DF
