# Any covariance, written out densely subject by subject: likelihood, score, observed and expected
# information, Newton steps to the last digits, Satterthwaite, Kenward-Roger (first and second
# order), sandwiches, leave-one-subject-out refits, profile intervals. direct.R does this for
# covariances linear in their parameters; here the covariance is a function of theta alone, its first
# derivatives are complex steps, its second ones Richardson differences of those. The df formulas are
# direct.R's. No mixed-model package is called.
source("tests/reference/scripts/direct.R")

# ---- visit covariances: theta as tests/reference/README.md lays out ------------------------------
lags <- function(m) abs(outer(seq_len(m), seq_len(m), "-"))
scaled <- function(variances, C) sqrt(variances) %o% sqrt(variances) * C
adjacent <- function(rho) {
  m <- length(rho) + 1; C <- matrix(1 + 0 * rho[1], m, m)
  for (i in seq_len(m)) for (j in seq_len(m)) if (i < j) C[i, j] <- C[j, i] <- prod(rho[i:(j - 1)])
  C
}
power_of <- function(rho, distance) { C <- rho^distance; C[distance == 0] <- 1; C }
structures <- list(
  un = function(th, m) {
    S <- matrix(0 * th[1], m, m); k <- 0
    for (a in seq_len(m)) for (b in a:m) { k <- k + 1; S[a, b] <- S[b, a] <- th[k] }
    S
  },
  cs = function(th, m) th[2] + (th[1] - th[2]) * diag(m),
  toep = function(th, m) matrix(th[lags(m) + 1], m, m),
  toeph = function(th, m) scaled(th[1:m], matrix(c(1, th[-(1:m)])[lags(m) + 1], m, m)),
  ar1 = function(th, m) th[1] * power_of(th[2], lags(m)),
  ar1h = function(th, m) scaled(th[1:m], power_of(th[m + 1], lags(m))),
  csh = function(th, m) scaled(th[1:m], th[m + 1] + (1 - th[m + 1]) * diag(m)),
  ad = function(th, m) th[1] * adjacent(th[-1]),
  adh = function(th, m) scaled(th[1:m], adjacent(th[-(1:m)])))

theta_of <- function(S, structure) {
  m <- nrow(S); C <- cov2cor(S); v <- diag(S)
  lagged <- if (m > 1) C[1, -1] else numeric(0)
  next_to <- C[cbind(seq_len(m - 1), seq_len(m - 1) + 1)]
  switch(structure,
    un = unlist(lapply(seq_len(m), function(a) S[a, a:m])), cs = c(v[1], S[1, 2]), toep = S[1, ],
    toeph = c(v, lagged), ar1 = c(v[1], lagged[1]), ar1h = c(v, lagged[1]), csh = c(v, lagged[1]),
    ad = c(v[1], next_to), adh = c(v, next_to))
}

# ---- a model: bases are covariances as functions of theta, subjects take rows of one --------------
# base: name of its function per subject; at: which rows and columns of the base the subject's rows are
dense_model <- function(X, y, subject, bases, base, at, weights = NULL, method = "REML", linear = FALSE) {
  rows <- split(seq_along(y), factor(subject, unique(subject)))
  list(X = X, y = y, rows = rows, bases = bases, method = method, linear = linear, at = at,
       base = vapply(rows, function(r) as.character(base[r[1]]), ""),
       scale = if (is.null(weights)) rep(1, length(y)) else 1 / sqrt(weights))
}

marginal_model <- function(X, y, subject, visit, structure, method, weights = NULL, group = NULL) {
  m <- max(visit); S <- structures[[structure]]
  count <- length(theta_of(0.5 * diag(m) + 0.5, structure))
  levels_of <- if (is.null(group)) "all" else levels(factor(group))
  bases <- lapply(setNames(seq_along(levels_of), levels_of), function(g)
    local({ own <- (g - 1) * count + seq_len(count); function(th) S(th[own], m) }))
  dense_model(X, y, subject, bases, if (is.null(group)) rep("all", length(y)) else group, visit,
              weights, method, structure %in% c("un", "cs", "toep"))
}

