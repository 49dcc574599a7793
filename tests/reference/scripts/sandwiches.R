# Rscript tests/reference/scripts/sandwiches.R   (from the top of the repository)
# Cluster-robust covariances and their Satterthwaite df: clubSandwich on nlme::gls and lme4 fits, dense.R
# beside it. CR0 and CR3 have one definition. CR2 depends on which root of the working covariance is
# taken: dense.R takes the symmetric root of I - H (as mmrm does), clubSandwich D' B^(-1/2) D with
# D = chol(V); `CR2_clubsandwich` is that second definition, evaluated by dense.R's own lines below.
source("tests/reference/scripts/mixed.R")
suppressPackageStartupMessages({library(nlme); library(clubSandwich)})
orthodont <- read_table("orthodont"); irregular <- read_table("irregular"); sleepstudy <- read_table("sleepstudy")
calcium <- read.csv("data/calcium/calcium.csv"); first <- calcium[calcium$visit == 1, ]
base <- first$bmd[match(calcium$person, first$person)]; calcium$pct <- 100 * (calcium$bmd - base) / base
calcium <- calcium[calcium$visit > 1, ]; calcium$group <- factor(calcium$group, c("P", "C")); calcium$visit <- factor(calcium$visit)
calcium$person <- as.character(calcium$person)

# clubSandwich looks the data up by name, hence club_data in the two fits below.
choleskied <- function(e) e$Phi %*% Reduce(`+`, lapply(e$parts, function(s) {
  D <- chol(s$V); B <- D %*% (s$V - s$X %*% e$Phi %*% t(s$X)) %*% t(D); A <- t(D) %*% root(B, -0.5) %*% D
  tcrossprod(t(s$X) %*% s$Vi %*% A %*% (s$y - s$X %*% e$beta)) })) %*% e$Phi

club <- function(fit, cluster, types = c("CR0", "CR2", "CR3")) lapply(setNames(nm = types), function(t) {
  V <- vcovCR(fit, cluster = factor(cluster, unique(cluster)), type = t); k <- coef_test(fit, vcov = V, test = "Satterthwaite")
  list(vcov = unname(as.matrix(V)), coefficients = data.frame(name = rownames(as.data.frame(k)), estimate = k$beta, se = k$SE, df = k$df_Satt,
       t = k$tstat, p = k$p_Satt)) })

finish <- function(id, about, model, e, theta_names, club_numbers) {
  out <- dense_report(id, about, model, e, list(), theta_names)
  out$inference <- Filter(function(b) b$vcov_method %in% c("CR0", "CR2", "CR3"), out$inference)
  out$CR2_clubsandwich_vcov <- unname(choleskied(e))
  out$clubsandwich <- club_numbers
  own <- function(t) Filter(function(b) b$vcov_method == t, out$inference)[[1]]
  a <- unlist(lapply(c("CR0", "CR2", "CR3"), function(t) { c1 <- club_numbers[[t]]$coefficients; m <- own(t)$coefficients
    setNames(c(max(abs(c1$se / m$se - 1)), max(abs(c1$df / m$df - 1))), paste0(t, c("_se", "_df"))) }))
  a <- c(a, CR2_own_root_se = max(abs(club_numbers$CR2$coefficients$se / sqrt(diag(out$CR2_clubsandwich_vcov)) - 1)))
  out$agreement <- as.list(a)
  cat(sprintf("%-24s %s\n", id, paste(names(a), signif(a, 2), collapse = "  ")))
  out
}

marginal <- function(id, table, data, fixed, subject, visit, structure) {
  data$.visit <- as.integer(data[[visit]]); data$.level <- data[[visit]]; data$.subject <- factor(data[[subject]], unique(data[[subject]]))
  control <- glsControl(tolerance = 1e-12, msTol = 1e-14, maxIter = 1000, msMaxIter = 1000, returnObject = TRUE)
  club_data <<- data; correlation <- if (structure == "cs") corCompSymm(form = ~ 1 | .subject) else corSymm(form = ~ .visit | .subject)
  weights <- if (structure == "un") varIdent(form = ~ 1 | .level)
  fit <- eval(substitute(gls(F, data = club_data, method = "REML", control = control, correlation = correlation, weights = weights), list(F = fixed)))
  m <- nlevels(data[[visit]])
  model <- marginal_model(model.matrix(fixed, data), model.response(model.frame(fixed, data)), data[[subject]], data$.visit, structure, "REML")
  e <- polish_dense(model, theta_of(sigma(fit)^2 * (0.3 * diag(m) + 0.7), structure))
  finish(id, list(data = table, formula = deparse1(fixed), subject = subject, visit = visit, structure = structure,
    factors = factors_in(fixed, data)), model, e, NULL, club(fit, data[[subject]]))
}
slopes <- function(id, table, data, fixed, design) {
  bar <- paste0("(", sub("^~ ?", "", deparse1(design)), " | subject)")
  full <- as.formula(paste(deparse1(fixed), "+", bar)); environment(full) <- environment()
  random <- list(list(design = design, group = "subject", cell = "subject", full = TRUE))
  club_data <<- data; fit <- eval(substitute(lme4::lmer(F, club_data, control = tight), list(F = full)))
  model <- mixed_model(model.matrix(fixed, data), model.response(model.frame(fixed, data)), data$subject, dense_random(random, data),
                       independent_errors(rep(1, nrow(data))), "REML")
  e <- polish_dense(model, lmer_theta(fit, random))
  finish(id, list(data = table, formula = deparse1(fixed), random = bar, subject = "subject", factors = factors_in(fixed, data)), model, e,
    c(upper_names("subject", colnames(model.matrix(design, data)), TRUE), "residual_variance"), club(fit, data$subject))
}
write_models("sandwiches", "clubSandwich beside dense.R; `inference` is dense.R (CR2 with the symmetric root), `clubsandwich` the package's own", list(
  marginal("orthodont_un", "orthodont", orthodont, distance ~ sex * agef, "subject", "agef", "un"),
  marginal("orthodont_cs", "orthodont", orthodont, distance ~ sex * agef, "subject", "agef", "cs"),
  marginal("calcium_pct_un", "calcium", calcium, pct ~ group * visit, "person", "visit", "un"),
  marginal("calcium_pct_cs", "calcium", calcium, pct ~ group * visit, "person", "visit", "cs"),
  slopes("irregular_rs", "irregular", irregular, bmd ~ arm * time + age, ~ 1 + time),
  slopes("sleepstudy_rs", "sleepstudy", sleepstudy, reaction ~ days, ~ 1 + days),
  slopes("orthodont_rs", "orthodont", orthodont, distance ~ age * sex, ~ 1 + age)), c("nlme", "lme4", "clubSandwich"))
