# Rscript tests/reference/scripts/sas.R   (from the top of the repository)
# The models of the SAS listings (peers/sas.json), fitted by dense.R to the last digits, and every
# printed number compared: how many half units of its last printed digit does it lie off?
source("tests/reference/scripts/dense_report.R")

sas <- fromJSON("tests/reference/peers/sas.json", simplifyVector = FALSE)$models
fev <- read.csv("tests/reference/data/fev.csv"); fev <- fev[!is.na(fev$fev1), ]
fev$race <- factor(fev$race, c("Asian", "Black or African American", "White"))
fev$sex <- factor(fev$sex, c("Male", "Female")); fev$armcd <- factor(fev$armcd, c("PBO", "TRT"))
fev$avisit <- factor(fev$avisit)

# The joint Satterthwaite df depend on the basis of a hypothesis. SAS's are those of the reduced rows in
# reference-coded terms (each row one level against the reference), not those of the sum-to-zero basis.
reduced <- function(L) {
  for (i in seq_len(nrow(L))) {
    j <- which(abs(L[i, ]) > 1e-10)[1]; L[i, ] <- L[i, ] / L[i, j]
    for (k in setdiff(seq_len(nrow(L)), i)) L[k, ] <- L[k, ] - L[k, j] * L[i, ]
  }
  L
}

half_unit <- function(text) {                      # of the last printed digit
  decimals <- if (grepl("[.]", text)) nchar(sub("^[^.]*[.]", "", text)) else 0
  0.5 * 10^-decimals
}
off <- function(text, value) if (is.null(text) || grepl("<", text) || text == ".") NA else
  abs(as.numeric(text) - value) / half_unit(text)

labels_of <- function(structure, m = 4) {
  v <- paste0("variance_", 1:m); r <- paste0("correlation_", seq_len(m - 1))
  switch(structure, un = unlist(lapply(1:m, function(a) paste0("covariance_", a, "_", a:m))),
    cs = c("variance", "covariance"), toep = paste0("covariance_lag_", 0:(m - 1)), toeph = c(v, r),
    ar1 = c("variance", "rho"), ar1h = c(v, "rho"), csh = c(v, "rho"), ad = c("variance", r), adh = c(v, r),
    sp_exp = c("variance", "range"))               # as SAS has it: correlation exp(-distance / range)
}

build <- function(s, data) {
  formula <- as.formula(s$formula); X <- model.matrix(formula, data)
  X <- X[, sort(qr(X)$pivot[seq_len(qr(X)$rank)]), drop = FALSE]
  w <- if (!is.null(s$weights)) data[[s$weights]]
  if (s$structure == "sp_exp") {
    rows <- split(seq_len(nrow(data)), factor(data$usubjid, unique(data$usubjid)))
    bases <- lapply(rows, function(r) local({
      distance <- as.matrix(dist(data[r, unlist(s$coordinates), drop = FALSE])); dimnames(distance) <- NULL
      function(th) th[1] * exp(-distance / th[2]) }))
    model <- dense_model(X, data$fev1, data$usubjid, bases, data$usubjid,
      ave(seq_len(nrow(data)), data$usubjid, FUN = seq_along), w, toupper(s$method))
    start <- c(80, 1.1)
  } else {
    group <- if (!is.null(s$group)) data[[s$group]]
    model <- marginal_model(X, data$fev1, data$usubjid, as.integer(data$avisit), s$structure, toupper(s$method), w, group)
    one <- theta_of(diag(sqrt(c(90, 40, 30, 150))) %*% (0.8 * diag(4) + 0.2) %*% diag(sqrt(c(90, 40, 30, 150))), s$structure)
    start <- rep(one, length(model$bases))
  }
  list(model = model, start = start, formula = formula, X = X)
}

