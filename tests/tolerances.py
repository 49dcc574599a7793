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