# random: list of list(Z = matrix, cell = grouping within which Z applies, full = TRUE or diagonal);
# residual: function(theta, rows) -> covariance of those rows; theta of the random parts come first
mixed_model <- function(X, y, subject, random, residual, method, linear = TRUE) {
  subject <- as.character(subject)
  sizes <- vapply(random, function(r) { q <- ncol(r$Z); if (r$full) q * (q + 1) / 2 else q }, 0)
  ends <- cumsum(sizes); rows <- split(seq_along(y), factor(subject, unique(subject)))
  bases <- lapply(rows, function(r) local({ r <- r; function(th) {
    V <- residual(th[-seq_len(sum(sizes))], r)
    for (k in seq_along(random)) {
      own <- th[(ends[k] - sizes[k] + 1):ends[k]]; q <- ncol(random[[k]]$Z)
      G <- if (random[[k]]$full) structures$un(own, q) else diag(own, q)
      Z <- random[[k]]$Z[r, , drop = FALSE]; cell <- as.character(random[[k]]$cell[r])
      V <- V + (Z %*% G %*% t(Z)) * outer(cell, cell, "==")
    }
    V
  } }))
  at <- ave(seq_along(y), subject, FUN = seq_along)
  m <- dense_model(X, y, subject, bases, subject, at, NULL, method, linear)
  m$random <- random; m$sizes <- sizes
  m
}

# ---- derivatives of the bases -----------------------------------------------------------------------
first_derivatives <- function(f, th) lapply(seq_along(th), function(k) {
  z <- th + 0i; z[k] <- z[k] + 1e-30i; Im(f(z)) / 1e-30 })
second_derivatives <- function(f, th) lapply(seq_along(th), function(j) {
  h <- 2e-3 * max(abs(th[j]), 1e-3 * max(abs(th)))
  slope <- function(h) {
    up <- down <- th; up[j] <- up[j] + h; down[j] <- down[j] - h
    Map(function(a, b) (a - b) / (2 * h), first_derivatives(f, up), first_derivatives(f, down)) }
  d1 <- slope(h); d2 <- slope(h / 2); d3 <- slope(h / 4)
  Map(function(a, b, c) (64 * c - 20 * b + a) / 45, d1, d2, d3)
})

evaluate_dense <- function(model, theta) {
  K <- length(theta); p <- ncol(model$X); reml <- model$method == "REML"
  S <- lapply(model$bases, function(f) f(theta))
  D1 <- lapply(model$bases, first_derivatives, theta)
  D2 <- if (!model$linear) lapply(model$bases, second_derivatives, theta)
  parts <- lapply(seq_along(model$rows), function(i) {
    r <- model$rows[[i]]; b <- model$base[i]; a <- model$at[r]; s <- model$scale[r] %o% model$scale[r]
    cut <- function(M) M[a, a, drop = FALSE] * s
    V <- cut(S[[b]]); L <- chol(V)
    list(X = model$X[r, , drop = FALSE], y = model$y[r], V = V, Vi = chol2inv(L), cut = cut, b = b,
         logdet = 2 * sum(log(diag(L))), D = lapply(D1[[b]], cut), rows = r)
  })
  XVX <- Reduce(`+`, lapply(parts, function(s) t(s$X) %*% s$Vi %*% s$X))
  XVy <- Reduce(`+`, lapply(parts, function(s) t(s$X) %*% (s$Vi %*% s$y)))
  Phi <- chol2inv(chol(XVX)); beta <- as.numeric(Phi %*% XVy)
  quad <- 0; score <- numeric(K); trVV <- quadVV <- matrix(0, K, K); a <- matrix(0, p, K)
  QQ <- matrix(0, p * K, p * K); PP <- matrix(0, p, p * K)
  curve <- matrix(0, K, K); R <- lapply(seq_len(K), function(i) replicate(K, matrix(0, p, p), FALSE))
  for (s in parts) {
    resid <- as.numeric(s$y - s$X %*% beta); u <- as.numeric(s$Vi %*% resid)
    quad <- quad + sum(resid * u)
    VD <- lapply(s$D, function(D) s$Vi %*% D); ViX <- s$Vi %*% s$X
    Du <- vapply(s$D, function(D) as.numeric(D %*% u), numeric(length(u)))
    Du <- matrix(Du, ncol = K)
    score <- score + (colSums(u * Du) - vapply(VD, function(M) sum(diag(M)), 0)) / 2
    trVV <- trVV + crossprod(matrix(vapply(VD, as.vector, numeric(length(s$V))), ncol = K),
      matrix(vapply(VD, function(M) as.vector(t(M)), numeric(length(s$V))), ncol = K))
    quadVV <- quadVV + t(Du) %*% s$Vi %*% Du
    a <- a + t(ViX) %*% Du
    G <- do.call(cbind, lapply(s$D, function(D) D %*% ViX))
    PP <- PP - t(ViX) %*% G
    QQ <- QQ + t(G) %*% s$Vi %*% G
    if (!model$linear) for (i in seq_len(K)) for (j in seq_len(i)) {
      E <- (D2[[s$b]][[i]][[j]] + D2[[s$b]][[j]][[i]]) / 2
      if (!any(E != 0)) next
      E <- s$cut(E); Rij <- t(ViX) %*% E %*% ViX
      R[[i]][[j]] <- R[[i]][[j]] + Rij
      gap <- (sum(s$Vi * E) - sum(u * (E %*% u))) / 2 - (if (reml) sum(Phi * Rij) / 2 else 0)
      curve[i, j] <- curve[i, j] + gap
      if (i != j) { R[[j]][[i]] <- R[[j]][[i]] + Rij; curve[j, i] <- curve[j, i] + gap }
    }
  }
  block <- function(M, i, j) M[(i - 1) * p + seq_len(p), (j - 1) * p + seq_len(p), drop = FALSE]
  P <- lapply(seq_len(K), function(i) PP[, (i - 1) * p + seq_len(p), drop = FALSE])
  Q <- lapply(seq_len(K), function(i) lapply(seq_len(K), function(j) block(QQ, i, j)))
  n <- length(model$y)
  loglik <- -0.5 * (n * log(2 * pi) + sum(vapply(parts, `[[`, 0, "logdet")) + quad)
  trPP <- trVV
  if (reml) {
    loglik <- loglik + 0.5 * p * log(2 * pi) - 0.5 * as.numeric(determinant(XVX)$modulus)
    for (i in seq_len(K)) {
      score[i] <- score[i] - 0.5 * sum(Phi * P[[i]])
      for (j in seq_len(K)) trPP[i, j] <- trVV[i, j] - 2 * sum(Phi * t(Q[[i]][[j]])) +
          sum((Phi %*% P[[i]]) * t(Phi %*% P[[j]]))
    }
  }
  observed <- quadVV - t(a) %*% Phi %*% a - trPP / 2 + curve
  list(theta = theta, beta = beta, Phi = Phi, loglik = loglik, score = score, parts = parts,
       observed = (observed + t(observed)) / 2, expected = (trPP + t(trPP)) / 4, P = P, Q = Q, R = R,
       covariance = S, names = colnames(model$X))
}

