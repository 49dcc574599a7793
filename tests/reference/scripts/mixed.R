# What the scripts on random effects share: the tables, the dense model of an lme4-like formula, and
# lme4 with lmerTest and pbkrtest beside it.
source("tests/reference/scripts/dense_report.R")
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest)})

read_table <- function(name) {
  d <- read.csv(paste0("tests/reference/data/", name, ".csv"))
  if (name == "irregular") { d$arm <- factor(d$arm, c("placebo", "active")); d$scanner <- factor(d$scanner) }
  if (name == "three_sites") { d$site <- factor(d$site); d$group <- factor(d$group)
    d$cell <- paste(d$subject, d$site, sep = ":") }
  if (name == "orthodont") { d$sex <- factor(d$sex, c("Male", "Female")); d$agef <- factor(d$age) }
  if (name == "oats") { d$variety <- factor(d$variety); d$nitro <- factor(d$nitro, c("n0", "n2", "n4", "n6")) }
  if (startsWith(name, "sleepstudy")) d$subject <- as.character(d$subject)
  d
}

upper_names <- function(group, columns, full) if (full) unlist(lapply(seq_along(columns), function(a)
  paste0(group, ":", columns[a], ":", columns[a:length(columns)]))) else paste0(group, ":", columns)

# random: list of list(by = ~ design, group = "subject", cell = "subject", full = TRUE)
dense_random <- function(random, data) lapply(random, function(r) {
  Z <- model.matrix(r$design, data); attr(Z, "assign") <- NULL
  list(Z = Z, cell = data[[r$cell]], full = r$full, group = r$group)
})

independent_errors <- function(weights) function(th, r) diag(th[1] / weights[r], length(r))

lmer_theta <- function(fit, random) {             # G by group in the order of `random`, then sigma^2
  v <- VarCorr(fit); used <- list()
  parts <- lapply(random, function(r) {
    q <- ncol(model.matrix(r$design, fit@frame))
    at <- which(sub("[.][0-9]+$", "", names(v)) %in% c(r$group, paste(rev(strsplit(r$group, ":")[[1]]), collapse = ":")))
    if (r$full) { G <- as.matrix(v[[at[1]]]); return(theta_of_G(G)) }
    vapply(at, function(k) v[[k]][1, 1], 0)
  })
  c(unlist(parts), sigma(fit)^2)
}
theta_of_G <- function(G) unlist(lapply(seq_len(nrow(G)), function(a) G[a, a:nrow(G)]))

tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-11, maxfun = 2e5),
                     check.conv.singular = "ignore", check.conv.grad = "ignore", check.conv.hess = "ignore",
                     calc.derivs = TRUE)

lmer_numbers <- function(fit, L3, e, random, kr = TRUE) {
  X <- getME(fit, "X")
  table_of <- function(ddf) { s <- coef(summary(fit, ddf = ddf))
    data.frame(name = rownames(s), estimate = s[, 1], se = s[, 2], df = s[, 3], t = s[, 4], p = s[, 5], row.names = NULL) }
  reml <- isREML(fit); th <- lmer_theta(fit, random)
  s <- table_of("Satterthwaite")
  out <- list(loglik = as.numeric(logLik(fit)), theta = th, loglik_below_polished = e$loglik - as.numeric(logLik(fit)),
    estimates_max_diff_in_se = max(abs(s$estimate - e$beta) / s$se), aic = AIC(fit), bic = BIC(fit), loglik_df = attr(logLik(fit), "df"),
    satterthwaite = s, vcov = unname(as.matrix(vcov(fit))))
  if (length(L3)) out$satterthwaite_type3 <- do.call(rbind, lapply(names(L3), function(term) {
    k <- contestMD(fit, L3[[term]])
    data.frame(term = term, num_df = k$NumDF, den_df = k$DenDF, F = k$`F value`, p = k$`Pr(>F)`) }))
  if (reml && kr) {
    out$kenward_roger <- table_of("Kenward-Roger")
    out$kenward_roger_vcov <- unname(as.matrix(vcovAdj(fit)))
    if (length(L3)) out$kenward_roger_type3 <- do.call(rbind, lapply(names(L3), function(term) {
      k <- KRmodcomp(fit, L3[[term]])$test["Ftest", ]
      data.frame(term = term, num_df = k$ndf, den_df = k$ddf, F = k$stat, p = k$p.value, F_scaling = k$F.scaling) }))
  }
  out$fitted <- as.numeric(fitted(fit)); out$predicted_marginal <- as.numeric(predict(fit, re.form = NA))
  re <- ranef(fit, condVar = TRUE)
  out$blups <- lapply(setNames(nm = names(re)), function(g) {
    pv <- attr(re[[g]], "postVar")
    pv <- if (is.array(pv)) lapply(seq_len(dim(pv)[3]), function(i) pv[, , i]) else NULL
    list(levels = rownames(re[[g]]), columns = I(colnames(re[[g]])), values = unname(as.matrix(re[[g]])), cond_cov = pv)
  })
  out
}

