"""Named peers that fit the same model: statsmodels MixedLM (cs) and nlme::gls (un, cs)."""

import json
import shutil
import subprocess
import warnings

import designs

_GLS = """
suppressPackageStartupMessages(library(nlme))
d <- read.csv("{path}"); d <- d[!is.na(d$fev1), ]
d$v <- as.integer(factor(d$avisit)); d$usubjid <- factor(d$usubjid)
fit <- function() gls({formula}, d, {correlation}, weights = {weights}, method = "REML")
fit()
time <- system.time(f <- fit())[["elapsed"]]
cat(sprintf('{{"seconds": %.6f, "loglik": %.10f, "nlme": "%s", "R": "%s.%s"}}', time,
  as.numeric(logLik(f)), packageVersion("nlme"), R.version$major, R.version$minor))
"""
_CORRELATIONS = {
    "un": ("corSymm(form = ~ v | usubjid)", "varIdent(form = ~ 1 | avisit)"),
    "cs": ("corCompSymm(form = ~ 1 | usubjid)", "NULL"),
}


def has_r():
    """Whether Rscript with nlme is on this machine."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return False
    asked = subprocess.run([rscript, "-e", "library(nlme)"], capture_output=True, check=False)
    return asked.returncode == 0


def run_gls(structure):
    """Seconds (R's own clock, start of R not counted) and log-likelihood of nlme::gls."""
    correlation, weights = _CORRELATIONS[structure]
    code = _GLS.format(
        path=(designs.ROOT / "tests" / "reference" / "data" / "fev.csv").as_posix(),
        formula=designs.FEV_FORMULA,
        correlation=correlation,
        weights=weights,
    )
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout[done.stdout.index("{") :])


def run_mixedlm(data):
    """MixedLM with a random intercept on complete rows: `cs` with a positive covariance."""
    from statsmodels.formula.api import mixedlm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mixedlm(designs.FEV_FORMULA, data, groups=data["usubjid"]).fit(
            reml=True, method="cg"
        )
