"""Marginal means, contrasts and type III tests against emmeans, mmrm, pbkrtest and lmerTest."""

import pandas as pd
import pytest
from compared import BLOCKS, CASES, agree_case, block_of, compare_tests, fit, kind_of, relative

import aibmd

MEANS = [b for b in BLOCKS if block_of(*b).table("emmeans") is not None]
means = pytest.mark.parametrize(
    ("case_id", "df_method", "information"), MEANS, ids=["-".join(b) for b in MEANS]
)
# With an empty cell type III has several definitions; see test_empty_cell_against_peers.py.
FULL = [b for b in BLOCKS if not b[0].startswith("empty_cell")]
blocks = pytest.mark.parametrize(
    ("case_id", "df_method", "information"), FULL, ids=["-".join(b) for b in FULL]
)


def marginal(case_id, df_method, information):
    case = CASES[case_id]
    return aibmd.emmeans(
        fit(case_id, df_method, information), over=list(case.over), by=list(case.by) or None
    )


def matched(got, want, keys):
    """Our rows in the peer's order, matched on the identifier columns."""
    keyed = got.assign(**{k: got[k].astype(str) for k in keys}).set_index(list(keys))
    return keyed.loc[list(want[list(keys)].astype(str).itertuples(index=False, name=None))
                     if len(keys) > 1 else list(want[keys[0]].astype(str))]  # fmt: skip


def compare(case, got, want):
    difference = (got["estimate"].to_numpy() - want["estimate"].to_numpy()) / want["se"].to_numpy()
    agree_case(case, "ESTIMATE_IN_SE", difference)
    agree_case(case, "SE", relative(got["std_error"], want["se"]))
    agree_case(case, "DF", relative(got["df"], want["df"]))


@means
def test_marginal_means(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("emmeans")
    got = marginal(case_id, df_method, information).to_frame()
    keys = (*case.over, *case.by)
    assert len(got) == len(want)
    compare(case, matched(got, want, keys), want)


@means
def test_contrasts(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("contrasts")
    got = aibmd.contrast(marginal(case_id, df_method, information), "revpairwise").to_frame()
    keys = ("contrast", *case.by)
    assert len(got) == len(want)
    compare(case, matched(got, want, keys), want)


@blocks
def test_type_three_tests(case_id, df_method, information):
    case = CASES[case_id]
    want = block_of(case_id, df_method, information).table("type3")
    got = aibmd.anova(fit(case_id, df_method, information), type="III")
    compare_tests("direct.R" if case.exact else "R mmrm", got, want, kind_of(case))


@pytest.mark.parametrize("case_id", [i for i in CASES if i.startswith("random_intercept")])
@pytest.mark.parametrize(
    ("key", "df_method", "information"),
    [
        ("satterthwaite_type3", "satterthwaite", "observed"),
        ("kenward_roger_type3", "kenward_roger", "expected"),
    ],
)
def test_type_three_tests_equal_lmertest_and_pbkrtest(case_id, key, df_method, information):
    case = CASES[case_id]
    got = aibmd.anova(fit(case_id, df_method, information), type="III")
    want = pd.DataFrame(case.numbers["lmer"][key])
    compare_tests("lme4 with lmerTest and pbkrtest", got, want, "PEER")


def test_the_arm_of_one_visit_has_the_f_of_lm():
    case = CASES["one_visit-ancova_un_reml"]
    got = aibmd.anova(fit(case.id), type="III").set_index("term").loc["arm"]
    assert got["statistic"] == pytest.approx(case.numbers["lm"]["arm_F"], rel=1e-9)
    assert got["df_denom"] == pytest.approx(case.numbers["lm"]["df"], rel=1e-9)
