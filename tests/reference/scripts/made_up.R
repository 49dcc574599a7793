# Rscript tests/reference/scripts/made_up.R   (from the top of the repository)
# Small made-up data sets, each for one thing the classic data do not show. The data are written
# with 15 digits first and read back, so that R and the tests see the same numbers.
source("tests/reference/scripts/direct.R"); source("tests/reference/scripts/report.R")
folder <- "tests/reference/data/"
settle <- function(data, name) {
  data[] <- lapply(data, function(x) if (is.numeric(x)) signif(x, 12) else x)
  write.csv(data, paste0(folder, name, ".csv"), row.names = FALSE, quote = FALSE, na = "")
  read.csv(paste0(folder, name, ".csv"), stringsAsFactors = TRUE)
}
peers <- function(name, text, models) write_report(paste0("tests/reference/peers/", name, ".json"),
  paste0(folder, name, ".csv"), paste0("made up by tests/reference/scripts/made_up.R: ", text), models)

# --- BMD in g/cm2 with small changes, five visits, dropout and skipped visits -----------------
set.seed(20240611)
n <- 90; months <- c(0, 12, 36, 60, 120); m <- 5
Sigma <- 0.11^2 * (0.9 + 0.1 * diag(m)) * outer(c(1, 1, 1.02, 1.05, 1.1), c(1, 1, 1.02, 1.05, 1.1))
e <- matrix(rnorm(n * m), n, m) %*% chol(Sigma)
group <- sample(c("control", "exercise"), n, TRUE, c(0.6, 0.4))
age <- round(rnorm(n, 55, 6), 1); chemo <- sample(c("no", "yes"), n, TRUE)
drift <- outer(group == "exercise", c(0, 0.004, 0.008, 0.01, 0.006)) +
  outer(rep(1, n), c(0, -0.01, -0.03, -0.045, -0.06))
bmd <- round(0.92 - 0.003 * (age - 55) - 0.01 * (chemo == "yes") + drift + e, 4)
stop_at <- sample(2:5, n, TRUE, c(0.08, 0.1, 0.17, 0.65))
wide <- data.frame(subject = sprintf("S%03d", seq_len(n)), group, age, chemo)
bmd_like <- do.call(rbind, lapply(seq_len(m), function(j)
  cbind(wide, visit = sprintf("month_%d", months[j]), bmd = ifelse(j > stop_at, NA, bmd[, j]))))
skipped <- sample(nrow(bmd_like), 12); bmd_like$bmd[skipped] <- NA
bmd_like <- bmd_like[sample(nrow(bmd_like)), ]            # rows in no order
bmd_like <- settle(bmd_like, "bmd_like")
bmd_like$visit <- factor(bmd_like$visit, sprintf("month_%d", months))
fit <- function(id, formula, structure = "un", method = "REML")
  report_model(id, formula, bmd_like, structure, method, "subject", "visit", "group", "visit")
peers("bmd_like", "BMD in g/cm2, 90 women, 5 visits, dropout and skipped visits, rows shuffled", list(
  fit("un_reml", bmd ~ group * visit + age + chemo),
  fit("un_ml", bmd ~ group * visit + age + chemo, method = "ML"),
  fit("three_way_un_reml", bmd ~ age + group * chemo * visit),
  fit("cs_reml", bmd ~ group * visit + age + chemo, "cs")))

# --- negative correlation within subjects: a random intercept would say zero -------------------
set.seed(71)
n <- 24; m <- 3
Sigma <- (1 + 0.35) * diag(m) - 0.35
y <- 10 + matrix(rnorm(n * m), n, m) %*% chol(Sigma)
negative <- data.frame(subject = rep(seq_len(n), m), visit = rep(paste0("v", 1:m), each = n),
                       arm = rep(rep(c("a", "b"), n / 2), m), y = round(as.vector(y), 3))
negative <- negative[-c(3, 17, 40, 55, 70), ]
negative <- settle(negative, "negative_correlation")
negative$subject <- factor(negative$subject)
fit <- function(id, formula, structure, method = "REML")
  report_model(id, formula, negative, structure, method, "subject", "visit", "arm", "visit")
peers("negative_correlation", "24 subjects, 3 visits, correlation -0.35", list(
  fit("cs_reml", y ~ arm * visit, "cs"), fit("cs_ml", y ~ arm * visit, "cs", "ML"),
  fit("un_reml", y ~ arm * visit, "un")))

# --- one visit alone: an analysis of covariance -------------------------------------------------
set.seed(5)
n <- 31
ancova <- data.frame(subject = paste0("p", seq_len(n)), visit = "end",
                     arm = sample(c("x", "y", "z"), n, TRUE), base = round(rnorm(n, 0.9, 0.1), 4))
