# Rscript tests/reference/scripts/products.R   (from the top of the repository)
# Covariances that are products, sites @ visits, by dense.R alone: no R package of this folder fits them.
# theta: all of the left factor (sites), then the right factor (visits) without its first parameter, which
# is pinned at a variance of 1. Data: made up here, three sites of 60 women at four visits, with gaps.
source("tests/reference/scripts/dense_report.R")
set.seed(20251125)
n <- 60; sites <- c("hip", "neck", "spine"); m <- 4
A <- outer(c(0.11, 0.09, 0.13), c(0.11, 0.09, 0.13)) * matrix(c(1, .75, .5, .75, 1, .45, .5, .45, 1), 3)
C <- kronecker(A, 0.9^abs(outer(1:m, 1:m, "-"))); y <- matrix(rnorm(n * 3 * m), n) %*% chol(C)
cells <- expand.grid(visit = 1:m, site = sites, stringsAsFactors = FALSE)
d <- do.call(rbind, lapply(seq_len(n), function(i) data.frame(subject = sprintf("P%02d", i), site = cells$site, visit = cells$visit,
  arm = c("control", "treated")[1 + i %% 2], bmd = round(c(hip = .92, neck = .76, spine = 1.03)[cells$site] - 0.008 * (cells$visit - 1) +
    0.006 * (i %% 2) * (cells$visit - 1) + y[i, ], 4))))
d <- d[-sample(nrow(d), 90), ]; stop_after <- sample(2:4, n, TRUE, c(.15, .15, .7))
d <- d[d$visit <= stop_after[match(d$subject, sprintf("P%02d", seq_len(n)))], ]
d$visit <- paste0("v", d$visit)
write.csv(d, "tests/reference/data/sites_by_visit.csv", row.names = FALSE, quote = FALSE)
d <- read.csv("tests/reference/data/sites_by_visit.csv"); d$site <- factor(d$site); d$visit <- factor(d$visit); d$arm <- factor(d$arm)

right_count <- list(un = function(m) m * (m + 1) / 2, cs = function(m) 2, ar1 = function(m) 2, ar1h = function(m) m + 1, toep = function(m) m)
product_base <- function(left, right, s, m) { k <- length(theta_of(0.5 * diag(s) + 0.5, left))
  function(th) kronecker(structures[[left]](th[seq_len(k)], s), structures[[right]](c(1 + 0 * th[1], th[-seq_len(k)]), m)) }
un_names <- function(levels) unlist(lapply(seq_along(levels), function(a) paste0("covariance_", levels[a], "_", levels[a:length(levels)])))

one <- function(left, right, method, formula = bmd ~ site * visit + arm) {
  X <- model.matrix(formula, d); y <- d$bmd; s <- nlevels(d$site); m <- nlevels(d$visit)
  base <- if (right == "none") function(th) structures$un(th, s * m) else product_base(left, right, s, m)
  cell <- (as.integer(d$site) - 1) * m + as.integer(d$visit)
  model <- dense_model(X, y, d$subject, list(all = base), rep("all", nrow(d)), cell, NULL, method, FALSE)
  s2 <- summary(lm(formula, d))$sigma^2; S <- s2 * (0.4 * diag(s) + 0.6); R <- 0.3 * diag(m) + 0.7
  start <- if (right == "none") theta_of(kronecker(S, R), "un") else c(theta_of(S, left), theta_of(R, right)[-1])
  if (right == "none") model$linear <- TRUE
  e <- polish_dense(model, start)
  labels <- if (right == "none") un_names(paste0(rep(levels(d$site), each = m), ".", levels(d$visit))) else c(un_names(levels(d$site)), switch(right,
    un = un_names(levels(d$visit))[-1], cs = "covariance", ar1 = "rho", ar1h = c(paste0("variance_", levels(d$visit)[-1]), "rho"), toep = paste0("covariance_lag_", 1:(m - 1))))
  structure <- if (right == "none") "un" else paste0(left, "@", right)
  cat(sprintf("%-10s %-5s llf %.9f decrement %.0e score %.0e parameters %d\n", structure, method, e$loglik, e$decrement, e$max_score_in_sd, length(e$theta)))
  about <- list(data = "sites_by_visit", formula = deparse1(formula), subject = "subject", repeated = "site", visit = "visit", structure = structure, factors = factors_in(formula, d))
  dense_report(paste0(if (right == "none") "un_cells" else paste0(left, "_", right), "_", tolower(method)), about, model, e, hypotheses(formula, d, X), labels)
}
spatial <- function(method) {                     # un over sites, rho^|t - s| over the real times of three_sites.csv
  t <- read.csv("tests/reference/data/three_sites.csv"); t$site <- factor(t$site); t$group <- factor(t$group)
  f <- bmd ~ site * time + group; X <- model.matrix(f, t); rows <- split(seq_len(nrow(t)), factor(t$subject, unique(t$subject)))
  bases <- lapply(rows, function(r) local({ site <- as.integer(t$site[r]); gap <- abs(outer(t$time[r], t$time[r], "-"))
    function(th) structures$un(th[1:6], 3)[site, site] * power_of(th[7], gap) }))
  model <- dense_model(X, t$bmd, t$subject, bases, t$subject, ave(seq_len(nrow(t)), t$subject, FUN = seq_along), NULL, method, FALSE)
  s2 <- summary(lm(f, t))$sigma^2
  e <- polish_dense(model, c(theta_of(s2 * (0.4 * diag(3) + 0.6), "un"), 0.9))
  cat(sprintf("%-10s %-5s llf %.9f decrement %.0e score %.0e\n", "un@sp_exp", method, e$loglik, e$decrement, e$max_score_in_sd))
  out <- dense_report(paste0("un_sp_exp_", tolower(method)), list(data = "three_sites", formula = deparse1(f), subject = "subject", repeated = "site", time = "time",
    structure = "un@sp_exp", factors = factors_in(f, t)), model, e, hypotheses(f, t, X), c(un_names(levels(t$site)), "rho"))
  out$covariance <- NULL
  out
}
models <- list()
for (method in c("REML", "ML")) {
  for (right in c("un", "ar1", "cs", "ar1h", "toep")) models <- c(models, list(one("un", right, method)))
  models <- c(models, list(one("cs", "ar1", method), spatial(method)))
}
models <- c(models, list(one("un", "none", "REML")))
write_models("products", "made up by products.R: three sites of 60 women at four visits (un@sp_exp: three_sites.csv); dense.R from a plain start", models, character(0))
