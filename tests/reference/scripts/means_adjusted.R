# Multiplicity adjustments, slopes and averages over subjects by R emmeans and mvtnorm.
# Ordinary least squares (closed form, one df for all contrasts), and a random intercept by
# lme4, which is `cs`, with Satterthwaite df of each contrast by lmerTest.
# Rscript tests/reference/scripts/means_adjusted.R   (from the top of the repository)
suppressPackageStartupMessages({
  library(emmeans); library(mvtnorm); library(jsonlite); library(lme4); library(lmerTest); library(splines)
})
fev <- read.csv("tests/reference/data/fev.csv")
fev <- fev[!is.na(fev$fev1), ]
fev$armcd <- factor(fev$armcd, c("PBO", "TRT"))
fev$avisit <- factor(fev$avisit)
fev$race <- factor(fev$race, c("Asian", "Black or African American", "White"))
fev$sex <- factor(fev$sex, c("Male", "Female"))
fev$time <- as.numeric(substr(fev$avisit, 4, 4))
empty <- read.csv("tests/reference/data/empty_cell.csv")
empty[c("region", "dose", "visit")] <- lapply(empty[c("region", "dose", "visit")], factor)
sets <- list(fev = fev, empty_cell = empty)
emm_options(lmerTest.limit = 1e5, pbkrtest.limit = 1e5)

columns <- function(object, labels, ...) {
  t <- as.data.frame(summary(object, infer = TRUE, ...))
  names(t)[grepl("^(emmean|estimate|.*\\.trend)$", names(t))] <- "estimate"
  names(t)[names(t) == "SE"] <- "std_error"
  names(t)[names(t) == "t.ratio"] <- "statistic"
  names(t)[names(t) == "p.value"] <- "p_value"
  names(t)[names(t) == "lower.CL"] <- "conf_low"
  names(t)[names(t) == "upper.CL"] <- "conf_high"
  for (n in labels) t[[n]] <- if (is.factor(t[[n]])) as.character(t[[n]]) else t[[n]]
  t[c(labels, "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")]
}

# Exact multivariate t of mvtnorm, whose df must be whole numbers. Each row of a family with the
# integer part of its own df, as emmeans does, but with an error of the integral near 3e-6
# (three standard errors; `error` keeps the largest).
exact <- function(object, by_rows) {
  t <- as.data.frame(summary(object, infer = TRUE, adjust = "none"))
  V <- vcov(object); p <- q <- rep(NA_real_, nrow(t)); err <- 0
  for (rows in by_rows) {
    R <- cov2cor(V[rows, rows, drop = FALSE]); k <- length(rows)
    for (i in rows) {
      df <- as.integer(t$df[i] + 1e-8)
      a <- abs(t$t.ratio[i])
      set.seed(1)
      g <- pmvt(rep(-a, k), rep(a, k), df = df, corr = R,
                algorithm = GenzBretz(maxpts = 1e6, abseps = 5e-7, releps = 0))
      err <- max(err, attr(g, "error")); p[i] <- 1 - g
    }
    if (rows[1] > 1) next
    # the root of pmvt itself: qmvt stops earlier
    df <- as.integer(t$df[1] + 1e-8)
    low <- if (k > 1) qt(0.975, df) else next
    outside <- function(x) {
      set.seed(1)
      pmvt(rep(-x, k), rep(x, k), df = df, corr = R,
           algorithm = GenzBretz(maxpts = 1e6, abseps = 5e-7, releps = 0)) - 0.95
    }
    q[1] <- uniroot(outside, c(low, qt(1 - 0.025 / k, df)), tol = 1e-6)$root
  }
  list(p_value = p, quantile_first = q, whole_df = as.integer(t$df + 1e-8), error = err)
}

fit_of <- function(data, formula, kind) {
  if (kind == "lm") return(do.call(lm, list(formula, sets[[data]])))
  control <- lmerControl(optCtrl = list(xtol_rel = 1e-14, xtol_abs = 1e-14, ftol_rel = 1e-15,
                                        ftol_abs = 1e-15, maxeval = 1e5))
  full <- update(formula, . ~ . + (1 | usubjid))
  environment(full) <- environment()
  d <- sets[[data]]
  do.call(lmerTest::lmer, list(full, d, control = control))
}

adjusted <- function(data, formula, over, by = character(), method, adjusts, kind = "lm",
                     family = "within_by", weights = "equal", exactly = TRUE) {
  fit <- fit_of(data, formula, kind)
  arguments <- list(fit, specs = over, by = if (length(by)) by, weights = weights, data = sets[[data]])
  if (kind == "lmer") arguments$lmer.df <- "satterthwaite"
  means <- suppressMessages(do.call(emmeans, arguments))
  name <- c(pairwise = "pairwise", revpairwise = "revpairwise", treatment_vs_control = "trt.vs.ctrl",
            consecutive = "consec")[[method]]
  found <- contrast(means, name)
  labels <- c("contrast", by)
  shown <- as.data.frame(summary(found, infer = TRUE, adjust = "none"))
  group <- if (length(by) && family == "within_by") do.call(paste, shown[by]) else rep("", nrow(shown))
  by_rows <- split(seq_len(nrow(shown)), factor(group, unique(group)))
  out <- list(data = data, formula = deparse1(formula), kind = kind, over = as.list(over),
              by = as.list(by), method = method, family = family, weights = weights,
              unadjusted = columns(found, labels, adjust = "none"), adjusted = list())
  # emmeans takes all groups as one family with by = NULL and cross.adjust is no equal of that
  whole <- if (family == "all") update(found, by.vars = NULL) else found
  for (a in adjusts) out$adjusted[[a]] <- columns(whole, labels, adjust = a)
  if (exactly) out$exact <- exact(found, by_rows)
  out
}

