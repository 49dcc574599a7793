# Fit one marginal model with nlme::gls, polish it with direct.R, list what the tests compare.
suppressPackageStartupMessages({library(nlme); library(emmeans); library(jsonlite)})

gls_fit <- function(formula, data, structure, method, subject, visit) {
  data$.subject <- factor(data[[subject]]); data$.visit <- as.integer(data[[visit]])
  data$.level <- data[[visit]]
  many <- nlevels(droplevels(data[[visit]])) > 1
  correlation <- if (!many) NULL else if (structure == "cs")
    corCompSymm(form = ~ 1 | .subject) else corSymm(form = ~ .visit | .subject)
  weights <- if (structure == "un" && many) varIdent(form = ~ 1 | .level) else NULL
  control <- glsControl(tolerance = 1e-10, msTol = 1e-12, msMaxIter = 1000, maxIter = 1000,
                        opt = "nlminb", returnObject = TRUE)
  call <- substitute(gls(F, data = data, correlation = correlation, weights = weights,
                         method = M, control = control), list(F = formula, M = method))
  suppressWarnings(eval(call))
}

gls_sigma <- function(fit, data, structure, subject, visit) {
  m <- nlevels(data[[visit]]); levels_visit <- levels(data[[visit]])
  if (m == 1) return(matrix(sigma(fit)^2))
  if (structure == "cs") {
    rho <- coef(fit$modelStruct$corStruct, unconstrained = FALSE)
    return(sigma(fit)^2 * ((1 - rho) * diag(m) + rho))
  }
  sd <- coef(fit$modelStruct$varStruct, unconstrained = FALSE, allCoef = TRUE)[levels_visit] * sigma(fit)
  C <- diag(m)
  C[lower.tri(C)] <- coef(fit$modelStruct$corStruct, unconstrained = FALSE)
  C <- C + t(C) - diag(m)
  diag(sd) %*% C %*% diag(sd)
}

factors_of <- function(formula, data) {
  names <- intersect(all.vars(formula), names(data)[vapply(data, is.factor, TRUE)])
  lapply(setNames(nm = names), function(n) levels(data[[n]]))
}

# Rows of L say: the term's coefficients under sum-to-zero coding, in treatment-coded terms.
type3_matrices <- function(formula, data, X) {
  factors <- factors_of(formula, data)
  coding <- lapply(factors, function(x) "contr.sum")
  Xs <- model.matrix(formula, data, contrasts.arg = if (length(coding)) coding)
  assign <- attr(Xs, "assign"); kept <- qr(Xs)$pivot[seq_len(qr(Xs)$rank)]
  Xs <- Xs[, sort(kept), drop = FALSE]; assign <- assign[sort(kept)]
  T <- solve(crossprod(Xs), crossprod(Xs, X)); T[abs(T) < 1e-12] <- 0
  labels <- attr(terms(formula), "term.labels")
  lapply(setNames(seq_along(labels), labels), function(k) T[assign == k, , drop = FALSE])
}

combos <- function(method) if (method == "REML") c("satterthwaite", "kenward_roger") else "satterthwaite"

