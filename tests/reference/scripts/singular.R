# Rscript tests/reference/scripts/singular.R   (from the top of the repository)
# Optima on the boundary: a variance of zero and a correlation of one. The best covariance of lower rank
# is found by dense.R in coordinates in which it is an inner point; `uphill_into_the_inside` is the slope
# of the log-likelihood towards the inside: below zero, so the boundary is the optimum.
source("tests/reference/scripts/mixed.R")
subject_effects <- function(design) list(list(design = design, group = "subject", cell = "subject", full = TRUE))

zero_variance <- function(id, table, data, fixed, method) {
  X <- model.matrix(fixed, data); y <- model.response(model.frame(fixed, data))
  full <- update(fixed, . ~ . + (1 | subject)); environment(full) <- environment()
  fit <- do.call(lme4::lmer, list(full, data, REML = method == "REML", control = tight))
  model <- mixed_model(X, y, data$subject, dense_random(subject_effects(~ 1), data), independent_errors(rep(1, nrow(data))), method)
  n <- nrow(X); p <- ncol(X); s2 <- sum(lm.fit(X, y)$residuals^2) / (if (method == "REML") n - p else n)
  e <- evaluate_dense(model, c(0, s2)); l <- lm(fixed, data)
  cat(sprintf("%-34s llf %.9f lmer %+.1e lm %+.1e slope %.3g lmer variance %.1e\n", id, e$loglik, as.numeric(logLik(fit)) - e$loglik,
    as.numeric(logLik(l, REML = method == "REML")) - e$loglik, e$score[1], VarCorr(fit)[[1]][1, 1]))
  list(id = id, program = "dense.R, closed form", data = table, formula = deparse1(fixed), random = "(1 | subject)", subject = "subject",
    method = method, factors = factors_in(fixed, data), n_obs = n, n_subjects = length(model$rows), loglik = e$loglik, names = e$names,
    beta = e$beta, vcov = unname(e$Phi), theta = e$theta, theta_names = c("subject:(Intercept):(Intercept)", "residual_variance"),
    random_covariance = list(subject = matrix(0)), residual_variance = s2, singular = TRUE, uphill_into_the_inside = e$score[1],
    residual_df = n - p, lmer = list(loglik = as.numeric(logLik(fit)), theta = c(VarCorr(fit)[[1]][1, 1], sigma(fit)^2)))
}

rank_one <- function(id, table, data, fixed, design, method) {
  X <- model.matrix(fixed, data); y <- model.response(model.frame(fixed, data))
  bar <- paste0("(1 + ", all.vars(design), " | subject)")
  full <- as.formula(paste(deparse1(fixed), "+", bar)); environment(full) <- environment()
  fit <- do.call(lme4::lmer, list(full, data, REML = method == "REML", control = tight))
  random <- dense_random(subject_effects(design), data); Z <- random[[1]]$Z
  inner <- mixed_model(X, y, data$subject, random, independent_errors(rep(1, nrow(data))), method)
  bound <- inner; bound$linear <- FALSE
  bound$bases <- lapply(inner$rows, function(r) local({ r <- r
    function(th) { z <- Z[r, , drop = FALSE] %*% th[1:2]; z %*% t(z) + diag(th[3] + 0 * th[1], length(r)) } }))
  v <- VarCorr(fit)[[1]]
  e <- polish_dense(bound, c(sqrt(v[1, 1]), sqrt(v[2, 2]) * sign(v[1, 2]), sigma(fit)^2))
  a <- e$theta[1:2]; G <- a %o% a; at <- evaluate_dense(inner, c(G[1, 1], G[1, 2], G[2, 2], e$theta[3]))
  S <- matrix(c(at$score[1], at$score[2] / 2, at$score[2] / 2, at$score[3]), 2); null <- c(-a[2], a[1]) / sqrt(sum(a^2))
  uphill <- as.numeric(t(null) %*% S %*% null)
  cat(sprintf("%-34s llf %.9f decrement %.0e lmer %+.1e slope %.3g lmer correlation %.9f\n", id, e$loglik, e$decrement,
    as.numeric(logLik(fit)) - e$loglik, uphill, attr(v, "correlation")[1, 2]))
  list(id = id, program = "dense.R", data = table, formula = deparse1(fixed), random = bar, subject = "subject", method = method,
    factors = factors_in(fixed, data), n_obs = nrow(X), n_subjects = length(bound$rows), loglik = e$loglik, newton_decrement = e$decrement,
    names = e$names, beta = e$beta, vcov = unname(e$Phi), theta = at$theta,
    theta_names = c(upper_names("subject", colnames(Z), TRUE), "residual_variance"), random_covariance = list(subject = G),
    residual_variance = e$theta[3], singular = uphill < 0, uphill_into_the_inside = uphill,
    lmer = list(loglik = as.numeric(logLik(fit)), theta = c(v[1, 1], v[1, 2], v[2, 2], sigma(fit)^2)))
}

dyestuff2 <- read_table("dyestuff2"); dyestuff2$subject <- dyestuff2$batch
negative <- read.csv("tests/reference/data/negative_correlation.csv", stringsAsFactors = TRUE); negative$subject <- as.character(negative$subject)
tied <- read_table("tied_slope")
models <- list()
for (m in c("REML", "ML")) models <- c(models, list(
  zero_variance(paste0("dyestuff2_ri_", tolower(m)), "dyestuff2", dyestuff2, yield ~ 1, m),
  zero_variance(paste0("negative_correlation_ri_", tolower(m)), "negative_correlation", negative, y ~ arm * visit, m),
  rank_one(paste0("tied_slope_rs_", tolower(m)), "tied_slope", tied, y ~ time, ~ time, m)))
write_models("singular", "optima on the boundary of the covariance parameters; lme4 beside them (dyestuff2: `subject` is the column batch)", models, c("lme4"))
