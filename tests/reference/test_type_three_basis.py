"""The joint Satterthwaite df take the sum-to-zero basis of a term, whatever other terms lack."""

import compared
import pytest
from compared import BLOCKS, block_of, fit, relative

import aibmd

SATTERTHWAITE = [b for b in BLOCKS if b[0].startswith("empty_cell") and b[1] == "satterthwaite"]


@pytest.mark.parametrize(
    ("case_id", "df_method", "information"),
    SATTERTHWAITE,
    ids=["-".join(b) for b in SATTERTHWAITE],
)
def test_a_term_without_empty_cells_keeps_its_df(case_id, df_method, information):
    got = aibmd.anova(fit(case_id, df_method, information), type="III").set_index("term")
    want = block_of(case_id, df_method, information).table("type3").set_index("term")
    assert (
        relative(got.loc["visit", "df_denom"], want.loc["visit", "den_df"]) <= compared.tol.EXACT_DF
    )
