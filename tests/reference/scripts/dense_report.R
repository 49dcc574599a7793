# What a polished fit of dense.R writes down: one shape for every model, whatever its covariance.
source("tests/reference/scripts/dense.R")
suppressPackageStartupMessages(library(jsonlite))

factors_in <- function(formula, data) {
  names <- intersect(all.vars(formula), names(data)[vapply(data, is.factor, TRUE)])
  lapply(setNames(nm = names), function(n) I(levels(data[[n]])))
}

# Rows of L: the term's coefficients under sum-to-zero coding, in treatment-coded terms.
hypotheses <- function(formula, data, X) {
  factors <- factors_in(formula, data)
  Xs <- model.matrix(formula, data, contrasts.arg = if (length(factors)) lapply(factors, function(x) "contr.sum"))
  T <- solve(crossprod(Xs), crossprod(Xs, X)); T[abs(T) < 1e-12] <- 0
  labels <- attr(terms(formula), "term.labels"); assign <- attr(Xs, "assign")
  lapply(setNames(seq_along(labels), labels), function(k) T[assign == k, , drop = FALSE])
}

coefficient_table <- function(e, V, df) {
  se <- sqrt(diag(V)); t <- e$beta / se
  data.frame(name = e$names, estimate = e$beta, se = se, df = df, t = t,
             p = 2 * pt(abs(t), df, lower.tail = FALSE))
}

model_block <- function(e, L3, df_method, vcov_method, information) {
  W <- solve(e[[information]]); one <- diag(length(e$beta))
  V <- switch(vcov_method, model = e$Phi, kenward_roger = kr_vcov(e, W), kenward_roger_second = kr_vcov_second(e, W))
  df <- apply(one, 1, function(l) satterthwaite_one(e, l, W))      # Kenward-Roger's for one row is the same
  joint <- if (vcov_method == "model") satterthwaite_joint else function(e, L, W) kr_joint(e, L, W, V)
  out <- list(df_method = df_method, vcov_method = vcov_method, information = information,
              coefficients = coefficient_table(e, V, df))
  if (length(L3)) out$type3 <- do.call(rbind, lapply(names(L3), function(term) {
    k <- joint(e, L3[[term]], W); data.frame(term = term, k[c("num_df", "den_df", "F", "p")]) }))
  if (vcov_method != "model") out$vcov <- unname(V)
  out
}

sandwich_block <- function(e, type) {
  V <- sandwich_vcov(e, type)
  list(df_method = "satterthwaite", vcov_method = type, information = "none",
       coefficients = coefficient_table(e, V, sandwich_df(e, diag(length(e$beta)), type)), vcov = unname(V))
}

dense_blocks <- function(e, L3, method, sandwich = TRUE, second = TRUE) {
  out <- list(model_block(e, L3, "satterthwaite", "model", "observed"),
              model_block(e, L3, "satterthwaite", "model", "expected"))
  if (method == "REML") {
    out <- c(out, list(model_block(e, L3, "kenward_roger", "kenward_roger", "observed"),
                       model_block(e, L3, "kenward_roger", "kenward_roger", "expected")))
    if (second) out <- c(out, list(model_block(e, L3, "kenward_roger", "kenward_roger_second", "observed"),
                                   model_block(e, L3, "kenward_roger", "kenward_roger_second", "expected")))
  }
  if (sandwich) out <- c(out, lapply(c("CR0", "CR2", "CR3"), function(t) sandwich_block(e, t)))
  out
}

# about: what was fitted (data, formula, structure, subject, visit, ...), as the loader hands it on
dense_report <- function(id, about, model, e, L3 = list(), theta_names = NULL, ...) {
  out <- c(list(id = id, program = "dense.R"), about, list(method = model$method,
    n_obs = length(model$y), n_subjects = length(model$rows), loglik = e$loglik,
    newton_decrement = e$decrement, max_score_in_sd = e$max_score_in_sd, names = e$names, beta = e$beta,
    vcov = unname(e$Phi), theta = e$theta, theta_names = theta_names,
    theta_information_observed = unname(e$observed), theta_information_expected = unname(e$expected)))
  if (is.null(model$random)) out$covariance <- lapply(e$covariance, function(S) unname(Re(S)))
  out$type3_L <- lapply(L3, unname)
  out$inference <- dense_blocks(e, L3, model$method, ...)
  out[!vapply(out, is.null, TRUE)]
}

package_versions <- function(packages) list(
  R = paste(R.version$major, R.version$minor, sep = "."),
  packages = lapply(setNames(nm = packages), function(p) as.character(packageVersion(p))))

# One model a line, so that a change to one shows as one line.
write_models <- function(name, provenance, models, packages) {
  names(models) <- vapply(models, `[[`, "", "id")
  json <- function(x) toJSON(x, digits = I(15), auto_unbox = TRUE, na = "null", null = "null", matrix = "rowmajor")
  path <- paste0("tests/reference/peers/", name, ".json")
  head <- sprintf(' "%s": %s,', c("dataset", "provenance", "meta"),
                  c(json(name), json(provenance), json(package_versions(c(packages, "jsonlite")))))
  lines <- sprintf('  "%s": %s', names(models), vapply(models, function(m) as.character(json(m)), ""))
  writeLines(c("{", head, ' "models": {', paste0(lines, c(rep(",", length(lines) - 1), "")), " }", "}"), path)
  cat(path, file.size(path), "\n")
}