compare <- function(s, e, L3, block, coefficient_names) {
  d <- list(minus2_loglik = off(s$minus2_loglik, -2 * e$loglik))
  labels <- labels_of(s$structure)
  theta <- if (is.null(s$group)) setNames(e$theta, labels) else
    setNames(e$theta, paste0(rep(c("PBO", "TRT"), each = length(labels)), ":", labels))
  if (length(s$covariance_parameters)) d$covariance <- max(vapply(s$covariance_parameters, function(c) {
    key <- if (is.null(c$group)) function(k) k else function(k) paste0(c$group, ":", k)
    value <- switch(c$is, "variance - covariance" = theta[[key("variance")]] - theta[[key("covariance")]],
                    "-1 / log(rho)" = theta[[key("range")]], theta[[key(c$is)]])
    off(c$estimate, value) }, 0))
  tab <- block$coefficients
  row_of <- function(name) which(vapply(strsplit(tab$name, ":"), function(x) setequal(x, strsplit(name, ":")[[1]]), TRUE))
  no_df <- s$df_method == "between_within" || (!is.null(s$weights) && s$vcov_method == "model")
  if (length(s$coefficients) && (is.null(s$reference$avisit) || s$reference$avisit == "VIS1"))
    for (what in c("estimate", "se", if (!no_df) "df")) d[[what]] <- max(vapply(s$coefficients, function(c)
      off(c[[what]], tab[row_of(c$name), what]), 0))
  if (!is.null(s$difference_15_digits)) {
    p <- s$difference_15_digits; k <- row_of("armcdTRT")
    d$estimate_15_in_se <- abs(as.numeric(p$estimate) - tab$estimate[k]) / tab$se[k]
    d$se_15_rel <- abs(as.numeric(p$se) / tab$se[k] - 1)
    if (!no_df) d$df_15_rel <- abs(as.numeric(p$df) / tab$df[k] - 1)
  }
  if (length(s[["type3"]]) && !is.null(block$type3)) {
    t3 <- block$type3
    at <- function(term) which(vapply(strsplit(t3$term, ":"), function(x) setequal(x, strsplit(term, ":")[[1]]), TRUE))
    for (what in c("F", "den_df")) d[[paste0("type3_", what)]] <- max(c(-Inf, unlist(lapply(s[["type3"]], function(r)
      if (length(at(r$term)) && !no_df) off(r[[what]], t3[[what]][at(r$term)])))))
  }
  for (type in "type3") if (!is.null(s[[paste0(type, "_15_digits")]])) for (r in s[[paste0(type, "_15_digits")]]) {
    k <- which(block$type3$term == r$term | block$type3$term == paste(rev(strsplit(r$term, ":")[[1]]), collapse = ":"))
    d[[paste0(r$term, "_F_rel")]] <- abs(as.numeric(r$F) / block$type3$F[k] - 1)
    d[[paste0(r$term, "_df_rel")]] <- abs(as.numeric(r$den_df) / block$type3$den_df[k] - 1)
  }
  d[vapply(d, function(x) length(x) == 1 && is.finite(x), TRUE)]
}

