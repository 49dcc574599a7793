"""What a printed table of means, slopes and contrasts shows, and under which names."""

import numpy as np
import pandas as pd
import pytest

import aibmd
from aibmd.formatting import significant_digits
from aibmd.means import back_transform, contrast, emmeans, emtrends


@pytest.fixture(scope="module")
def log_bmd():
    """Log BMD of two arms, whose differences have standard errors near 0.0004."""
    rng = np.random.default_rng(8)
    arm = np.repeat(["a", "b"], 40)
    return pd.DataFrame({"arm": arm, "log_bmd": -0.1 + rng.normal(0, 0.0018, 80)})


def printed_numbers(estimates, column):
    """Cells of one column of the printed table; labels hold no blanks."""
    header, *rows = estimates.summary().split("\n\n")[0].splitlines()
    place = header.split().index(column)
    return [row.split()[place] for row in rows]


def test_decimals_are_three_digits_of_the_smallest_standard_error():
    assert significant_digits([0.0123, 4.0]) == 4
    assert significant_digits([0.01, 4.0]) == 4
    assert significant_digits([0.00999]) == 5
    assert significant_digits([0.5]) == 3
    assert significant_digits([120.0, np.nan]) == 2
    assert significant_digits([1e-12]) == 8
    assert significant_digits([0.0, np.nan]) == 4


def test_no_printed_number_loses_the_standard_error(ols, log_bmd):
    means = emmeans(ols("log_bmd ~ arm", log_bmd), "arm")
    for found in (means, emtrends(ols("log_bmd ~ x", log_bmd.assign(x=np.arange(80.0))), "x")):
        frame = found.to_frame()
        for name in ("estimate", "std_error", "conf_low", "conf_high"):
            shown = np.array(printed_numbers(found, name), dtype=float)
            far = np.abs(shown - frame[name]) / frame["std_error"].min()
            assert far.max() <= 0.005
    assert printed_numbers(means, "statistic")[0].split(".")[1].isdigit()


def test_one_table_has_one_number_of_decimals(ols, log_bmd):
    means = emmeans(ols("log_bmd ~ arm", log_bmd), "arm")
    columns = ("estimate", "std_error", "conf_low", "conf_high")
    decimals = {len(cell.split(".")[1]) for c in columns for cell in printed_numbers(means, c)}
    assert decimals == {significant_digits(means.to_frame()["std_error"])}


def test_percent_keeps_three_decimals(ols, log_bmd):
    change = contrast(emmeans(ols("log_bmd ~ arm", log_bmd), "arm"), {"b-a": [-1, 1]})
    for name in ("estimate", "std_error", "conf_low"):
        assert len(printed_numbers(back_transform(change), name)[0].split(".")[1]) == 3


def test_rows_that_are_not_estimable_do_not_choose_the_decimals(ols, empty_cell):
    means = emmeans(ols("y ~ region * dose + visit", empty_cell), "dose", "region")
    assert "not estimable" in means.summary()
    smallest = np.nanmin(means.to_frame()["std_error"])
    assert f"{smallest:.{significant_digits([smallest])}f}" in means.summary()


def test_means_name_their_response_and_contrasts_of_them_do_not_call_themselves_means(ols, log_bmd):
    means = emmeans(ols("log_bmd ~ arm", log_bmd), "arm")
    assert "Means of log_bmd." in means.summary()
    assert "Means of log_bmd." in repr(means)
    assert "Means of" not in contrast(means).summary()
    people = emmeans(ols("log_bmd ~ arm", log_bmd), "arm", weights="counterfactual")
    assert "Means of log_bmd." in people.summary()


def test_df_beside_a_sandwich_have_one_name_in_every_table(fev):
    name = "Bell-McCaffrey (Satterthwaite for the sandwich)"
    sandwich, model = (
        aibmd.fit_mmrm(
            "fev1 ~ armcd", fev, subject="usubjid", visit="avisit", covariance="cs",
            df_method="satterthwaite", vcov=vcov,
        )
        for vcov in ("CR2", "model")
    )  # fmt: skip
    means = emmeans(sandwich, "armcd")
    for text in (sandwich.summary(), means.summary(), contrast(means).summary()):
        assert name in text
    normal = emmeans(sandwich, "armcd", df_method="normal").summary()
    assert "Degrees of freedom: normal (infinite df)." in normal
    assert "Degrees of freedom: Satterthwaite." in emmeans(model, "armcd").summary()
    assert name not in contrast(emmeans(model, "armcd")).summary()