trend <- function(data, formula, var, over, by = character(), at = NULL, kind = "lm", delta = 1e-4,
                  weights = "equal") {
  fit <- fit_of(data, formula, kind)
  arguments <- list(fit, over, var = var, by = if (length(by)) by, weights = weights)
  if (!is.null(at)) arguments$at <- at
  if (kind == "lmer") arguments$lmer.df <- "satterthwaite"
  # emtrends takes a step to one side; the mean of both sides has an error of the step squared
  step <- function(delta) suppressMessages(do.call(emtrends, c(arguments, delta.var = delta)))
  default <- suppressMessages(do.call(emtrends, arguments))
  central <- step(delta)
  central@linfct <- (central@linfct + step(-delta)@linfct) / 2
  list(data = data, formula = deparse1(formula), kind = kind, var = var, over = as.list(over),
       by = as.list(by), at = at, weights = weights,
       default = columns(default, c(over, by), adjust = "none")$estimate,
       slopes = columns(central, c(over, by), adjust = "none"),
       contrasts = columns(contrast(central, "revpairwise"), c("contrast", by), adjust = "none"))
}

# Averages over people: predict everyone at every level; the variance of the coefficients by the
# gradient, that of the covariates over people by the spread of their own predictions.
counterfactual <- function(data, formula, over) {
  d <- sets[[data]]; fit <- lm(formula, d); beta <- coef(fit); V <- vcov(fit); n <- nrow(d)
  X <- lapply(levels(d[[over]]), function(l) {
    e <- d; e[[over]] <- factor(l, levels(d[[over]]))
    model.matrix(delete.response(terms(fit)), e)
  })
  G <- t(sapply(X, colMeans)); own <- sapply(X, function(x) drop(x %*% beta))
  conditional <- G %*% V %*% t(G); people <- cov(own) / n
  list(data = data, formula = deparse1(formula), over = over, levels = levels(d[[over]]),
       estimate = drop(G %*% beta), conditional = conditional, people = people, n = n)
}

all <- c("none", "bonferroni", "holm", "BH", "tukey", "mvt")
many <- c("none", "bonferroni", "holm", "BH", "dunnettx", "mvt")
trends <- list(
  straight = trend("fev", fev1 ~ armcd * time + race, "time", "armcd"),
  straight_by = trend("fev", fev1 ~ armcd * race * time + sex, "time", "armcd", "race"),
  proportional = trend("fev", fev1 ~ armcd * race * time + sex, "time", "armcd", weights = "proportional"),
  logged = trend("fev", fev1 ~ armcd * log(time) + race, "time", "armcd"),
  logged_at = trend("fev", fev1 ~ armcd * log(time) + race, "time", "armcd", at = list(time = 2)),
  squared = trend("fev", fev1 ~ armcd * (fev1_bl + I(fev1_bl^2)) + avisit, "fev1_bl", "armcd", at = list(fev1_bl = 45)),
  orthogonal = trend("fev", fev1 ~ armcd * poly(fev1_bl, 3) + avisit, "fev1_bl", "armcd"),
  spline = trend("fev", fev1 ~ armcd * bs(fev1_bl, knots = c(35, 45)) + avisit, "fev1_bl", "armcd", at = list(fev1_bl = 38)),
  two_covariates = trend("fev", fev1 ~ armcd * fev1_bl * time + race, "time", "armcd", at = list(fev1_bl = 30)),
  intercept = trend("fev", fev1 ~ armcd * time + race, "time", "armcd", kind = "lmer")
)
averages <- list(
  slopes = counterfactual("fev", fev1 ~ armcd * fev1_bl + race, "armcd"),
  curved = counterfactual("fev", fev1 ~ armcd * (fev1_bl + I(fev1_bl^2)) + armcd * race + sex, "armcd"),
  three = counterfactual("fev", fev1 ~ race * fev1_bl + avisit, "race")
)
cases <- list(
  visits_pairwise = adjusted("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", "pairwise", all),
  race_pairwise = adjusted("fev", fev1 ~ race + sex + avisit, "race", character(), "revpairwise", all),
  cells_pairwise = adjusted("fev", fev1 ~ race * sex + avisit, c("race", "sex"), character(), "pairwise", all),
  visits_control = adjusted("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", "treatment_vs_control", many),
  race_control = adjusted("fev", fev1 ~ race * fev1_bl + avisit, "race", character(), "treatment_vs_control", many),
  visits_steps = adjusted("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", "consecutive",
                          c("bonferroni", "holm", "BH", "mvt")),
  steps_all = adjusted("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", "consecutive",
                       c("bonferroni", "holm", "BH", "mvt"), family = "all"),
  proportional = adjusted("fev", fev1 ~ armcd * avisit * race + sex, "avisit", "armcd", "pairwise",
                          all, weights = "proportional"),
  intercept_pairwise = adjusted("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", "pairwise", all, "lmer"),
  intercept_between = adjusted("fev", fev1 ~ armcd * avisit + race, "race", character(), "pairwise", all, "lmer"),
  intercept_control = adjusted("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", "treatment_vs_control",
                               many, "lmer")
)
write_json(list(source = "R emmeans, mvtnorm and lmerTest", script = "scripts/means_adjusted.R",
                R = R.version.string,
                versions = lapply(setNames(nm = c("emmeans", "mvtnorm", "lme4", "lmerTest")),
                                  function(p) as.character(packageVersion(p))),
                cases = cases, trends = trends, averages = averages),
           "tests/reference/peers/means_adjusted.json", digits = I(15), auto_unbox = TRUE, na = "null",
           matrix = "rowmajor", pretty = TRUE)
