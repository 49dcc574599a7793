# Marginal means and contrasts of ordinary linear models by R emmeans. Ordinary least squares
# have a closed form, so these numbers test the reference grid, the weights and the contrasts
# and nothing else.
# Rscript tests/reference/scripts/means_lm.R   (from the top of the repository)
suppressPackageStartupMessages({library(emmeans); library(jsonlite)})

fev <- read.csv("tests/reference/data/fev.csv")
fev <- fev[!is.na(fev$fev1), ]
fev$armcd <- factor(fev$armcd, c("PBO", "TRT"))
fev$avisit <- factor(fev$avisit)
fev$race <- factor(fev$race, c("Asian", "Black or African American", "White"))
fev$sex <- factor(fev$sex, c("Male", "Female"))
empty <- read.csv("tests/reference/data/empty_cell.csv")
empty[c("region", "dose", "visit")] <- lapply(empty[c("region", "dose", "visit")], factor)
sets <- list(fev = fev, empty_cell = empty)

# Adjusted p-values beside unadjusted limits (R's own summary adjusts the limits too, by Bonferroni).
tabulate <- function(object, labels, adjust = "none") {
  t <- as.data.frame(summary(object, infer = TRUE, adjust = "none"))
  t$p.value <- as.data.frame(summary(object, infer = TRUE, adjust = adjust))$p.value
  names(t)[names(t) %in% c("emmean", "estimate")] <- "estimate"
  names(t)[names(t) == "SE"] <- "std_error"
  names(t)[names(t) == "t.ratio"] <- "statistic"
  names(t)[names(t) == "p.value"] <- "p_value"
  names(t)[names(t) == "lower.CL"] <- "conf_low"
  names(t)[names(t) == "upper.CL"] <- "conf_high"
  for (n in labels) t[[n]] <- if (is.factor(t[[n]])) as.character(t[[n]]) else t[[n]]
  t[c(labels, "estimate", "std_error", "df", "statistic", "p_value", "conf_low", "conf_high")]
}

case <- function(data, formula, over, by = character(), at = NULL, weights = "equal",
                 methods = c("pairwise", "revpairwise"), adjust = "none", again = NULL) {
  fit <- lm(formula, sets[[data]])
  arguments <- list(fit, specs = over, by = if (length(by)) by, weights = weights,
                    data = sets[[data]])
  if (!is.null(at)) arguments$at <- at
  means <- suppressMessages(do.call(emmeans, arguments))
  out <- list(data = data, formula = deparse1(formula), over = as.list(over), by = as.list(by),
              at = at, weights = weights, adjust = adjust, means = tabulate(means, c(over, by)),
              contrasts = list())
  for (m in methods) {
    name <- c(pairwise = "pairwise", revpairwise = "revpairwise", treatment_vs_control = "trt.vs.ctrl",
              consecutive = "consec")[[m]]
    found <- contrast(means, name)
    out$contrasts[[m]] <- tabulate(found, c("contrast", by), adjust)
    if (!is.null(again) && m == again$first) {
      second <- contrast(found, again$method, by = if (length(again$by)) again$by, adjust = "none")
      label <- setdiff(names(as.data.frame(second))[1], character())
      t <- tabulate(second, character())
      out$again <- list(first = again$first, method = again$method, by = as.list(again$by),
                        labels = as.character(as.data.frame(second)[[label]]), table = t)
    }
  }
  out
}

all_methods <- c("pairwise", "revpairwise", "treatment_vs_control", "consecutive")
cases <- list(
  additive_equal = case("fev", fev1 ~ race + sex + armcd * avisit + fev1_bl, "armcd", "avisit"),
  additive_proportional = case("fev", fev1 ~ race + sex + armcd * avisit + fev1_bl, "armcd", "avisit",
                               weights = "proportional"),
  crossed_equal = case("fev", fev1 ~ armcd * race * sex + avisit * armcd, "armcd", "avisit"),
  crossed_proportional = case("fev", fev1 ~ armcd * race * sex + avisit * armcd, "armcd", "avisit",
                              weights = "proportional"),
  proportional_over_visits = case("fev", fev1 ~ armcd * race + avisit * armcd, "armcd",
                                  weights = "proportional"),
  proportional_some_visits = case("fev", fev1 ~ armcd * race + avisit * armcd, "armcd",
                                  at = list(avisit = c("VIS2", "VIS4")), weights = "proportional"),
  proportional_one_visit_by = case("fev", fev1 ~ armcd * race + avisit * armcd, "armcd", "avisit",
                                   at = list(avisit = "VIS1"), weights = "proportional"),
  log_covariate = case("fev", log(fev1) ~ armcd * avisit + log(fev1_bl) + race, "armcd", "avisit"),
  square_covariate = case("fev", fev1 ~ armcd * avisit + fev1_bl + I(fev1_bl^2), "armcd", "avisit"),
  slopes_at = case("fev", fev1 ~ armcd * fev1_bl + avisit, "armcd", "fev1_bl",
                   at = list(fev1_bl = c(30, 50))),
  slopes_at_one = case("fev", fev1 ~ armcd * fev1_bl * avisit, "armcd", "avisit",
                       at = list(fev1_bl = 35)),
  slopes_at_proportional = case("fev", fev1 ~ armcd * race * fev1_bl + avisit, c("armcd", "fev1_bl"),
                                at = list(fev1_bl = c(30, 50)), weights = "proportional"),
  families = case("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd", methods = all_methods,
                  adjust = "holm"),
  two_over = case("fev", fev1 ~ armcd * avisit * sex, c("armcd", "sex"), "avisit",
                  methods = all_methods, adjust = "holm"),
  two_by = case("fev", fev1 ~ armcd * avisit * sex, "armcd", c("avisit", "sex")),
  difference_of_differences = case("fev", fev1 ~ armcd * avisit + race, "armcd", "avisit",
                                   methods = "revpairwise",
                                   again = list(first = "revpairwise", method = "revpairwise",
                                                by = character())),
  within_contrast = case("fev", fev1 ~ armcd * avisit + race, "avisit", "armcd",
                         methods = "consecutive",
                         again = list(first = "consecutive", method = "pairwise", by = "contrast")),
  empty_cells = case("empty_cell", y ~ region * dose + visit, "dose", "region"),
  empty_margin = case("empty_cell", y ~ region * dose + visit, "dose"),
  empty_margin_proportional = case("empty_cell", y ~ region * dose + visit, "region",
                                   weights = "proportional")
)
write_json(list(source = "R emmeans on lm", script = "scripts/means_lm.R",
                R = R.version.string, emmeans = as.character(packageVersion("emmeans")),
                cases = cases),
           "tests/reference/peers/means_lm.json",
           digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
