"""How close is equal: every tolerance of the test suite, each with its reason.

A tolerance is never widened to make a test pass; a disagreement is explained first.
"""

# --- against other programs (mmrm, nlme, lme4), as far as those agree among themselves --------

# Programs stop at slightly different points of a flat top: mmrm and gls differ by 1e-7 here.
PEER_LOGLIK = 1e-6
# In standard errors: an estimate is only known to its standard error, and mmrm stops that close.
PEER_ESTIMATE_IN_SE = 1e-5
# Relative. First order in the covariance error that is left after the peer's last step.
PEER_SE = 1e-5
# Relative. Degrees of freedom use second derivatives, mmrm's come from automatic differentiation.
PEER_DF = 1e-5
# Of the largest element. The likelihood is flat in Sigma: 1e-9 in log-likelihood is 1e-5 here.
PEER_COVARIANCE = 1e-4
# Relative, for F and t: a squared t carries twice the estimate's error, at |t| up to some tens.
PEER_STATISTIC = 1e-4
# Relative, for p: the log of a tail probability moves with t times the change in t.
PEER_P_VALUE = 1e-3

# --- against tests/reference/scripts/direct.R after Newton steps to the last digits -----------

# Absolute; sums of some hundred logarithms and squares in double precision.
EXACT_LOGLIK = 1e-8
# In standard errors; the engine's certificate allows a Newton decrement near 1e-12.
EXACT_ESTIMATE_IN_SE = 1e-7
EXACT_SE = 1e-7
# Relative; df are ratios of second derivatives and amplify what is left in Sigma.
EXACT_DF = 1e-6
EXACT_COVARIANCE = 1e-6
EXACT_STATISTIC = 1e-6
EXACT_P_VALUE = 1e-5

# --- the dense oracle against stored formulas at the same covariance ---------------------------

# Relative: same formula, other order of sums; the stored numbers have 15 digits.
SAME_FORMULA = 1e-9
# Relative, for F: the stored hypothesis matrices carry 12 decimals.
SAME_FORMULA_F = 1e-8
# In their standard errors; a Newton decrement of 1e-12 leaves 1e-6 of one.
EXACT_THETA_IN_SE = 1e-6
# Of the two diagonal elements; information at a theta that is off by that much.
EXACT_INFORMATION = 1e-6

# --- sandwiches of R mmrm (tight), clubSandwich and dense.R ------------------------------------

SANDWICH_ESTIMATE_IN_SE = 1e-5
SANDWICH_SE = 1e-6
SANDWICH_DF = 1e-6
SANDWICH_P_VALUE = 1e-4
SANDWICH_COVARIANCE = 1e-6

# --- nlme, whose optimisers stop at a relative change of the criterion --------------------------

NLME_LOGLIK = 1e-4
NLME_ESTIMATE_IN_SE = 1e-4
NLME_SE = 1e-4
NLME_COVARIANCE = 1e-3

# --- glmmTMB --------------------------------------------------------------------------------------

# Absolute. Its unstructured model keeps a residual variance fixed near zero beside Sigma.
TMB_LOGLIK = 1e-4

# --- SAS PROC MIXED, printed: what its early stop costs, after the rounding of the last digit ----

# Its criterion is below 1e-8 when it stops; 2.6e-5 is the most seen (README, section SAS).
SAS_MINUS2_LOGLIK = 3e-5
# A loss of 2.6e-5 in -2 log-likelihood is up to 5e-3 standard errors; 2.5e-3 is the most seen.
SAS_ESTIMATE_IN_SE = 3e-3
# The same listings against dense.R: 1.2e-4 and 4e-4 relative.
SAS_SE = 1.3e-4
SAS_DF = 4e-4
SAS_F = 5e-4
SAS_STATISTIC = 5e-4
SAS_P_VALUE = 1e-2
# A quadratic: the square root of the loss in -2 log-likelihood.
SAS_THETA_IN_SE = 6e-3