report_model <- function(id, formula, data, structure, method, subject, visit, means = NULL,
                         by = NULL, polish_from = NULL) {
  visits <- levels(data[[visit]])
  data <- data[complete.cases(data[, all.vars(formula), drop = FALSE]), , drop = FALSE]
  data[] <- lapply(data, function(x) if (is.factor(x)) droplevels(x) else x)
  X <- model.matrix(formula, data)
  kept <- sort(qr(X)$pivot[seq_len(qr(X)$rank)])
  dropped <- colnames(X)[-kept]
  X <- X[, kept, drop = FALSE]
  y <- model.response(model.frame(formula, data))
  model <- direct_model(X, y, data[[subject]], as.integer(data[[visit]]), structure, method)
  out <- list(id = id, formula = paste(deparse(formula), collapse = ""), structure = structure,
              method = method, subject = subject, visit = visit, n_obs = nrow(X),
              n_subjects = length(model$rows), visits = levels(data[[visit]]),
              factors = factors_of(formula, data))
  if (length(dropped)) out$dropped_columns <- I(dropped)
  if (is.null(polish_from)) {
    fit <- if (!length(dropped)) gls_fit(formula, data, structure, method, subject, visit) else
      gls_fit(.y ~ 0 + .X, c(as.list(data), list(.y = y, .X = X)), structure, method, subject, visit)
    start <- gls_sigma(fit, data, structure, subject, visit)
  } else start <- polish_from
  e <- polish(model, start)
  dimnames(e$Sigma) <- NULL
  out <- c(out, list(loglik = e$loglik, cov = e$Sigma, newton_decrement = e$decrement,
                     max_score_in_sd = max(abs(e$score / sqrt(diag(e$expected))))))
  if (is.null(polish_from)) {
    p <- ncol(X); n <- nrow(X)
    factor_ml <- if (method == "ML") sqrt((n - p) / n) else 1   # gls inflates ML standard errors
    se <- sqrt(diag(vcov(fit))) * factor_ml
    out$gls <- list(loglik = as.numeric(logLik(fit)), cov = start,
      loglik_below_polished = e$loglik - as.numeric(logLik(fit)),
      estimates_max_diff_in_se = max(abs(coef(fit) - e$beta) / se),
      se_max_rel_diff = max(abs(se / sqrt(diag(e$Phi)) - 1)),
      cov_max_diff_of_largest = max(abs(start - e$Sigma)) / max(abs(e$Sigma)))
  }
  out$vcov <- e$Phi
  L3 <- type3_matrices(formula, data, X)
  out$type3_L <- L3
  linfct <- NULL
  if (!is.null(means)) {
    grid <- suppressMessages(emmeans(
      qdrg(formula, data = data, coef = e$beta, vcov = e$Phi, df = Inf), means, by = by))
    linfct <- grid@linfct
    out$emmeans_grid <- as.data.frame(grid@grid)[, c(means, by), drop = FALSE]
    rev <- suppressMessages(contrast(grid, "revpairwise", by = by))
    out$contrast_grid <- as.data.frame(rev@grid)[, c("contrast", by), drop = FALSE]
  }
  out$inference <- list()
  for (df_method in combos(method)) for (information in c("observed", "expected")) {
    W <- solve(e[[information]])
    block <- list(df_method = df_method, information = information)
    block$coefficients <- linear_table(e, diag(ncol(X)), colnames(X), df_method, information)
    joint <- if (df_method == "kenward_roger") kr_joint else satterthwaite_joint
    block$type3 <- do.call(rbind, lapply(names(L3), function(term)
      data.frame(term = term, joint(e, L3[[term]], W))))
    if (df_method == "kenward_roger") block$vcov <- kr_vcov(e, W)
    if (!is.null(linfct)) {
      block$emmeans <- linear_table(e, linfct, seq_len(nrow(linfct)), df_method, information)[, -1]
      block$contrasts_revpairwise <-
        linear_table(e, rev@linfct, seq_len(nrow(rev@linfct)), df_method, information)[, -1]
    }
    out$inference[[length(out$inference) + 1]] <- block
  }
  out
}

versions <- function(packages) list(
  R = paste(R.version$major, R.version$minor, sep = "."),
  packages = lapply(setNames(nm = packages), function(p) as.character(packageVersion(p))))

write_report <- function(path, data, provenance, models, packages = c("nlme", "emmeans", "jsonlite")) {
  names(models) <- vapply(models, `[[`, "", "id")
  write_json(list(data = data, provenance = provenance, meta = versions(packages), models = models),
             path, digits = I(15), auto_unbox = TRUE, na = "null", matrix = "rowmajor")
  cat(path, "\n")
  for (m in models) cat(sprintf("  %-34s llf %.10f decrement %.1e  gls below by %.1e, est %.1e SE, cov %.1e\n",
    m$id, m$loglik, m$newton_decrement, m$gls$loglik_below_polished %||% NA,
    m$gls$estimates_max_diff_in_se %||% NA, m$gls$cov_max_diff_of_largest %||% NA))
}
`%||%` <- function(a, b) if (is.null(a)) b else a
