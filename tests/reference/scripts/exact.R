# Rscript tests/reference/scripts/exact.R   (from the top of the repository)
# Balanced designs whose REML answers are classical formulas of mean squares, with exact F and t: computed
# here from sums of squares alone (no model is fitted), with stats::aov, lme4 and dense.R beside them.
source("tests/reference/scripts/mixed.R")
ss <- function(x) sum((x - mean(x))^2)

# --- one-way random effects: Dyestuff, 6 batches of 5 (Davies and Goldsmith 1972, table 6.1) -----------
one_way <- function() {
  d <- read_table("dyestuff"); a <- 6; n <- 5; means <- tapply(d$yield, d$batch, mean)
  ms_between <- n * ss(means) / (a - 1); ms_within <- sum(tapply(d$yield, d$batch, ss)) / (a * (n - 1))
  N <- a * n; grand <- mean(d$yield)
  # REML of the balanced one-way layout: chi-square pieces of the two mean squares
  reml <- -0.5 * ((N - 1) * log(2 * pi) + a * (n - 1) * log(ms_within) + (a - 1) * log(ms_between) + (N - 1) + log(N))
  list(id = "dyestuff", data = "dyestuff", formula = "yield ~ 1", random = "(1 | batch)", subject = "batch", method = "REML",
    formulas = list(residual_variance = "MSW", random_variance = "(MSB - MSW) / n", mean_se = "sqrt(MSB / (a n))", df = "a - 1",
      F = "MSB / MSW on a - 1 and a (n - 1)", interval_ratio = "(F / F_quantile - 1) / n bounds G / sigma^2"),
    mean_squares = list(between = ms_between, within = ms_within), loglik = reml, residual_variance = ms_within,
    random_covariance = list(batch = matrix((ms_between - ms_within) / n)), names = I("(Intercept)"), beta = I(grand), se = I(sqrt(ms_between / N)),
    df = I(a - 1), F_batch = ms_between / ms_within, F_df = c(a - 1, a * (n - 1)), F_p = pf(ms_between / ms_within, a - 1, a * (n - 1), lower.tail = FALSE),
    ratio_interval_95 = ((ms_between / ms_within) / qf(c(0.975, 0.025), a - 1, a * (n - 1)) - 1) / n)
}

# --- split plot: Oats, 6 blocks, 3 varieties on plots, 4 doses on subplots (Yates 1935) ------------------
split_plot <- function() {
  d <- read_table("oats"); b <- 6; v <- 3; k <- 4; y <- d$yield
  cell <- function(...) ave(y, ...)
  g <- mean(y); blk <- cell(d$block); var <- cell(d$variety); plt <- cell(d$plot); nit <- cell(d$nitro); vn <- cell(d$variety, d$nitro)
  MS <- list(block = sum((blk - g)^2) / (b - 1), variety = sum((var - g)^2) / (v - 1),
    plot = sum((plt - blk - var + g)^2) / ((b - 1) * (v - 1)), nitro = sum((nit - g)^2) / (k - 1),
    interaction = sum((vn - var - nit + g)^2) / ((v - 1) * (k - 1)),
    subplot = sum((y - plt - vn + var)^2) / (v * (b - 1) * (k - 1)))
  df_plot <- (b - 1) * (v - 1); df_sub <- v * (b - 1) * (k - 1)
  tests <- data.frame(term = c("variety", "nitro", "variety:nitro"), num_df = c(v - 1, k - 1, (v - 1) * (k - 1)), den_df = c(df_plot, df_sub, df_sub),
    F = c(MS$variety / MS$plot, MS$nitro / MS$subplot, MS$interaction / MS$subplot))
  tests$p <- pf(tests$F, tests$num_df, tests$den_df, lower.tail = FALSE)
  aov_fit <- summary(aov(yield ~ variety * nitro + Error(block / variety), d))
  stopifnot(all.equal(tests$F, c(aov_fit[[2]][[1]]$`F value`[1], aov_fit[[3]][[1]]$`F value`[1:2])))
  list(id = "oats", data = "oats", formula = "yield ~ variety * nitro", random = "(1 | block) + (1 | plot)", subject = "block", method = "REML",
    formulas = list(plots = "MS_variety / MS_plot on v - 1 and (b - 1)(v - 1)", subplots = "MS_nitro / MS_subplot on k - 1 and v (b - 1)(k - 1)",
      block_variance = "(MS_block - MS_plot) / (v k)", plot_variance = "(MS_plot - MS_subplot) / k", residual_variance = "MS_subplot",
      variety_difference_se = "sqrt(2 MS_plot / (b k))", nitro_difference_se = "sqrt(2 MS_subplot / (b v))"),
    mean_squares = MS, type3 = tests, residual_variance = MS$subplot,
    random_covariance = list(block = matrix((MS$block - MS$plot) / (v * k)), plot = matrix((MS$plot - MS$subplot) / k)),
    variety_means = as.list(tapply(y, d$variety, mean)), nitro_means = as.list(tapply(y, d$nitro, mean)),
    variety_difference = list(se = sqrt(2 * MS$plot / (b * k)), df = df_plot), nitro_difference = list(se = sqrt(2 * MS$subplot / (b * v)), df = df_sub))
}