ancova$y <- round(0.2 + 0.8 * ancova$base + 0.03 * (ancova$arm == "z") + rnorm(n, 0, 0.04), 4)
ancova <- settle(ancova, "one_visit")
lm_fit <- lm(y ~ arm + base, ancova)
s <- summary(lm_fit)$coefficients
lm_block <- list(df = lm_fit$df.residual, loglik_reml = as.numeric(logLik(lm_fit, REML = TRUE)),
  loglik_ml = as.numeric(logLik(lm_fit)), sigma2 = sigma(lm_fit)^2,
  coefficients = data.frame(name = rownames(s), estimate = s[, 1], se = s[, 2], t = s[, 3], p = s[, 4],
                            row.names = NULL),
  arm_F = anova(lm(y ~ base, ancova), lm_fit)$F[2])
one <- report_model("ancova_un_reml", y ~ arm + base, ancova, "un", "REML", "subject", "visit", "arm")
one$lm <- lm_block
peers("one_visit", "31 subjects measured once; `lm` is stats::lm on the same model", list(one))

# --- complete balanced pairs: Student's sleep data ------------------------------------------------
sleep_data <- data.frame(subject = paste0("s", sleep$ID), drug = paste0("d", sleep$group),
                         extra = sleep$extra)
sleep_data <- settle(sleep_data, "sleep")
pair <- t.test(extra ~ drug, transform(sleep_data)[order(sleep_data$drug, sleep_data$subject), ],
               paired = TRUE)
fit <- function(id, structure) {
  r <- report_model(id, extra ~ drug, sleep_data, structure, "REML", "subject", "drug", "drug")
  r$paired_t <- list(estimate = -as.numeric(pair$estimate), se = as.numeric(pair$stderr),
                     df = as.numeric(pair$parameter), t = -as.numeric(pair$statistic), p = pair$p.value)
  r
}
peers("sleep", "base R `sleep` (Student 1908, Cushny and Peebles 1905); `paired_t` is stats::t.test",
      list(fit("un_reml", "un"), fit("cs_reml", "cs")))

# --- two visits, gaps in both, a numeric covariate that changes and interacts -----------------------
set.seed(99)
n <- 40
u <- rnorm(n, 0, 1.2)
two <- expand.grid(subject = sprintf("k%02d", seq_len(n)), visit = c("early", "late"))
two$dose <- round(runif(nrow(two), 0, 4), 2)
two$y <- round(5 + 0.7 * two$dose + (two$visit == "late") * (1 - 0.4 * two$dose) +
               rep(u, 2) + rnorm(nrow(two)) * ifelse(two$visit == "late", 2, 0.8), 3)
two <- two[-sample(nrow(two), 17), ]
two <- settle(two, "two_visits")
fit <- function(id, formula, structure, method = "REML")
  report_model(id, formula, two, structure, method, "subject", "visit", "visit")
peers("two_visits", "40 subjects, 2 visits, 17 of 80 rows missing at random, time-varying dose", list(
  fit("un_reml", y ~ dose * visit, "un"), fit("un_ml", y ~ dose * visit, "un", "ML"),
  fit("cs_reml", y ~ dose * visit, "cs")))

# --- an empty cell: unbalanced factors, one combination never seen -----------------------------------
set.seed(404)
n <- 66
who <- data.frame(subject = seq_len(n), region = sample(c("east", "north", "west"), n, TRUE, c(.5, .3, .2)),
                  dose = sample(c("high", "low", "mid"), n, TRUE, c(.3, .5, .2)))
who <- who[!(who$region == "west" & who$dose == "mid"), ]
who$u <- rnorm(nrow(who), 0, 2)
cell <- do.call(rbind, lapply(1:3, function(j) transform(who, visit = paste0("w", j),
  y = round(20 + j + 2 * (dose == "high") - (region == "north") * j + u + rnorm(nrow(who), 0, 1 + j / 4), 3))))
cell$u <- NULL
cell <- cell[-sample(nrow(cell), 25), ]
cell <- settle(cell, "empty_cell")
cell$subject <- factor(cell$subject)
empty <- lapply(list(c("un", "REML"), c("un", "ML"), c("cs", "REML")), function(k)
  report_model(paste(k[1], tolower(k[2]), sep = "_"), y ~ region * dose + visit, cell, k[1], k[2],
               "subject", "visit"))
peers("empty_cell", paste("region west and dose mid never occur together; one column of",
  "region:dose is dropped. Type III main effects of region and dose are a matter of definition there"), empty)