# Residuals and predictions of rows, by the formulas the README states; the largest distance from SAS.
row_results <- function(e, model) do.call(rbind, lapply(e$parts, function(q) {
  r <- as.numeric(q$y - q$X %*% e$beta); E <- q$V - q$X %*% e$Phi %*% t(q$X)
  data.frame(row = q$rows, predicted = as.numeric(q$X %*% e$beta), predicted_se = sqrt(rowSums((q$X %*% e$Phi) * q$X)),
    raw = r, scaled = as.numeric(solve(t(chol(q$V)), r)), studentised = r / sqrt(diag(E)), pearson = r / sqrt(diag(q$V)))
}))
compare_residuals <- function(s, e, b) {
  got <- row_results(e, b$model); got <- got[order(got$row), ]
  sas_rows <- do.call(rbind, lapply(s$residuals, function(r) as.data.frame(setNames(r, unlist(s$residual_columns)))))
  stopifnot(identical(sas_rows$usubjid, fev$usubjid), identical(sas_rows$avisit, as.character(fev$avisit)))
  sapply(c("predicted", "predicted_se", "raw", "scaled", "studentised", "pearson"), function(k)
    max(abs(as.numeric(sas_rows[[k]]) - got[[k]])), simplify = FALSE)
}
compare_predictions <- function(s, e, b) {
  S <- e$covariance$all; all <- read.csv("tests/reference/data/fev.csv")
  worst <- c(marginal = 0, marginal_se = 0, given_observed = 0, given_observed_se = 0)
  for (r in s$predictions) {
    names(r) <- unlist(s$prediction_columns); v <- as.integer(sub("VIS", "", r$avisit))
    x <- c(1, all$armcd[all$usubjid == r$usubjid][1] == "TRT")
    q <- Filter(function(q) fev$usubjid[q$rows[1]] == r$usubjid, e$parts)
    C <- matrix(0, 1, 0); o <- integer(0); resid <- numeric(0); Xo <- matrix(0, 0, 2)
    if (length(q)) { q <- q[[1]]; o <- as.integer(fev$avisit[q$rows]); Xo <- q$X
      C <- S[v, o, drop = FALSE] %*% q$Vi; resid <- q$y - q$X %*% e$beta }
    z <- x - as.numeric(C %*% Xo)
    mine <- c(sum(x * e$beta), sqrt(sum(x * (e$Phi %*% x))), sum(x * e$beta) + sum(C %*% resid),
              sqrt(S[v, v] - sum(C %*% S[o, v, drop = FALSE]) + sum(z * (e$Phi %*% z))))
    worst <- pmax(worst, abs(as.numeric(unlist(r[names(worst)])) - mine))
  }
  as.list(worst)
}

fits <- list(); models <- list()
for (s in sas) {
  key <- paste(s$formula, s$structure, s$group, s$weights, s$method, length(s$coordinates))
  b <- build(s, fev)
  if (is.null(fits[[key]])) fits[[key]] <- polish_dense(b$model, b$start)
  e <- fits[[key]]
  # no intercept in the residual model's cell-means form: only its likelihood and covariance are compared
  L3 <- if (s$formula != "fev1 ~ 1" && ncol(b$X) == ncol(model.matrix(b$formula, fev))) lapply(hypotheses(b$formula, fev, b$X), reduced) else list()
  block <- switch(s$vcov_method, model = model_block(e, L3, "satterthwaite", "model", "observed"),
    CR0 = sandwich_block(e, "CR0"), model_block(e, L3, "kenward_roger", s$vcov_method, "observed"))
  d <- if (is.null(s$covariance_parameters)) { s$covariance_parameters <- list(); compare_only <- NULL
    compare(modifyList(s, list(minus2_loglik = NULL)), e, L3, block) } else compare(s, e, L3, block)
  if (!is.null(s$residuals)) d <- c(d, setNames(compare_residuals(s, e, b), paste0(c("predicted", "predicted_se", "raw",
    "scaled", "studentised", "pearson"), "_abs")))
  if (!is.null(s$predictions)) { x <- compare_predictions(s, e, b); d <- setNames(x, paste0(names(x), "_abs")) }
  if (length(d)) cat(sprintf("%-40s %s\n", s$id, paste(names(d), signif(unlist(d), 3), collapse = "  ")))
  models[[length(models) + 1]] <- list(id = s$id, program = "dense.R", data = "fev", formula = s$formula, subject = "usubjid",
    visit = "avisit", structure = s$structure, group = s$group, weights = s$weights, coordinates = s$coordinates,
    method = toupper(s$method), factors = factors_in(b$formula, fev), n_obs = length(b$model$y), n_subjects = length(b$model$rows),
    loglik = e$loglik, newton_decrement = e$decrement, names = e$names, beta = e$beta, vcov = unname(e$Phi), theta = e$theta,
    theta_names = if (is.null(s$group)) labels_of(s$structure) else paste0(rep(c("PBO", "TRT"), each = length(labels_of(s$structure))), ":", labels_of(s$structure)),
    type3_L = lapply(L3, unname), inference = list(block), sas_off_in_half_units_or_relative = d)
}
models <- lapply(models, function(m) m[!vapply(m, is.null, TRUE)])
write_models("sas_dense", "dense.R on the models of peers/sas.json; `sas_off_in_half_units_or_relative`: below 1 means SAS printed this number rounded", models, character(0))
