# Rscript tests/reference/scripts/residual_structures.R   (from the top of the repository)
# Random effects with a residual structure, residual variance by group, and marginal models on irregular
# times: nlme beside dense.R, which goes on from where nlme stopped.
source("tests/reference/scripts/mixed.R")
suppressPackageStartupMessages(library(nlme))
irregular <- read_table("irregular"); irregular$inverse <- 1 / irregular$repeats
sleepstudy <- read_table("sleepstudy"); orthodont <- read_table("orthodont")
fixed <- hip ~ arm * time + age

# ---- residual covariances of rows r at theta (the part behind the random effects) ----------------------
independent <- function(data) list(names = "residual_variance", f = function(th, r) diag(th[1], length(r)))
by_group <- function(data, column) list(names = paste0("residual_variance:", levels(data[[column]])),
  f = function(th, r) diag(th[as.integer(data[[column]])[r]], length(r)))
ar1 <- function(data, index) list(names = c("residual_variance", "rho"), f = function(th, r)
  th[1] * power_of(th[2], abs(outer(data[[index]][r], data[[index]][r], "-"))))

start_of <- function(fit, random_q, full = TRUE) {
  G <- if (random_q) unname(matrix(as.numeric(getVarCov(fit)), random_q)) else NULL
  s2 <- fit$sigma^2; cs <- fit$modelStruct$corStruct; vs <- fit$modelStruct$varStruct
  residual <- if (inherits(vs, "varIdent")) {
    ratio <- coef(vs, unconstrained = FALSE, allCoef = TRUE); s2 * (ratio[sort(names(ratio))])^2
  } else s2
  c(if (random_q) (if (full) theta_of_G(G) else diag(G)), unname(residual), if (!is.null(cs)) unname(coef(cs, unconstrained = FALSE)))
}

nlme_numbers <- function(fit, e, method) {
  X_n <- length(residuals(fit)); p <- length(e$beta)
  beta <- if (inherits(fit, "lme")) fixef(fit) else coef(fit)
  # gls inflates ML standard errors by sqrt(N / (N - p)); of lme only summary() does, vcov() does not
  factor_ml <- if (method == "ML" && inherits(fit, "gls")) sqrt((X_n - p) / X_n) else 1
  se <- sqrt(diag(as.matrix(vcov(fit)))) * factor_ml
  list(loglik = as.numeric(logLik(fit)), beta = unname(beta), se = unname(se),
    loglik_below_polished = e$loglik - as.numeric(logLik(fit)), estimates_max_diff_in_se = max(abs(beta - e$beta) / se),
    se_max_rel_diff = max(abs(se / sqrt(diag(e$Phi)) - 1)))
}

# `residual` fills dense.R's theta behind the random part; `how` says in words what nlme was asked
one <- function(id, table, data, formula, design, residual, how, fit, method, weights = NULL, extra = list()) {
  X <- model.matrix(formula, data); y <- model.response(model.frame(formula, data)); L3 <- hypotheses(formula, data, X)
  w <- if (is.null(weights)) rep(1, length(y)) else data[[weights]]
  scaled_residual <- function(th, r) residual$f(th, r) / sqrt(w[r] %o% w[r])
  q <- if (is.null(design)) 0 else ncol(model.matrix(design, data))
  linear <- !("rho" %in% residual$names)
  if (q) {
    random <- dense_random(list(list(design = design, group = "subject", cell = "subject", full = TRUE)), data)
    model <- mixed_model(X, y, data$subject, random, scaled_residual, method, linear)
  } else {
    rows <- split(seq_along(y), factor(data$subject, unique(data$subject)))
    model <- dense_model(X, y, data$subject, lapply(rows, function(r) local({ r <- r; function(th) scaled_residual(th, r) })),
                         data$subject, ave(seq_along(y), data$subject, FUN = seq_along), NULL, method, linear)
  }
  start <- start_of(fit, q); e <- polish_dense(model, start)
  labels <- c(if (q) upper_names("subject", colnames(model.matrix(design, data)), TRUE), residual$names)
  about <- c(list(data = table, formula = deparse1(formula), random = if (q) paste0("(", sub("^~ ?", "", deparse1(design)), " | subject)"),
    subject = "subject", weights = weights, factors = factors_in(formula, data), nlme_call = how), extra)
  out <- dense_report(id, about, model, e, L3, labels, second = FALSE)
  out$covariance <- NULL
  if (q) { out$random_covariance <- list(subject = random_covariance(model, e, 1)); out$blups <- list(subject = blups_dense(model, e, 1))
    out$fitted <- fitted_dense(model, e) }
  out$residual_theta <- setNames(as.list(tail(e$theta, length(residual$names))), residual$names)
  out$nlme <- nlme_numbers(fit, e, method)
  cat(sprintf("%-36s llf %.9f decrement %.0e | nlme below by %.1e est %.1e SE se %.1e | %s\n", id, e$loglik, e$decrement,
    out$nlme$loglik_below_polished, out$nlme$estimates_max_diff_in_se, out$nlme$se_max_rel_diff, paste(signif(e$theta, 4), collapse = " ")))
  out
}