# --- between and within factors: Orthodont, sex between children, age as a factor within ------------------
repeated <- function() {
  d <- read_table("orthodont"); y <- d$distance; n_of <- tapply(d$subject, d$sex, function(x) length(unique(x))); m <- 4; n <- sum(n_of)
  subj <- ave(y, d$subject); sex <- ave(y, d$sex); cell <- ave(y, d$sex, d$agef)
  ms_subject <- sum((subj - sex)^2) / (n - 2); ms_error <- sum((y - subj - cell + sex)^2) / ((n - 2) * (m - 1))
  male <- tapply(y[d$sex == "Male"], d$agef[d$sex == "Male"], mean); female <- tapply(y[d$sex == "Female"], d$agef[d$sex == "Female"], mean)
  h <- 1 / sum(1 / n_of)                                    # harmonic weights: equal weight for both sexes
  F_sex <- m * h * (mean(male) - mean(female))^2 / ms_subject
  age <- (male + female) / 2; difference <- male - female
  F_age <- 4 * h * ss(age) / (m - 1) / ms_error; F_int <- h * ss(difference) / (m - 1) / ms_error
  tests <- data.frame(term = c("sex", "agef", "sex:agef"), num_df = c(1, m - 1, m - 1), den_df = c(n - 2, (n - 2) * (m - 1), (n - 2) * (m - 1)),
                      F = c(F_sex, F_age, F_int))
  tests$p <- pf(tests$F, tests$num_df, tests$den_df, lower.tail = FALSE)
  list(id = "orthodont", data = "orthodont", formula = "distance ~ sex * agef", random = "(1 | subject)", structure = "cs", subject = "subject", visit = "agef",
    method = "REML", formulas = list(variance = "(MS_subject + (m - 1) MS_error) / m", covariance = "(MS_subject - MS_error) / m",
      sex = "between children, on n - 2", agef = "within, on (n - 2)(m - 1)"), mean_squares = list(subject = ms_subject, error = ms_error), type3 = tests,
    residual_variance = ms_error, random_covariance = list(subject = matrix((ms_subject - ms_error) / m)),
    variance = (ms_subject + (m - 1) * ms_error) / m, covariance = (ms_subject - ms_error) / m)
}

# The peers on the same designs: lme4's variances, lmerTest and pbkrtest F and df.
beside <- function(out, data, fixed, bars) {
  full <- as.formula(paste(deparse1(fixed), "+", bars)); environment(full) <- environment()
  fit <- do.call(lmerTest::lmer, list(full, data, control = tight)); X <- model.matrix(fixed, data); L3 <- hypotheses(fixed, data, X)
  v <- as.data.frame(VarCorr(fit)); out$lmer <- list(loglik = as.numeric(logLik(fit)), variances = setNames(as.list(v$vcov), v$grp))
  if (length(L3)) { out$type3_L <- lapply(L3, unname)
    out$lmer$kenward_roger_type3 <- do.call(rbind, lapply(names(L3), function(term) { k <- KRmodcomp(fit, L3[[term]])$test["Ftest", ]
      data.frame(term = term, num_df = k$ndf, den_df = k$ddf, F = k$stat) }))
    cat(out$id, "F off by", max(abs(out$lmer$kenward_roger_type3$F / out$type3$F - 1)), "df by", max(abs(out$lmer$kenward_roger_type3$den_df / out$type3$den_df - 1)), "\n")
  } else { s <- coef(summary(fit)); out$lmer$mean <- list(estimate = s[1, 1], se = s[1, 2], df = s[1, 3])
    cat(out$id, "loglik off by", out$lmer$loglik - out$loglik, "se", s[1, 2] / out$se - 1, "df", s[1, 3] / out$df - 1, "\n") }
  cat("   residual variance off by", sigma(fit)^2 / out$residual_variance - 1, "\n")
  c(list(program = "mean squares"), out)
}
oats <- read_table("oats"); dyestuff <- read_table("dyestuff"); orthodont <- read_table("orthodont")
write_models("exact", "classical formulas of mean squares (balanced designs: REML is the analysis of variance); lme4 and pbkrtest beside them", list(
  beside(one_way(), dyestuff, yield ~ 1, "(1 | batch)"),
  beside(split_plot(), oats, yield ~ variety * nitro, "(1 | block) + (1 | plot)"),
  beside(repeated(), orthodont, distance ~ sex * agef, "(1 | subject)")), c("lme4", "lmerTest", "pbkrtest"))
