# Rscript tests/reference/scripts/anova_type_two.R   (from the top of the repository)
# Type II tables of lmerTest, factors coded sum-to-zero and by treatment: F, both df, p. Satterthwaite uses the
# OBSERVED information of the covariance parameters, Kenward-Roger (pbkrtest) the EXPECTED one. The optimiser is
# tightened; lmerTest's derivatives stay numerical.
suppressPackageStartupMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})

control <- lmerControl(optCtrl = list(xtol_rel = 1e-14, xtol_abs = 1e-14, ftol_rel = 1e-15, ftol_abs = 1e-15,
                                      maxeval = 1e5))
table_of <- function(fit, ddf, type) {
  a <- as.data.frame(anova(fit, type = type, ddf = ddf))
  data.frame(term = rownames(a), df_num = a$NumDF, df_denom = a$DenDF, statistic = a$`F value`, p_value = a$`Pr(>F)`)
}
tables <- function(formula, data, contrasts, type) {
  options(contrasts = c(contrasts, "contr.poly"))
  environment(formula) <- environment()
  fit <- do.call(lmerTest::lmer, list(formula, data, control = control))
  list(loglik = as.numeric(logLik(fit)), satterthwaite = table_of(fit, "Satterthwaite", type),
       kenward_roger = table_of(fit, "Kenward-Roger", type))
}
one <- function(file, formula, random, data, type = "II") {
  full <- update(formula, paste(". ~ . + (", random$right, "|", random$subject, ")"))
  factors <- Filter(is.factor, data[intersect(all.vars(formula), names(data))])
  list(data = file, formula = paste(deparse(formula, 500), collapse = ""), subject = random$subject,
       random = random$right, type = type, factors = lapply(factors, levels),
       sum_to_zero = tables(full, data, "contr.sum", type), treatment = tables(full, data, "contr.treatment", type))
}

fev <- read.csv("tests/reference/data/fev.csv")
fev <- fev[!is.na(fev$fev1), ]
fev <- transform(fev, armcd = factor(armcd, c("PBO", "TRT")), avisit = factor(avisit, paste0("VIS", 1:4)),
  sex = factor(sex, c("Male", "Female")), race = factor(race, c("Asian", "Black or African American", "White")))
person <- list(right = "1", subject = "usubjid")
irregular <- read.csv("tests/reference/data/irregular.csv", stringsAsFactors = TRUE)
slope <- list(right = "1 + time", subject = "subject")

models <- list(
  two_factors_and_a_covariate = one("fev", fev1 ~ armcd * avisit + race + fev1_bl, person, fev),
  three_factors = one("fev", fev1 ~ armcd * avisit + sex * avisit + armcd:sex + race, person, fev),
  covariate_by_factor = one("fev", fev1 ~ race * fev1_bl + armcd * avisit, person, fev),
  random_slope = one("irregular", bmd ~ arm * time + scanner, slope, irregular))
packages <- c("lme4", "lmerTest", "pbkrtest", "jsonlite")
meta <- list(R = as.character(getRversion()),
  packages = lapply(setNames(nm = packages), function(p) as.character(packageVersion(p))))
write(toJSON(list(dataset = "anova_type_two", provenance = "lmerTest and pbkrtest on fev.csv and irregular.csv",
    meta = meta, models = models), auto_unbox = TRUE, digits = 15, pretty = TRUE),
  "tests/reference/peers/anova_type_two.json")
