"""`anova`: tests of model terms that do not depend on how the user coded the factors."""

from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.wald import as_row
from aibmd.linalg.basis import orthonormalise
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import model_matrix

# Singular values of a term's new directions, relative to columns of length one.
_NEW_DIRECTION = 1e-6


def anova(fit: MixedFit, type: str = "III") -> pd.DataFrame:
    """F tests of the terms of a fit, each given all others (type III).

    Parameters
    ----------
    fit : MixedFit
    type : {"III"}
        The hypothesis of a term is that its coefficients vanish when every factor is coded
        sum-to-zero, whatever coding the fit used. Covariates are not centred: with an
        interaction, a main effect is tested where the covariate is zero.

    Returns
    -------
    DataFrame
        term, df_num, df_denom, statistic (F), p_value; the intercept is left out.

    Notes
    -----
    Where cells are empty the hypothesis is that the mean lies in the space of the other
    terms, which uses up fewer df than the term has columns. Labels (A1), (A2) of
    ``docs/methods/anova.md``.

    Under Satterthwaite the denominator df of a test with several df depend slightly on
    which level comes last, as in lmerTest and mmrm; Kenward-Roger does not.

    Examples
    --------
    >>> import numpy as np, pandas as pd, aibmd
    >>> rng = np.random.default_rng(1)
    >>> table = pd.DataFrame({"id": np.repeat(range(20), 2), "visit": ["a", "b"] * 20})
    >>> table["y"] = rng.normal(size=40)
    >>> fit = aibmd.fit_mmrm("y ~ visit", table, subject="id", visit="visit")
    >>> aibmd.anova(fit)["term"].tolist()
    ['visit']
    """
    if type != "III":
        raise AibmdError(f"type={type!r} is not available; available: 'III'")
    rows = []
    for term, L in term_hypotheses(fit).items():
        rows.append({"term": term, **as_row(fit.inference.test_jointly(L))})
    return pd.DataFrame(rows, columns=["term", "df_num", "df_denom", "statistic", "p_value"])


def term_hypotheses(fit: MixedFit) -> dict[str, FloatArray]:
    """Term -> L over the estimated coefficients, by sum-to-zero coding (A1)."""
    frame = fit.coding.frame
    X = fit.coding.code(frame)[:, fit.coding.kept]
    matrix = model_matrix(_sum_to_zero(fit), frame)
    X_sum = np.asarray(matrix, dtype=float)
    kept = orthonormalise(X_sum).kept
    to_sum = np.linalg.lstsq(X_sum[:, kept], X, rcond=None)[0]
    hypotheses = {}
    for term, structure in zip(_original_terms(fit), matrix.model_spec.structure, strict=True):
        own = [matrix.model_spec.column_names.index(name) for name in structure.columns]
        if term == "1" or not own:
            continue
        L = to_sum[np.isin(kept, own)]
        if len(kept) < X_sum.shape[1] or len(kept) != X.shape[1]:
            L = _agreed(L, _new_directions(X, np.delete(X_sum, own, axis=1)))
        if len(L):
            hypotheses[term] = L
    return hypotheses


def _agreed(by_coding: FloatArray, by_space: FloatArray) -> FloatArray:
    """Rows by coding where both state one hypothesis, else those by space (A2)."""
    if len(by_coding) != len(by_space) or not len(by_space):
        return by_space
    stacked = np.vstack([by_coding, by_space])
    scaled = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    same = np.linalg.matrix_rank(scaled, tol=_NEW_DIRECTION) == len(by_space)
    return by_coding if same else by_space


def _original_terms(fit: MixedFit) -> list[str]:
    terms = [str(structure.term) for structure in fit.coding.spec.structure]
    return terms if "1" in terms else ["1", *terms]


def _sum_to_zero(fit: MixedFit) -> Formula:
    """The same terms with every factor coded sum-to-zero, and an intercept."""
    levels = fit.coding.levels
    terms = ["1"]
    for structure in fit.coding.spec.structure:
        factors = [_recode(fit, str(factor.expr), levels) for factor in structure.term.factors]
        if str(structure.term) != "1":
            terms.append(":".join(factors))
    return Formula(" + ".join(terms))


def _recode(fit: MixedFit, expression: str, levels: dict[str, tuple[Any, ...]]) -> str:
    used = fit.coding.formula.factor_variables.get(expression, ())
    if len(used) == 1 and used[0] in levels:
        return f"C(`{used[0]}`, contr.sum)"
    return f"`{expression}`" if expression in fit.coding.frame.columns else expression


def _new_directions(X: FloatArray, others: FloatArray) -> FloatArray:
    """Functions of beta that vanish exactly when X beta lies in the space of `others` (A2)."""
    length = np.linalg.norm(X, axis=0)
    unit = X / np.where(length > 0, length, 1.0)
    rest = unit - others @ np.linalg.lstsq(others, unit, rcond=None)[0]
    _, singular, rows = np.linalg.svd(np.linalg.qr(rest, mode="r"))
    return np.asarray(rows[singular > _NEW_DIRECTION] * length)
