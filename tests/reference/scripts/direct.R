# Textbook formulas for marginal models with a covariance linear in its parameters,
# written out densely, subject by subject: restricted and full likelihood, score,
# observed and expected information (Harville 1977; Jennrich and Schluchter 1986),
# Satterthwaite df (Fai and Cornelius 1996 for several df), Kenward and Roger (1997).
# It calls no mixed-model package: nlme, lme4 and pbkrtest are what it is compared with.

linear_basis <- function(structure, m) {
  if (structure == "cs") {
    if (m == 1) return(list(diag(1)))
    return(list(diag(m), 1 - diag(m)))
  }
  out <- list()
  for (a in seq_len(m)) for (b in seq_len(a)) {
    E <- matrix(0, m, m); E[a, b] <- E[b, a] <- 1
    out[[length(out) + 1]] <- E
  }
  out
}

theta_from <- function(Sigma, structure) {
  if (structure == "cs") return(if (nrow(Sigma) == 1) Sigma[1, 1] else c(Sigma[1, 1], Sigma[2, 1]))
  unlist(lapply(seq_len(nrow(Sigma)), function(a) Sigma[a, seq_len(a)]))
}

sigma_from <- function(theta, basis) Reduce(`+`, Map(`*`, theta, basis))

# X, y, subject (factor), visit (integer 1..m)
direct_model <- function(X, y, subject, visit, structure, method) {
  m <- max(visit)
  list(X = X, y = y, rows = split(seq_along(y), factor(subject)), visit = visit,
       basis = linear_basis(structure, m), structure = structure, method = method)
}

evaluate <- function(model, theta) {
  K <- length(model$basis); p <- ncol(model$X); reml <- model$method == "REML"
  Sigma <- sigma_from(theta, model$basis)
  XVX <- matrix(0, p, p); XVy <- numeric(p); logdet <- 0
  parts <- lapply(model$rows, function(r) {
    v <- model$visit[r]
    V <- Sigma[v, v, drop = FALSE]
    list(X = model$X[r, , drop = FALSE], y = model$y[r], V = V, Vi = solve(V),
         D = lapply(model$basis, function(B) B[v, v, drop = FALSE]))
  })
  for (s in parts) {
    XVX <- XVX + t(s$X) %*% s$Vi %*% s$X
    XVy <- XVy + t(s$X) %*% s$Vi %*% s$y
    logdet <- logdet + as.numeric(determinant(s$V)$modulus)
  }
  Phi <- solve(XVX); beta <- as.numeric(Phi %*% XVy)
  quad <- 0; score <- numeric(K)
  trVV <- quadVV <- matrix(0, K, K); a <- matrix(0, p, K)
  P <- replicate(K, matrix(0, p, p), simplify = FALSE)
  Q <- lapply(seq_len(K), function(i) replicate(K, matrix(0, p, p), simplify = FALSE))
  for (s in parts) {
    u <- s$Vi %*% (s$y - s$X %*% beta)
    quad <- quad + sum((s$y - s$X %*% beta) * u)
    VD <- lapply(s$D, function(D) s$Vi %*% D)
    XVD <- lapply(VD, function(M) t(s$X) %*% M)
    for (i in seq_len(K)) {
      score[i] <- score[i] + (sum(u * (s$D[[i]] %*% u)) - sum(diag(VD[[i]]))) / 2
      a[, i] <- a[, i] + XVD[[i]] %*% u
      P[[i]] <- P[[i]] - XVD[[i]] %*% s$Vi %*% s$X
      for (j in seq_len(K)) {
        trVV[i, j] <- trVV[i, j] + sum(VD[[i]] * t(VD[[j]]))
        quadVV[i, j] <- quadVV[i, j] + sum((s$D[[i]] %*% u) * (VD[[j]] %*% u))
        Q[[i]][[j]] <- Q[[i]][[j]] + XVD[[i]] %*% VD[[j]] %*% s$Vi %*% s$X
      }
    }
  }
  n <- length(model$y)
  loglik <- -0.5 * (n * log(2 * pi) + logdet + quad)
  trPP <- trVV
  if (reml) {
    loglik <- loglik + 0.5 * p * log(2 * pi) - 0.5 * as.numeric(determinant(XVX)$modulus)
    for (i in seq_len(K)) {
      score[i] <- score[i] - 0.5 * sum(Phi * P[[i]])
      for (j in seq_len(K)) {
        trPP[i, j] <- trVV[i, j] - 2 * sum(Phi * t(Q[[i]][[j]])) +
          sum((Phi %*% P[[i]]) * t(Phi %*% P[[j]]))
      }
    }
  }
  expected <- trPP / 2
  # -d2l = u' D_i P D_j u - 1/2 tr(P D_i P D_j); under ML the trace has V^-1 in place of P
  observed <- quadVV - t(a) %*% Phi %*% a - trPP / 2
  list(theta = theta, Sigma = Sigma, beta = beta, Phi = Phi, loglik = loglik, score = score,
       observed = (observed + t(observed)) / 2, expected = (expected + t(expected)) / 2, P = P, Q = Q)
}