# How far lme4, lmerTest and pbkrtest are from dense.R.
agreement <- function(out) {
  block <- function(method, info) Filter(function(b) b$df_method == method && b$information == info &&
    b$vcov_method %in% c("model", "kenward_roger"), out$inference)[[1]]
  s <- block("satterthwaite", "observed"); l <- out$lmer
  a <- c(loglik = l$loglik_below_polished, estimate_in_se = l$estimates_max_diff_in_se,
    se = max(abs(l$satterthwaite$se / s$coefficients$se - 1)), satt_df = max(abs(l$satterthwaite$df / s$coefficients$df - 1)))
  if (!is.null(l$satterthwaite_type3)) a <- c(a, satt_F = max(abs(l$satterthwaite_type3$F / s$type3$F - 1)),
    satt_ddf = max(abs(l$satterthwaite_type3$den_df / s$type3$den_df - 1)))
  if (!is.null(l$kenward_roger)) {
    k <- block("kenward_roger", "expected")
    a <- c(a, kr_se = max(abs(l$kenward_roger$se / k$coefficients$se - 1)), kr_df = max(abs(l$kenward_roger$df / k$coefficients$df - 1)))
    if (!is.null(l$kenward_roger_type3)) a <- c(a, kr_F = max(abs(l$kenward_roger_type3$F / k$type3$F - 1)))
  }
  as.list(a)
}

# One model by lme4 and by dense.R. `full` is the lme4 formula, `fixed` its fixed part.
mixed_model_report <- function(id, table, data, fixed, random, lmer_random, method, weights = NULL, kr = TRUE, sandwich = TRUE) {
  full <- as.formula(paste(deparse1(fixed), "+", lmer_random)); environment(full) <- environment()
  w <- if (is.null(weights)) rep(1, nrow(data)) else data[[weights]]
  data$.w <- w
  fit <- do.call(lmerTest::lmer, c(list(full, data, REML = method == "REML", control = tight),
                                   if (!is.null(weights)) list(weights = w)))
  X <- model.matrix(fixed, data); y <- model.response(model.frame(fixed, data)); L3 <- hypotheses(fixed, data, X)
  model <- mixed_model(X, y, data$subject, dense_random(random, data), independent_errors(w), method)
  e <- polish_dense(model, lmer_theta(fit, random))
  labels <- c(unlist(lapply(random, function(r) upper_names(r$group, colnames(model.matrix(r$design, data)), r$full))), "residual_variance")
  about <- list(data = table, formula = deparse1(fixed), random = lmer_random, subject = "subject", weights = weights,
                residual = "independent", factors = factors_in(fixed, data))
  out <- dense_report(id, about, model, e, L3, labels, sandwich = sandwich, second = FALSE)
  out$random_covariance <- lapply(setNames(seq_along(random), vapply(random, `[[`, "", "group")), function(k) random_covariance(model, e, k))
  out$residual_variance <- e$theta[length(e$theta)]
  out$blups <- lapply(setNames(seq_along(random), vapply(random, `[[`, "", "group")), function(k) blups_dense(model, e, k))
  out$fitted <- fitted_dense(model, e)
  out$lmer <- lmer_numbers(fit, L3, e, random, kr)
  out$agreement <- agreement(out)
  cat(sprintf("%-28s llf %.9f decrement %.0e | %s\n", id, e$loglik, e$decrement,
              paste(names(out$agreement), signif(unlist(out$agreement), 2), collapse = " ")))
  out
}

random_covariance <- function(model, e, k) {
  ends <- cumsum(model$sizes); own <- e$theta[(ends[k] - model$sizes[k] + 1):ends[k]]; q <- ncol(model$random[[k]]$Z)
  if (model$random[[k]]$full) structures$un(own, q) else diag(own, q)
}
fitted_dense <- function(model, e) {
  out <- numeric(length(model$y))
  for (s in e$parts) {
    u <- s$Vi %*% (s$y - s$X %*% e$beta); out[s$rows] <- as.numeric(s$X %*% e$beta)
    for (k in seq_along(model$random)) {
      r <- model$random[[k]]; Z <- r$Z[s$rows, , drop = FALSE]; cell <- as.character(r$cell[s$rows])
      out[s$rows] <- out[s$rows] + as.numeric((Z %*% random_covariance(model, e, k) %*% t(Z) * outer(cell, cell, "==")) %*% u)
    }
  }
  out
}
