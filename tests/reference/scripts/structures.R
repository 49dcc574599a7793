# Rscript tests/reference/scripts/structures.R   (from the top of the repository)
# Every visit structure, weights and covariance by group on fev and Orthodont: from where mmrm stopped
# (peers/fev.json, peers/orthodont.json) on to the last digits, with what mmrm does not report for all
# of them: expected information, second-order Kenward-Roger in this parameterisation, sandwiches.
source("tests/reference/scripts/dense_report.R")

read_peers <- function(name) fromJSON(sprintf("tests/reference/peers/%s.json", name))$models
fev <- read.csv("tests/reference/data/fev.csv")
fev <- fev[!is.na(fev$fev1), ]
fev$race <- factor(fev$race, c("Asian", "Black or African American", "White"))
fev$sex <- factor(fev$sex, c("Male", "Female")); fev$armcd <- factor(fev$armcd, c("PBO", "TRT"))
fev$avisit <- factor(fev$avisit)
orthodont <- read.csv("tests/reference/data/orthodont.csv")
orthodont$sex <- factor(orthodont$sex, c("Male", "Female")); orthodont$agef <- factor(orthodont$age)

theta_labels <- function(structure, m) {
  v <- paste0("variance_", 1:m); r <- paste0("correlation_", seq_len(m - 1))
  switch(structure, un = unlist(lapply(1:m, function(a) paste0("covariance_", a, "_", a:m))),
    cs = c("variance", "covariance"), toep = paste0("covariance_lag_", 0:(m - 1)), toeph = c(v, r),
    ar1 = c("variance", "rho"), ar1h = c(v, "rho"), csh = c(v, "rho"), ad = c("variance", r), adh = c(v, r))
}

own_structure <- function(peer) if (peer == "us") "un" else peer
against <- function(e, m) {
  block <- which(m$inference$df_method == "Satterthwaite" & m$inference$vcov_method == "Asymptotic")
  s <- m$inference$coefficients[[block]]
  df <- apply(diag(length(e$beta)), 1, function(l) satterthwaite_one(e, l, solve(e$observed)))
  list(loglik_below_polished = e$loglik - m$loglik, estimates_max_diff_in_se = max(abs(s$estimate - e$beta) / s$se),
       se_max_rel_diff = max(abs(s$se / sqrt(diag(e$Phi)) - 1)), df_max_rel_diff = max(abs(s$df / df - 1)))
}

one <- function(dataset, key, peers, formula, data, subject, visit, structure, weights = NULL, group = NULL) {
  m <- peers[[key]]; X <- model.matrix(formula, data); y <- model.response(model.frame(formula, data))
  model <- marginal_model(X, y, data[[subject]], as.integer(data[[visit]]), structure, m$estimation,
                          if (!is.null(weights)) data[[weights]], if (!is.null(group)) data[[group]])
  start <- if (is.null(group)) theta_of(m$cov$values, structure) else
    unlist(lapply(levels(data[[group]]), function(g) theta_of(m$cov[[g]]$values, structure)))
  e <- polish_dense(model, start)
  labels <- theta_labels(structure, nlevels(data[[visit]]))
  if (!is.null(group)) labels <- paste0(rep(levels(data[[group]]), each = length(labels)), ":", labels)
  about <- list(data = dataset, formula = paste(deparse(formula), collapse = ""), subject = subject,
                visit = visit, structure = structure, weights = weights, group = group,
                factors = factors_in(formula, data), mmrm = against(e, m))
  cat(sprintf("%-28s %.10f decrement %.1e | mmrm below by %.1e, est %.1e SE, se %.1e, df %.1e\n", key, e$loglik,
    e$decrement, about$mmrm[[1]], about$mmrm[[2]], about$mmrm[[3]], about$mmrm[[4]]))
  dense_report(sub("^mmrm_", "", key), about, model, e, hypotheses(formula, data, X), labels)
}

spatial <- function(key, peers, formula, data, coordinates) {
  m <- peers[[key]]; X <- model.matrix(formula, data)
  rows <- split(seq_len(nrow(data)), factor(data$usubjid, unique(data$usubjid)))
  bases <- lapply(rows, function(r) local({
    distance <- as.matrix(dist(data[r, coordinates, drop = FALSE])); dimnames(distance) <- NULL
    function(th) th[1] * power_of(th[2], distance) }))
  model <- dense_model(X, data$fev1, data$usubjid, bases, data$usubjid,
                       ave(seq_len(nrow(data)), data$usubjid, FUN = seq_along))
  e <- polish_dense(model, c(m$cov$values[1, 1], m$cov$values[1, 2] / m$cov$values[1, 1]))
  about <- list(data = "fev", formula = paste(deparse(formula), collapse = ""), subject = "usubjid",
    visit = "avisit", structure = "sp_exp", coordinates = I(coordinates), factors = factors_in(formula, data),
    mmrm = against(e, m))
  cat(sprintf("%-28s %.10f decrement %.1e | mmrm below by %.1e, df %.1e\n", key, e$loglik, e$decrement,
              about$mmrm[[1]], about$mmrm[[4]]))
  out <- dense_report(sub("^mmrm_", "", key), about, model, e, hypotheses(formula, data, X), c("variance", "rho"))
  out$covariance <- NULL                                     # one matrix per subject says nothing more
  out
}

f1 <- fev1 ~ race + sex + armcd * avisit
p <- read_peers("fev")
plain <- grep("^mmrm_(us|toep|toeph|ar1|ar1h|cs|csh|ad|adh)_(reml|ml)$", names(p), value = TRUE)
models <- lapply(plain, function(k) one("fev", k, p, f1, fev, "usubjid", "avisit", own_structure(p[[k]]$structure)))
for (k in grep("_by_arm_", names(p), value = TRUE)) models <- c(models, list(one("fev", k, p, f1, fev, "usubjid",
  "avisit", own_structure(sub("mmrm_(.*)_by_arm_reml", "\\1", k)), group = "armcd")))
for (k in c("mmrm_us_weights", "mmrm_ar1_weights")) models <- c(models, list(one("fev", k, p, f1, fev, "usubjid",
  "avisit", own_structure(sub("mmrm_(.*)_weights", "\\1", k)), weights = "weight")))
models <- c(models, list(
  one("fev", "mmrm_us_baseline", p, fev1 ~ fev1_bl * avisit + race + sex + armcd * avisit, fev, "usubjid", "avisit", "un"),
  spatial("mmrm_spatial1", p, f1, fev, "visitn"), spatial("mmrm_spatial", p, f1, fev, c("visitn", "visitn2"))))
write_models("fev_dense", "dense.R from where mmrm stopped (peers/fev.json); `mmrm` says how far that is from the top", models, character(0))

p <- read_peers("orthodont")
plain <- grep("^mmrm_(us|toep|toeph|ar1|ar1h|cs|csh|ad|adh)_(reml|ml)$", names(p), value = TRUE)
write_models("orthodont_dense", "dense.R from where mmrm stopped (peers/orthodont.json)", lapply(plain, function(k)
  one("orthodont", k, p, distance ~ sex * agef, orthodont, "subject", "agef", own_structure(p[[k]]$structure))), character(0))
