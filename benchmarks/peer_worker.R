# As peer_worker.py, for programs of R:  Rscript peer_worker.R gls|lme4
program <- commandArgs(trailingOnly = TRUE)[[1]]
package <- c(gls = "nlme", lme4 = "lme4")[[program]]
suppressPackageStartupMessages(library(package, character.only = TRUE))
bmd <- pct_change ~ group * visit + base_bmd * visit + age + bmi + prior_chemo

fit_gls <- function(model, d) {
  correlation <- switch(model,
    un = corSymm(form = ~ place | subject_id), cs = corCompSymm(form = ~ 1 | subject_id))
  weights <- if (model == "un") varIdent(form = ~ 1 | visit)
  gls(bmd, d, correlation, weights, method = "REML")
}

# Without the derivatives after the fit, which only feed warnings: lme4's quicker way.
fit_lme4 <- function(model, d) {
  formula <- if (model == "slope") y ~ t * g + (t | id) else update(bmd, . ~ . + (1 | subject_id))
  lmer(formula, d, control = lmerControl(calc.derivs = FALSE))
}

fit <- list(gls = fit_gls, lme4 = fit_lme4)[[program]]
numbers <- function(x) paste(sprintf("%.15g", x), collapse = ", ")
tables <- new.env()

read_table <- function(path) {
  if (is.null(tables[[path]])) {
    d <- na.omit(read.csv(path, stringsAsFactors = TRUE))
    if ("visit" %in% names(d)) d$place <- as.integer(d$visit)
    assign(path, d, envir = tables)
  }
  tables[[path]]
}

answer <- function(model, path) {
  d <- read_table(path)
  started <- proc.time()
  f <- fit(model, d)
  se <- sqrt(diag(as.matrix(vcov(f))))
  spent <- proc.time() - started
  sprintf('{"seconds": %.6f, "wall": %.6f, "loglik": %.12g, "se": [%s]}',
    spent[["user.self"]] + spent[["sys.self"]], spent[["elapsed"]], as.numeric(logLik(f)), numbers(sort(se)))
}

cat(sprintf('{"version": "%s (R %s)"}\n', packageVersion(package), getRversion()))
lines <- file("stdin", "r")
while (length(line <- readLines(lines, n = 1)) > 0) {
  field <- function(name) sub(sprintf('.*"%s": "([^"]*)".*', name), "\\1", line)
  said <- tryCatch(suppressMessages(suppressWarnings(answer(field("model"), field("path")))),
    error = function(e) sprintf('{"error": "%s"}', gsub('["\n\\]', " ", conditionMessage(e))))
  cat(said, "\n", sep = "")
}
