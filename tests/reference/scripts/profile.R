# Rscript tests/reference/scripts/profile.R   (from the top of the repository)
# Profile-likelihood intervals by root finding on the exact profile: the bound is where twice the drop of
# the log-likelihood, maximised over everything else, is the chi-square quantile. lme4's confint beside it
# (ML whatever the fit was, splines through points; on the SD scale, here squared).
source("tests/reference/scripts/mixed.R")
irregular <- read_table("irregular"); orthodont <- read_table("orthodont"); sleepstudy <- read_table("sleepstudy")
target <- function(level) qchisq(level, 1)

# drop(x): twice the fall of the log-likelihood with the parameter held at x; warm starts carry over
bound <- function(drop, at, step, level) {
  far <- at + step; tries <- 0
  while (drop(far) < target(level)) { step <- 1.6 * step; far <- at + step; if ((tries <- tries + 1) > 40) return(NA) }
  uniroot(function(x) drop(x) - target(level), sort(c(at, far)), tol = 1e-11 * abs(step), maxiter = 200)$root
}
theta_profile <- function(model, e, k, level, lowest) {
  se <- sqrt(solve(e$observed)[k, k])
  side <- function(sign) {
    last <- e$theta
    drop <- function(x) { if (x == e$theta[k]) return(0)
      start <- last; start[k] <- x
      if (is.null(log_likelihood_dense(model, start))) return(Inf)
      r <- tryCatch(polish_dense(model, start, free = setdiff(seq_along(start), k)), error = function(err) NULL)
      if (is.null(r)) return(Inf)
      last <<- r$theta; 2 * (e$loglik - r$loglik) }
    if (sign < 0 && is.finite(lowest)) { floor <- drop(lowest + 1e-9 * e$theta[k]); if (is.finite(floor) && floor < target(level)) return(lowest); last <- e$theta }
    bound(drop, e$theta[k], sign * min(se, if (sign < 0 && is.finite(lowest)) 0.5 * (e$theta[k] - lowest) else se), level)
  }
  c(side(-1), side(1))
}
beta_profile <- function(model, e, j, level) {
  se <- sqrt(e$Phi[j, j])
  side <- function(sign) {
    last <- e$theta
    drop <- function(b) { held <- model; held$X <- model$X[, -j, drop = FALSE]; held$y <- model$y - model$X[, j] * b
      r <- polish_dense(held, last); last <<- r$theta; 2 * (e$loglik - r$loglik) }
    bound(drop, e$beta[j], sign * 1.5 * se, level)
  }
  c(side(-1), side(1))
}

one <- function(id, table, data, fixed, design, method, level = 0.95) {
  random <- list(list(design = design, group = "subject", cell = "subject", full = TRUE)); q <- ncol(model.matrix(design, data))
  bar <- paste0("(", sub("^~ ?", "", deparse1(design)), " | subject)")
  full <- as.formula(paste(deparse1(fixed), "+", bar)); environment(full) <- environment()
  fit <- lme4::lmer(full, data, REML = method == "REML", control = tight)
  model <- mixed_model(model.matrix(fixed, data), model.response(model.frame(fixed, data)), data$subject, dense_random(random, data),
                       independent_errors(rep(1, nrow(data))), method)
  e <- polish_dense(model, lmer_theta(fit, random))
  labels <- c(upper_names("subject", colnames(model.matrix(design, data)), TRUE), "residual_variance")
  diagonal <- if (q == 1) 1 else c(1, 3)
  wanted <- c(diagonal, length(labels))
  rows <- lapply(wanted, function(k) { b <- theta_profile(model, e, k, level, 0)
    data.frame(parameter = labels[k], estimate = e$theta[k], lower = b[1], upper = b[2]) })
  if (method == "ML") rows <- c(rows, lapply(seq_along(e$beta), function(j) { b <- beta_profile(model, e, j, level)
    data.frame(parameter = e$names[j], estimate = e$beta[j], lower = b[1], upper = b[2]) }))
  out <- list(id = id, program = "dense.R", data = table, formula = deparse1(fixed), random = bar, subject = "subject", method = method,
    factors = factors_in(fixed, data), level = level, loglik = e$loglik, theta = e$theta, theta_names = labels, profile = `rownames<-`(do.call(rbind, rows), NULL))
  cat(id, "\n"); print(out$profile, digits = 8)
  if (method == "ML") {
    p <- suppressWarnings(confint(profile(fit, devtol = 1e-12, delta.cutoff = 1 / 16), level = level, quiet = TRUE))
    sd_rows <- rownames(p)[grepl("^\\.sig", rownames(p))]
    variances <- if (q == 1) sd_rows else c(".sig01", ".sig03", ".sigma"); p[variances, ] <- p[variances, ]^2
    mine <- as.matrix(out$profile[, c("lower", "upper")]); theirs <- p[c(variances, out$profile$parameter[-seq_along(variances)]), ]
    out$lme4_profile <- data.frame(parameter = out$profile$parameter, lower = theirs[, 1], upper = theirs[, 2], row.names = NULL)
    if (q == 2) out$lme4_correlation_interval <- unname(p[".sig02", ])
    cat("   lme4 off by", max(abs(theirs - mine) / (mine[, 2] - mine[, 1]), na.rm = TRUE), "of the interval's width\n")
  }
  out
}
models <- list()
for (m in c("REML", "ML")) models <- c(models, list(
  one(paste0("sleepstudy_ri_", tolower(m)), "sleepstudy", sleepstudy, reaction ~ days, ~ 1, m),
  one(paste0("sleepstudy_rs_", tolower(m)), "sleepstudy", sleepstudy, reaction ~ days, ~ 1 + days, m),
  one(paste0("orthodont_ri_", tolower(m)), "orthodont", orthodont, distance ~ age * sex, ~ 1, m),
  one(paste0("irregular_rs_", tolower(m)), "irregular", irregular, bmd ~ arm * time + age, ~ 1 + time, m)))
write_models("profile", "profile-likelihood intervals by root finding on the exact profile (dense.R); variances on the variance scale; `lme4_profile` is lme4's, squared",
             models, "lme4")