log_likelihood_dense <- function(model, theta) {       # NULL where a covariance is not positive
  S <- suppressWarnings(lapply(model$bases, function(f) f(theta))); p <- ncol(model$X)
  XVX <- matrix(0, p, p); XVy <- numeric(p); yVy <- logdet <- 0
  for (i in seq_along(model$rows)) {
    r <- model$rows[[i]]; a <- model$at[r]
    V <- S[[model$base[i]]][a, a, drop = FALSE] * (model$scale[r] %o% model$scale[r])
    L <- tryCatch(chol(V), error = function(e) NULL)
    if (is.null(L)) return(NULL)
    W <- backsolve(L, cbind(model$X[r, , drop = FALSE], model$y[r]), transpose = TRUE)
    C <- crossprod(W); k <- seq_len(p)
    XVX <- XVX + C[k, k]; XVy <- XVy + C[k, p + 1]; yVy <- yVy + C[p + 1, p + 1]
    logdet <- logdet + 2 * sum(log(diag(L)))
  }
  beta <- solve(XVX, XVy)
  -0.5 * (length(model$y) * log(2 * pi) + logdet + yVy - sum(beta * XVy)) +
    if (model$method == "REML") 0.5 * p * log(2 * pi) - 0.5 * as.numeric(determinant(XVX)$modulus) else 0
}

