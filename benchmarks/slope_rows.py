"""Random intercept and slope, each scan at a time of its own."""

import designs
import numpy as np
from checks import check_fit
from from_arrays import call_slopes
from judge import judge, slope_blocks
from stopwatch import compared, judged, medians

SERIES = "aibmd"


def slope_rows(sizes=(25_000, 100_000, 200_000), limits=(0.2, 0.6), rounds=5):
    """Limits for the first two sizes; the last must take no more than its share more."""
    data = {n: designs.slopes(n) for n in sizes}
    equal = {n: check_slopes(frame, with_df=n == sizes[0]) for n, frame in data.items()}
    contestants = {n: lambda frame=frame: call_slopes(frame) for n, frame in data.items()}
    took = medians(contestants, rounds)
    rows = [
        judged(_what(n), took[n], limit, equal=equal[n], series=SERIES, subjects=n)
        for n, limit in zip(sizes, limits, strict=False)
    ]
    last, before = sizes[-1], sizes[-2]
    share = 1.1 * last / before  # linear, with a tenth for what no longer fits in a cache
    linear = compared(_what(last), took[last], took[before], f"{before:,} subjects", share,
                      equal=equal[last], series=SERIES, subjects=last)  # fmt: skip
    return [*rows, linear]


def check_slopes(frame, with_df):
    """A whole call against the judge."""
    fit = call_slopes(frame)[0]
    variance, covariance, slope_variance, sigma2 = fit.engine.theta
    t, g = frame["t"].to_numpy(), frame["g"].to_numpy()
    X = np.column_stack([np.ones(len(t)), t, g, t * g])
    G = np.array([[variance, covariance], [covariance, slope_variance]])
    blocks = slope_blocks(X, frame["y"].to_numpy(), X[:, :2], 4, G, sigma2)
    return check_fit(fit, judge(blocks, with_df))


def _what(n_subjects):
    return f"random intercept and slope, {n_subjects:,} x 4: whole fit_lmm call, Satterthwaite"
