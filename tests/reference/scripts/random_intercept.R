# Rscript tests/reference/scripts/random_intercept.R   (from the top of the repository)
# A random intercept is `cs` with a positive covariance. lme4 fits it; pbkrtest gives Kenward-Roger
# with the EXPECTED information, lmerTest Satterthwaite with the OBSERVED one.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest)})
source("tests/reference/scripts/direct.R"); source("tests/reference/scripts/report.R")

later <- function() {
  d <- read.csv("data/calcium/calcium.csv")
  first <- d[d$visit == 1, ]
  d$pct <- 100 * (d$bmd - first$bmd[match(d$person, first$person)]) / first$bmd[match(d$person, first$person)]
  d <- d[d$visit > 1, ]
  transform(d, group = factor(group, c("P", "C")), visit = factor(visit))
}
two <- read.csv("tests/reference/data/two_visits.csv", stringsAsFactors = TRUE)

one <- function(id, formula, data, subject, visit) {
  start <- suppressWarnings(lme4::lmer(update(formula, paste(". ~ . + (1 |", subject, ")")), data))
  v <- as.data.frame(VarCorr(start))$vcov
  m <- nlevels(data[[visit]])
  out <- report_model(id, formula, data, "cs", "REML", subject, visit,
                      polish_from = v[2] * diag(m) + v[1])
  full <- update(formula, paste(". ~ . + (1 |", subject, ")"))
  control <- lmerControl(optCtrl = list(xtol_rel = 1e-14, xtol_abs = 1e-14, ftol_rel = 1e-15,
                                        ftol_abs = 1e-15, maxeval = 1e5))
  environment(full) <- environment()
  fit <- do.call(lmerTest::lmer, list(full, data, control = control))
  v <- as.data.frame(VarCorr(fit))$vcov
  X <- getME(fit, "X"); L3 <- out$type3_L
  coefficients <- function(ddf) {
    s <- coef(summary(fit, ddf = ddf))
    data.frame(name = rownames(s), estimate = s[, 1], se = s[, 2], df = s[, 3], t = s[, 4], p = s[, 5],
               row.names = NULL)
  }
  out$lmer <- list(loglik = as.numeric(logLik(fit)), cov = v[2] * diag(m) + v[1],
    loglik_below_polished = out$loglik - as.numeric(logLik(fit)),
    satterthwaite_observed = coefficients("Satterthwaite"),
    kenward_roger_expected = coefficients("Kenward-Roger"),
    kenward_roger_type3 = do.call(rbind, lapply(names(L3), function(term) {
      k <- KRmodcomp(fit, L3[[term]])$test["Ftest", ]
      data.frame(term = term, num_df = k$ndf, den_df = k$ddf, F = k$stat, p = k$p.value, F_scaling = k$F.scaling)
    })),
    satterthwaite_type3 = do.call(rbind, lapply(names(L3), function(term) {
      k <- contestMD(fit, L3[[term]])
      data.frame(term = term, num_df = k$NumDF, den_df = k$DenDF, F = k$`F value`, p = k$`Pr(>F)`)
    })))
  out
}

calcium <- later()
write_report("tests/reference/peers/random_intercept.json",
  list(calcium = "data/calcium/calcium.csv", two_visits = "tests/reference/data/two_visits.csv"),
  "lme4 with lmerTest and pbkrtest; percent change from visit 1 of the calcium trial, and two_visits", list(
  one("calcium_pct", pct ~ group * visit, calcium, "person", "visit"),
  one("two_visits", y ~ dose * visit, two, "subject", "visit")),
  c("lme4", "lmerTest", "pbkrtest", "jsonlite"))