lme_control <- lmeControl(opt = "optim", maxIter = 500, msMaxIter = 500, niterEM = 100, tolerance = 1e-10, msTol = 1e-12, returnObject = TRUE)
gls_control <- glsControl(tolerance = 1e-10, msTol = 1e-12, maxIter = 500, msMaxIter = 500, returnObject = TRUE)
lme_fit <- function(formula, data, random, method, ...) do.call(lme, list(formula, data = data, random = random, method = method, control = lme_control, ...))
gls_fit <- function(formula, data, method, ...) do.call(gls, list(formula, data = data, method = method, control = gls_control, ...))

models <- list()
for (m in c("REML", "ML")) {
  id <- function(x) paste0(x, "_", tolower(m)); b <- bmd ~ arm * time + age
  models <- c(models, list(
    one(id("ri_residual_group"), "irregular", irregular, b, ~ 1, by_group(irregular, "scanner"), "lme(random = ~ 1 | subject, weights = varIdent(~ 1 | scanner))",
      lme_fit(b, irregular, ~ 1 | subject, m, weights = varIdent(form = ~ 1 | scanner)), m, extra = list(residual_group = "scanner", residual = "by group")),
    one(id("rs_residual_group"), "irregular", irregular, b, ~ 1 + time, by_group(irregular, "scanner"), "lme(random = ~ time | subject, weights = varIdent(~ 1 | scanner))",
      lme_fit(b, irregular, ~ time | subject, m, weights = varIdent(form = ~ 1 | scanner)), m, extra = list(residual_group = "scanner", residual = "by group")),
    one(id("ri_ar1"), "irregular", irregular, fixed, ~ 1, ar1(irregular, "scan"), "lme(random = ~ 1 | subject, correlation = corAR1(~ scan | subject))",
      lme_fit(fixed, irregular, ~ 1 | subject, m, correlation = corAR1(form = ~ scan | subject)), m, extra = list(residual = "ar1", visit = "scan")),
    one(id("ri_sp_exp"), "irregular", irregular, fixed, ~ 1, ar1(irregular, "time"), "lme(random = ~ 1 | subject, correlation = corCAR1(~ time | subject))",
      lme_fit(fixed, irregular, ~ 1 | subject, m, correlation = corCAR1(form = ~ time | subject)), m, extra = list(residual = "sp_exp", time = "time")),
    one(id("ri_sp_exp_weights"), "irregular", irregular, fixed, ~ 1, ar1(irregular, "time"), "lme(random = ~ 1 | subject, correlation = corCAR1(~ time | subject), weights = varFixed(~ 1 / repeats))",
      lme_fit(fixed, irregular, ~ 1 | subject, m, correlation = corCAR1(form = ~ time | subject), weights = varFixed(~ inverse)), m, "repeats", extra = list(residual = "sp_exp", time = "time")),
    one(id("sp_exp"), "irregular", irregular, fixed, NULL, ar1(irregular, "time"), "gls(correlation = corCAR1(~ time | subject))",
      gls_fit(fixed, irregular, m, correlation = corCAR1(value = 0.7, form = ~ time | subject)), m, extra = list(structure = "sp_exp", time = "time")),
    one(id("sp_exp_weights"), "irregular", irregular, fixed, NULL, ar1(irregular, "time"), "gls(correlation = corCAR1(~ time | subject), weights = varFixed(~ 1 / repeats))",
      gls_fit(fixed, irregular, m, correlation = corCAR1(value = 0.7, form = ~ time | subject), weights = varFixed(~ inverse)), m, "repeats", extra = list(structure = "sp_exp", time = "time")),
    one(id("sleepstudy_ri_ar1"), "sleepstudy", sleepstudy, reaction ~ days, ~ 1, ar1(sleepstudy, "days"), "lme(random = ~ 1 | subject, correlation = corAR1(~ days | subject))",
      lme_fit(reaction ~ days, sleepstudy, ~ 1 | subject, m, correlation = corAR1(form = ~ days | subject)), m, extra = list(residual = "ar1", visit = "days")),
    one(id("orthodont_ri_residual_group"), "orthodont", orthodont, distance ~ age * sex, ~ 1, by_group(orthodont, "sex"), "lme(random = ~ 1 | subject, weights = varIdent(~ 1 | sex))",
      lme_fit(distance ~ age * sex, orthodont, ~ 1 | subject, m, weights = varIdent(form = ~ 1 | sex)), m, extra = list(residual_group = "sex", residual = "by group"))))
}
write_models("residual_structures", "dense.R from where nlme stopped; `nlme` says how far that is from the top. theta: the random covariance (upper triangle), then the residual",
             models, "nlme")