# `free`: which parameters move (the others stay where they are put).
polish_dense <- function(model, theta, free = seq_along(theta), steps = 100) {
  e <- evaluate_dense(model, theta)
  for (iteration in seq_len(steps)) {
    H <- e$observed[free, free, drop = FALSE]; g <- e$score[free]
    d <- 1 / sqrt(diag(e$expected)[free])                        # parameters of very unlike size
    scaled_H <- H * (d %o% d)
    if (min(eigen(scaled_H, symmetric = TRUE, only.values = TRUE)$values) <= 0)
      scaled_H <- e$expected[free, free, drop = FALSE] * (d %o% d)
    step <- d * as.numeric(solve(scaled_H, d * g))
    decrement <- sum(step * g)
    if (decrement < 1e-22) break
    scale <- 1
    repeat {
      th <- e$theta; th[free] <- th[free] + scale * step
      l <- log_likelihood_dense(model, th)
      if (!is.null(l) && is.finite(l) && l >= e$loglik - 1e-10) break
      scale <- scale / 2
      if (scale < 1e-10) { if (decrement < 1e-15) break; stop("no uphill step") }
    }
    if (scale < 1e-10) break
    e <- evaluate_dense(model, th)
  }
  e$decrement <- decrement; e$max_score_in_sd <- max(abs(e$score[free] / sqrt(diag(e$expected)[free])))
  e
}

kr_vcov_second <- function(e, W) {                   # depends on how the covariance is parameterised
  K <- length(e$P); extra <- 0 * e$Phi
  for (i in seq_len(K)) for (j in seq_len(K)) extra <- extra + W[i, j] * e$R[[i]][[j]] / 4
  kr_vcov(e, W) - 2 * e$Phi %*% extra %*% e$Phi
}

# ---- sandwiches: residuals whitened by V^-1/2, leverage H = X* Phi X*' (mmrm's symmetric root) --------
root <- function(M, power) { s <- eigen(M, symmetric = TRUE)
  s$vectors %*% (pmax(s$values, 0)^power * t(s$vectors)) }
sandwich_parts <- function(e, type) lapply(e$parts, function(s) {
  Xs <- root(s$Vi, 0.5) %*% s$X; H <- Xs %*% e$Phi %*% t(Xs); n <- nrow(Xs)
  A <- switch(type, CR0 = diag(n), CR2 = root(diag(n) - H, -0.5), CR3 = solve(diag(n) - H))
  list(Xs = Xs, A = A, rs = root(s$Vi, 0.5) %*% (s$y - s$X %*% e$beta), score = t(Xs) %*% A)
})
sandwich_vcov <- function(e, type) e$Phi %*% Reduce(`+`, lapply(sandwich_parts(e, type), function(s)
  tcrossprod(s$score %*% s$rs))) %*% e$Phi
# Bell and McCaffrey: l'Vl is a quadratic form in normal residuals whose covariance is I - H (whitened)
sandwich_df <- function(e, L, type) {
  parts <- sandwich_parts(e, type); Xs <- do.call(rbind, lapply(parts, `[[`, "Xs"))
  n <- vapply(parts, function(s) nrow(s$Xs), 0); end <- cumsum(n)
  M <- diag(nrow(Xs)) - Xs %*% e$Phi %*% t(Xs)
  apply(L, 1, function(l) {
    G <- vapply(seq_along(parts), function(i) {
      g <- numeric(nrow(Xs)); g[(end[i] - n[i] + 1):end[i]] <- t(parts[[i]]$score) %*% e$Phi %*% l; g
    }, numeric(nrow(Xs)))
    B <- t(G) %*% M %*% G
    sum(diag(B))^2 / sum(B^2)
  })
}

# ---- random effects: modes and conditional covariance at given covariance parameters ------------------
blups_dense <- function(model, e, k) {
  r <- model$random[[k]]; ends <- cumsum(model$sizes); q <- ncol(r$Z)
  own <- e$theta[(ends[k] - model$sizes[k] + 1):ends[k]]
  G <- if (r$full) structures$un(own, q) else diag(own, q)
  cells <- unique(as.character(r$cell))
  one <- function(cell) {
    s <- Filter(function(s) any(as.character(r$cell[s$rows]) == cell), e$parts)[[1]]
    Z <- r$Z[s$rows, , drop = FALSE] * (as.character(r$cell[s$rows]) == cell)
    C <- G %*% t(Z) %*% s$Vi
    P <- s$Vi - s$Vi %*% s$X %*% e$Phi %*% t(s$X) %*% s$Vi
    list(mode = as.numeric(C %*% (s$y - s$X %*% e$beta)), given_beta = G - C %*% Z %*% G,
         prediction = G - G %*% t(Z) %*% P %*% Z %*% G)
  }
  out <- lapply(cells, one)
  list(levels = cells, columns = colnames(r$Z), values = do.call(rbind, lapply(out, `[[`, "mode")),
       cond_cov = lapply(out, `[[`, "given_beta"), prediction_cov = lapply(out, `[[`, "prediction"))
}
