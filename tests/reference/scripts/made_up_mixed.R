# Rscript tests/reference/scripts/made_up_mixed.R   (from the top of the repository)
# Data for random effects: made-up BMD at irregular times, three skeletal sites of each woman, a
# random effect that wants to be negative, a slope tied to its intercept; and classic tables of R.
folder <- "tests/reference/data/"
settle <- function(data, name) write.csv(data, paste0(folder, name, ".csv"), row.names = FALSE, quote = FALSE, na = "")

# --- 60 women, 2 to 7 scans at times of their own: `bmd` has random slopes and a noisier scanner B,
# --- `hip` a random intercept and a serial error that fades with the years between scans ----------
set.seed(20251123)
women <- do.call(rbind, lapply(1:60, function(i) {
  k <- sample(2:7, 1, prob = c(2, 3, 4, 4, 2, 1))
  time <- sort(c(0, round(cumsum(runif(k - 1, 0.3, 1.9)), 2)))
  scan <- seq_len(k)
  arm <- c("placebo", "active")[1 + i %% 2]; age <- round(rnorm(1, 60, 7), 1)
  scanner <- ifelse(runif(k) < 0.35, "B", "A"); repeats <- sample(1:3, k, TRUE)
  u0 <- rnorm(1, 0, 0.10); u1 <- 0.006 * (-0.3 * u0 / 0.10 + sqrt(1 - 0.09) * rnorm(1))
  C <- 0.55^abs(outer(time, time, "-"))
  mean <- 0.95 - 0.003 * (age - 60) - 0.010 * time + (arm == "active") * (0.01 + 0.006 * time)
  data.frame(subject = sprintf("W%02d", i), arm, age, time, scan, scanner, repeats,
    bmd = round(mean + u0 + u1 * time + rnorm(k, 0, ifelse(scanner == "B", 0.022, 0.012)), 4),
    hip = round(mean - 0.1 + rnorm(1, 0, 0.06) + 0.035 * as.numeric(t(chol(C)) %*% rnorm(k)), 4))
}))
settle(women, "irregular")

# --- three sites of 40 women, 2 to 4 visits: site within woman, a slope per woman ------------------
set.seed(20251124)
sites <- do.call(rbind, lapply(1:40, function(i) {
  k <- sample(2:4, 1); time <- round(cumsum(c(0, runif(k - 1, 0.7, 1.4))), 2)
  u0 <- rnorm(1, 0, 0.08); u1 <- rnorm(1, 0, 0.009) + 0.03 * u0
  do.call(rbind, lapply(c("hip", "neck", "spine"), function(site) {
    v <- rnorm(1, 0, 0.05)
    data.frame(subject = sprintf("S%02d", i), site, time, group = c("x", "y")[1 + i %% 2],
      bmd = round(c(hip = 0.92, neck = 0.75, spine = 1.02)[[site]] + c(hip = -0.008, neck = -0.011, spine = -0.004)[[site]] * time +
        u0 + u1 * time + v + rnorm(k, 0, 0.014), 4))
  }))
}))
sites <- sites[-sample(nrow(sites), 30), ]
settle(sites, "three_sites")

# --- a slope tied to its intercept: the best correlation of the random effects is one ---------------
set.seed(4)
tied <- do.call(rbind, lapply(1:18, function(i) {
  u <- rnorm(1); time <- 0:4
  data.frame(subject = sprintf("T%02d", i), time, y = round(10 + 0.5 * time + 1.5 * u + 0.25 * u * time + rnorm(5, 0, 1.4), 3))
}))
settle(tied, "tied_slope")

# --- classic tables ----------------------------------------------------------------------------------
suppressPackageStartupMessages({library(lme4); library(nlme)})
settle(data.frame(batch = as.character(Dyestuff$Batch), yield = Dyestuff$Yield), "dyestuff")
settle(data.frame(batch = as.character(Dyestuff2$Batch), yield = Dyestuff2$Yield), "dyestuff2")
settle(data.frame(block = as.character(Oats$Block), variety = gsub(" ", "_", as.character(Oats$Variety)),
                  plot = paste(Oats$Block, gsub(" ", "_", Oats$Variety), sep = "_"),
                  nitro = paste0("n", 10 * Oats$nitro), yield = Oats$yield), "oats")
