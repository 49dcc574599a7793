# Rscript tests/reference/scripts/leave_one_out.R   (from the top of the repository)
# Every subject left out once and the model fitted again to the last digits: true refits, against which
# one-step and fixed-theta influence can be judged. lme4 refits beside those with random effects.
source("tests/reference/scripts/mixed.R")
irregular <- read_table("irregular"); orthodont <- read_table("orthodont"); sleepstudy <- read_table("sleepstudy")
bmd_like <- read.csv("tests/reference/data/bmd_like.csv"); bmd_like <- bmd_like[!is.na(bmd_like$bmd), ]
bmd_like$visit <- factor(bmd_like$visit, paste0("month_", c(0, 12, 36, 60, 120)))
bmd_like$group <- factor(bmd_like$group); bmd_like$chemo <- factor(bmd_like$chemo)

without <- function(data, subject, build, start) {
  lapply(unique(as.character(data[[subject]])), function(s) {
    e <- polish_dense(build(data[as.character(data[[subject]]) != s, ]), start)
    list(left_out = s, loglik = e$loglik, beta = e$beta, theta = e$theta, newton_decrement = e$decrement)
  })
}
collect <- function(id, about, e, refits, theta_names) {
  cat(sprintf("%-24s %d refits, largest decrement %.0e, largest shift %.2f SE\n", id, length(refits),
    max(vapply(refits, `[[`, 0, "newton_decrement")), max(vapply(refits, function(r) max(abs(r$beta - e$beta) / sqrt(diag(e$Phi))), 0))))
  c(list(id = id, program = "dense.R"), about, list(method = "REML", loglik = e$loglik, names = e$names, beta = e$beta, vcov = unname(e$Phi),
    theta = e$theta, theta_names = theta_names, left_out = vapply(refits, `[[`, "", "left_out"),
    loglik_without = vapply(refits, `[[`, 0, "loglik"), beta_without = t(vapply(refits, `[[`, e$beta, "beta")),
    theta_without = t(vapply(refits, `[[`, e$theta, "theta"))))
}

random_effects <- function(id, table, data, fixed, design) {
  random <- list(list(design = design, group = "subject", cell = "subject", full = TRUE))
  build <- function(d) mixed_model(model.matrix(fixed, d), model.response(model.frame(fixed, d)), d$subject, dense_random(random, d),
                                   independent_errors(rep(1, nrow(d))), "REML")
  bar <- paste0("(", sub("^~ ?", "", deparse1(design)), " | subject)")
  full <- as.formula(paste(deparse1(fixed), "+", bar))
  fit_to <- function(d) lme4::lmer(full, d, control = tight)
  start <- lmer_theta(fit_to(data), random); e <- polish_dense(build(data), start)
  refits <- without(data, "subject", build, e$theta)
  out <- collect(id, list(data = table, formula = deparse1(fixed), random = bar, subject = "subject", factors = factors_in(fixed, data)),
                 e, refits, c(upper_names("subject", colnames(model.matrix(design, data)), TRUE), "residual_variance"))
  out$lmer_beta_without <- t(vapply(out$left_out, function(s) fixef(fit_to(data[data$subject != s, ])), e$beta, USE.NAMES = FALSE))
  out$lmer_largest_difference_in_se <- max(abs(out$lmer_beta_without - out$beta_without) / rep(sqrt(diag(e$Phi)), each = nrow(out$beta_without)))
  cat("   lme4 refits off by", out$lmer_largest_difference_in_se, "SE\n")
  out
}
marginal <- function(id, table, data, fixed, subject, visit, structure) {
  m <- nlevels(data[[visit]])
  build <- function(d) marginal_model(model.matrix(fixed, d), model.response(model.frame(fixed, d)), d[[subject]], as.integer(d[[visit]]), structure, "REML")
  s2 <- summary(lm(fixed, data))$sigma^2
  e <- polish_dense(build(data), theta_of(s2 * (0.4 * diag(m) + 0.6), structure))
  collect(id, list(data = table, formula = deparse1(fixed), subject = subject, visit = visit, structure = structure, factors = factors_in(fixed, data)),
          e, without(data, subject, build, e$theta), paste0("theta_", seq_along(e$theta)))
}

write_models("leave_one_out", "each subject left out once, dense.R refits from the full optimum; `*_without` has one row per left_out subject", list(
  random_effects("sleepstudy_rs", "sleepstudy", sleepstudy, reaction ~ days, ~ 1 + days),
  random_effects("orthodont_ri", "orthodont", orthodont, distance ~ age * sex, ~ 1),
  random_effects("irregular_rs", "irregular", irregular, bmd ~ arm * time + age, ~ 1 + time),
  marginal("orthodont_un", "orthodont", orthodont, distance ~ sex * agef, "subject", "agef", "un"),
  marginal("orthodont_ar1h", "orthodont", orthodont, distance ~ sex * agef, "subject", "agef", "ar1h"),
  marginal("bmd_like_un", "bmd_like", bmd_like, bmd ~ group * visit + age + chemo, "subject", "visit", "un")), "lme4")
