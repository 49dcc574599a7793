# Rscript tests/reference/scripts/calcium.R   (from the top of the repository)
# The calcium trial: change from visit 1, absolute and percent, and BMD itself at five visits.
source("tests/reference/scripts/direct.R"); source("tests/reference/scripts/report.R")

calcium <- read.csv("data/calcium/calcium.csv")
first <- calcium[calcium$visit == 1, ]
calcium$base <- first$bmd[match(calcium$person, first$person)]
calcium$change <- calcium$bmd - calcium$base
calcium$pct <- 100 * (calcium$bmd - calcium$base) / calcium$base
calcium$group <- factor(calcium$group, c("P", "C"))
later <- calcium[calcium$visit > 1, ]
calcium$visit <- factor(calcium$visit); later$visit <- factor(later$visit)

fit <- function(id, formula, structure = "un", method = "REML", data = later)
  report_model(id, formula, data, structure, method, "person", "visit", "group", "visit")

write_report("tests/reference/peers/calcium.json", "data/calcium/calcium.csv",
  "calcium, R package lava (GPL-3); Vonesh and Chinchilli 1997, Table 5.4.1", list(
  fit("change_un_reml", change ~ group * visit),
  fit("change_un_ml", change ~ group * visit, method = "ML"),
  fit("change_cs_reml", change ~ group * visit, "cs"),
  fit("change_cs_ml", change ~ group * visit, "cs", "ML"),
  fit("change_base_un_reml", change ~ base * visit + group * visit),
  fit("pct_un_reml", pct ~ group * visit),
  fit("pct_un_ml", pct ~ group * visit, method = "ML"),
  fit("pct_cs_reml", pct ~ group * visit, "cs"),
  fit("pct_base_un_reml", pct ~ base + group * visit),
  fit("bmd_un_reml", bmd ~ group * visit, data = calcium),
  fit("bmd_cs_reml", bmd ~ group * visit, "cs", data = calcium)))