# Newton steps with exact derivatives from a good start (a package's fit), to the last digits.
polish <- function(model, Sigma) {
  e <- evaluate(model, theta_from(Sigma, model$structure))
  for (iteration in 1:60) {
    H <- e$observed
    if (min(eigen(H, symmetric = TRUE, only.values = TRUE)$values) <= 0) H <- e$expected
    step <- as.numeric(solve(H, e$score))
    decrement <- sum(step * e$score)
    if (decrement < 1e-22) break
    scale <- 1
    repeat {
      S <- sigma_from(e$theta + scale * step, model$basis)
      if (min(eigen(S, symmetric = TRUE, only.values = TRUE)$values) > 0) {
        trial <- evaluate(model, e$theta + scale * step)
        if (trial$loglik >= e$loglik - 1e-10) break
      }
      scale <- scale / 2
      if (scale < 1e-8) stop("no uphill step")
    }
    e <- trial
  }
  e$decrement <- decrement
  e$names <- colnames(model$X)
  e
}

satterthwaite_one <- function(e, l, W) {
  g <- vapply(e$P, function(P) -as.numeric(t(l) %*% e$Phi %*% P %*% e$Phi %*% l), 0)
  2 * as.numeric(t(l) %*% e$Phi %*% l)^2 / as.numeric(t(g) %*% W %*% g)
}

# The joint df depends on the basis of the hypothesis: L is used as it is given.
satterthwaite_joint <- function(e, L, W) {
  eig <- eigen(L %*% e$Phi %*% t(L), symmetric = TRUE)
  R <- t(eig$vectors) %*% L
  q <- nrow(L)
  nu <- apply(R, 1, function(l) satterthwaite_one(e, l, W))
  statistic <- sum((R %*% e$beta)^2 / eig$values) / q
  df <- if (q == 1 || diff(range(nu)) < 1e-8 * mean(nu)) mean(nu) else if (any(nu <= 2)) 2 else {
    E <- sum(nu / (nu - 2)); 2 * E / (E - q)
  }
  list(num_df = q, den_df = df, F = statistic, p = pf(statistic, q, df, lower.tail = FALSE))
}

kr_vcov <- function(e, W) {
  K <- length(e$P); Lambda <- 0 * e$Phi
  for (i in seq_len(K)) for (j in seq_len(K)) {
    Lambda <- Lambda + W[i, j] * (e$Q[[i]][[j]] - e$P[[i]] %*% e$Phi %*% e$P[[j]])
  }
  e$Phi + 2 * e$Phi %*% Lambda %*% e$Phi
}

kr_joint <- function(e, L, W, V = kr_vcov(e, W)) {
  q <- nrow(L); K <- length(e$P)
  Theta <- t(L) %*% solve(L %*% e$Phi %*% t(L)) %*% L
  M <- lapply(e$P, function(P) Theta %*% e$Phi %*% P %*% e$Phi)
  tr <- vapply(M, function(x) sum(diag(x)), 0)
  A1 <- as.numeric(t(tr) %*% W %*% tr); A2 <- 0
  for (i in seq_len(K)) for (j in seq_len(K)) A2 <- A2 + W[i, j] * sum(M[[i]] * t(M[[j]]))
  B <- (A1 + 6 * A2) / (2 * q)
  g <- ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
  d <- 3 * q + 2 * (1 - g)
  E <- 1 / (1 - A2 / q)
  Var <- 2 / q * (1 + g / d * B) / ((1 - (q - g) / d * B)^2 * (1 - (q + 2 - g) / d * B))
  rho <- Var / (2 * E^2)
  m <- 4 + (q + 2) / (q * rho - 1)
  lambda <- m / (E * (m - 2))
  est <- L %*% e$beta
  statistic <- lambda / q * as.numeric(t(est) %*% solve(L %*% V %*% t(L), est))
  list(num_df = q, den_df = m, F = statistic, F_scaling = lambda,
       p = pf(statistic, q, m, lower.tail = FALSE))
}

# One row per linear function: estimate, SE, df, t, p for every df method and information kind.
linear_table <- function(e, L, label, method = "satterthwaite", information = "observed") {
  W <- solve(e[[information]])
  V <- if (method == "kenward_roger") kr_vcov(e, W) else e$Phi
  est <- as.numeric(L %*% e$beta)
  se <- sqrt(rowSums((L %*% V) * L))
  df <- apply(L, 1, function(l) satterthwaite_one(e, l, W))  # KR df of one row is the same number
  if (method == "kenward_roger") {
    kr <- apply(L, 1, function(l) kr_joint(e, t(l), W, V)$den_df)
    stopifnot(max(abs(kr / df - 1)) < 1e-7)
    df <- kr
  }
  data.frame(name = label, estimate = est, se = se, df = df, t = est / se,
             p = 2 * pt(abs(est / se), df, lower.tail = FALSE))
}
