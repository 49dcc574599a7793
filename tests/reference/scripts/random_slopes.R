# Rscript tests/reference/scripts/random_slopes.R   (from the top of the repository)
# Random intercepts, slopes, diagonal and nested random effects, precision weights: lme4 with lmerTest
# and pbkrtest beside dense.R, REML and ML.
source("tests/reference/scripts/mixed.R")
irregular <- read_table("irregular"); sites <- read_table("three_sites"); orthodont <- read_table("orthodont")
sleepstudy <- read_table("sleepstudy"); unbalanced <- read_table("sleepstudy_unbalanced")

by_subject <- function(design, full = TRUE) list(list(design = design, group = "subject", cell = "subject", full = full))
nested <- function(design) c(by_subject(design), list(list(design = ~ 1, group = "subject:site", cell = "cell", full = TRUE)))
f <- bmd ~ arm * time + age; g <- bmd ~ site * time + group
kinds <- list(
  irregular_rs = list("irregular", irregular, f, by_subject(~ time), "(1 + time | subject)"),
  irregular_diag = list("irregular", irregular, f, by_subject(~ time, FALSE), "(1 | subject) + (0 + time | subject)"),
  irregular_ri = list("irregular", irregular, f, by_subject(~ 1), "(1 | subject)"),
  irregular_rs_weights = list("irregular", irregular, f, by_subject(~ time), "(1 + time | subject)", weights = "repeats"),
  irregular_ri_weights = list("irregular", irregular, f, by_subject(~ 1), "(1 | subject)", weights = "repeats"),
  three_sites_nested = list("three_sites", sites, g, nested(~ 1), "(1 | subject) + (1 | subject:site)"),
  three_sites_nested_slope = list("three_sites", sites, g, nested(~ time), "(1 + time | subject) + (1 | subject:site)"),
  sleepstudy_rs = list("sleepstudy", sleepstudy, reaction ~ days, by_subject(~ days), "(1 + days | subject)"),
  sleepstudy_diag = list("sleepstudy", sleepstudy, reaction ~ days, by_subject(~ days, FALSE), "(1 | subject) + (0 + days | subject)"),
  sleepstudy_ri = list("sleepstudy", sleepstudy, reaction ~ days, by_subject(~ 1), "(1 | subject)"),
  sleepstudy_unbalanced_rs = list("sleepstudy_unbalanced", unbalanced, reaction ~ days, by_subject(~ days), "(1 + days | subject)"),
  orthodont_rs = list("orthodont", orthodont, distance ~ age * sex, by_subject(~ age), "(1 + age | subject)"),
  orthodont_ri = list("orthodont", orthodont, distance ~ age * sex, by_subject(~ 1), "(1 | subject)"))

models <- list()
for (k in names(kinds)) for (method in c("REML", "ML")) {
  a <- kinds[[k]]
  models[[length(models) + 1]] <- mixed_model_report(paste0(k, "_", tolower(method)), a[[1]], a[[2]], a[[3]], a[[4]], a[[5]], method,
    weights = a$weights, kr = is.null(a$weights))
}

# Likelihood ratios of nested random parts, same fixed part, likelihoods of the kind each was fitted by.
log_likelihoods <- setNames(vapply(models, `[[`, 0, "loglik"), vapply(models, `[[`, "", "id"))
ratio <- function(small, large, added) {
  x <- 2 * (log_likelihoods[[large]] - log_likelihoods[[small]])
  one <- function(k) if (k == 0) 0 else pchisq(x, k, lower.tail = FALSE)
  list(small = small, large = large, statistic = x, added_parameters = added, p_chi_square = one(added),
       p_half_mixture = (one(added - 1) + one(added)) / 2)
}
tests <- list()
for (m in c("reml", "ml")) tests <- c(tests, list(
  ratio(paste0("irregular_ri_", m), paste0("irregular_rs_", m), 2), ratio(paste0("irregular_diag_", m), paste0("irregular_rs_", m), 1),
  ratio(paste0("irregular_ri_", m), paste0("irregular_diag_", m), 1), ratio(paste0("sleepstudy_ri_", m), paste0("sleepstudy_rs_", m), 2),
  ratio(paste0("three_sites_nested_", m), paste0("three_sites_nested_slope_", m), 2), ratio(paste0("orthodont_ri_", m), paste0("orthodont_rs_", m), 2)))
models[[length(models) + 1]] <- list(id = "likelihood_ratios", program = "dense.R",
  note = "p_half_mixture is right for one added random effect (q and q + 1 parameters); p_chi_square is anova(refit = FALSE)", tests = tests)
a <- anova(lmer(bmd ~ arm * time + age + (1 | subject), irregular, control = tight),
           lmer(bmd ~ arm * time + age + (1 + time | subject), irregular, control = tight), refit = FALSE)
cat("anova(refit = FALSE):", a$Chisq[2], "against", tests[[1]]$statistic, "\n")
models[[length(models)]]$lme4_anova_irregular_ri_rs_reml <- list(statistic = a$Chisq[2], df = a$Df[2], p = a$`Pr(>Chisq)`[2])
write_models("random_slopes", "dense.R from where lme4 stopped; `lmer` holds lme4, lmerTest and pbkrtest, `agreement` the largest relative differences",
             models, c("lme4", "lmerTest", "pbkrtest"))
