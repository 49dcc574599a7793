"""`anova`: tests of model terms that do not depend on how the user coded the factors."""

from typing import Any

import numpy as np
import pandas as pd
from formulaic import Formula
from formulaic.transforms.contrasts import SumContrasts

from aibmd.errors import AibmdError
from aibmd.fitting.mixed_fit import MixedFit
from aibmd.fitting.wald import as_row
from aibmd.linalg.basis import orthonormalise
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import Coding, model_matrix
from aibmd.model.formula import TRANSFORMS

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
    which level comes last (and so differ from lmerTest, which takes another basis);
    Kenward-Roger df do not.

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
    coding = fit.coding
    X = coding.code(coding.frame)[:, coding.kept] / coding.length[coding.kept]
    terms, X_sum, columns = _code_sum_to_zero(coding)
    basis = orthonormalise(X_sum)
    Q = X_sum[:, basis.kept] @ basis.transform
    to_sum = basis.transform @ (Q.T @ X)
    hypotheses = {}
    for term, own in zip(terms, columns, strict=True):
        L = to_sum[np.isin(basis.kept, own)]
        if len(basis.kept) < X_sum.shape[1] or len(basis.kept) != X.shape[1]:
            L = _agreed(L, _new_directions(X, np.delete(X_sum, own, axis=1)))
        if len(L):
            hypotheses[term] = L * coding.length[coding.kept]
    return hypotheses


def _code_sum_to_zero(coding: Coding) -> tuple[list[str], FloatArray, list[list[int]]]:
    """Terms but the intercept, all columns with every factor coded sum-to-zero, columns by term."""
    factors = {name: f"factor_{i}" for i, name in enumerate(coding.levels)}
    frame = coding.frame.rename(columns=factors)
    recoded: dict[str, str] = {}
    for structure in coding.spec.structure:
        parts = [_recode(coding, str(f.expr), factors) for f in structure.term.factors]
        if str(structure.term) == "1":
            continue
        text = ":".join(parts)
        if text in recoded.values():
            raise AibmdError(f"the term {structure.term} repeats another; name each factor once")
        recoded[str(structure.term)] = text
    source = Formula(" + ".join(["1", *recoded.values()]))
    matrix = model_matrix(source, frame, {"sum_to_zero": _sum_to_zero})
    names = list(matrix.model_spec.column_names)
    own = [
        [names.index(name) for name in structure.columns]
        for structure in matrix.model_spec.structure
        if str(structure.term) != "1"
    ]
    return list(recoded), np.asarray(matrix, dtype=float), own


def _sum_to_zero(values: Any) -> Any:
    return TRANSFORMS["C"](values, contrasts=SumContrasts())


def _recode(coding: Coding, expression: str, factors: dict[str, str]) -> str:
    used = coding.formula.factor_variables.get(expression, ())
    if len(used) == 1 and used[0] in factors:
        return f"sum_to_zero({factors[used[0]]})"
    return f"`{expression}`" if expression in coding.frame.columns else expression


def _agreed(by_coding: FloatArray, by_space: FloatArray) -> FloatArray:
    """Rows by coding where both state one hypothesis, else those by space (A2)."""
    if len(by_coding) != len(by_space) or not len(by_space):
        return by_space
    stacked = np.vstack([by_coding, by_space])
    scaled = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    same = np.linalg.matrix_rank(scaled, tol=_NEW_DIRECTION) == len(by_space)
    return by_coding if same else by_space


def _new_directions(X: FloatArray, others: FloatArray) -> FloatArray:
    """Functions of beta that vanish exactly when X beta lies in the space of `others` (A2)."""
    basis = orthonormalise(others)
    Q = others[:, basis.kept] @ basis.transform
    rest = X - Q @ (Q.T @ X)
    _, singular, rows = np.linalg.svd(np.linalg.qr(rest, mode="r"))
    return np.asarray(rows[singular > _NEW_DIRECTION])
