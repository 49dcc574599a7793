"""Between-within degrees of freedom: who is counted where."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.errors import AibmdError
from aibmd.inference.between_within import compute_column_df


def test_a_column_constant_within_subjects_is_tested_between_them():
    """20 subjects of 3 rows; intercept and group use 2 of them, visits 2 within."""
    subject = np.repeat(np.arange(20), 3)
    group = np.repeat(np.arange(20) % 2, 3)
    visit = np.tile(np.arange(3), 20)
    X = np.column_stack([np.ones(60), group, visit == 1, visit == 2, group * (visit == 1)])
    within = 60 - 20 - 3
    np.testing.assert_array_equal(compute_column_df(X, subject), [within, 18, *[within] * 3])


def test_a_contrast_takes_the_smallest_df_of_what_it_uses():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"who": np.repeat(np.arange(20), 3), "visit": list("abc") * 20})
    table["group"] = np.where(table["who"] % 2, "x", "z")
    table["y"] = rng.normal(size=60)
    fit = aibmd.fit_mmrm(
        "y ~ group + visit", table, subject="who", visit="visit", df_method="between_within"
    )
    df = fit.inference.compute_df(np.array([[0, 1.0, 0, 0], [0, 0, 1.0, -1.0], [0, 1.0, 1.0, 0]]))
    np.testing.assert_array_equal(df, [18, 38, 18])


def test_one_row_for_each_subject_has_no_such_df():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"who": range(12), "visit": "a", "x": rng.normal(size=12)})
    table["y"] = rng.normal(size=12)
    with pytest.raises(AibmdError, match="between-within degrees of freedom do not exist"):
        aibmd.fit_mmrm(
            "y ~ x", table, subject="who", visit="visit", covariance="cs",
            df_method="between_within",
        )  # fmt: skip
