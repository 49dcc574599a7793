"""Predicted random effects (BLUPs) and how far they are from the women's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.fitting.covariance_tables import effects_terms
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import FloatArray, IntArray
from aibmd.model.covariance.effects import RandomEffectsTerm
from aibmd.model.subject_rows import SubjectRows, iterate_subjects

if TYPE_CHECKING:
    from aibmd.fitting.mixed_fit import MixedFit

EffectsUncertainty = Literal["prediction", "conditional"]


@dataclass(frozen=True, slots=True)
class PredictedEffects:
    """Random effects of S levels of one grouping, on the user's scale.

    Attributes
    ----------
    row : (S,) int array
        A row of the design at each level.
    effects : (S, q) array
        b-hat (PR1).
    conditional, prediction : (S, q, q) arrays
        Covariance given y at known beta (PR2); of b-hat minus b, beta estimated (PR3).
    """

    row: IntArray
    effects: FloatArray
    conditional: FloatArray
    prediction: FloatArray

    def __post_init__(self) -> None:
        freeze_arrays(self)


def random_effects_table(fit: "MixedFit") -> pd.DataFrame:
    """Table of `MixedFit.random_effects`."""
    parts = []
    for term, _ in effects_terms(fit):
        found = predict_effects(fit, term)
        values = pd.DataFrame(found.effects, columns=list(term.columns))
        parts.append(values.set_index(_labels(fit, term, found.row)))
    return _stack(fit, parts)


def random_effects_covariance(
    fit: "MixedFit", uncertainty: EffectsUncertainty = "prediction"
) -> pd.DataFrame:
    """How uncertain each woman's predicted random effects are.

    Parameters
    ----------
    fit : MixedFit
        With random effects.
    uncertainty : {"prediction", "conditional"}
        ``"prediction"``: covariance of the error of prediction b-hat minus b, including that
        beta is estimated (PR3), as SAS prints it beside its solution for random effects.
        ``"conditional"``: covariance of b given the data at known beta (PR2), what lme4 calls
        ``condVar``; it is smaller. Both take the covariance parameters as known.

    Returns
    -------
    DataFrame
        A q x q matrix for each row of ``fit.random_effects``, one below the other: its index
        and one level more, ``effect``; columns are effects. In squared units of the response.

    Raises
    ------
    AibmdError
        A marginal model, or an unknown `uncertainty`.

    Notes
    -----
    Labels of ``docs/methods/prediction.md``. Robinson 1991 (Statistical Science 6:15-32).

    The root of a diagonal element is the standard error of an effect. A woman's own mean,
    fixed and random part together, with its limits: ``aibmd.predict(fit, rows,
    kind="random_effects", interval="confidence")``, for example her rows at time zero.

    It misleads with few women: covariance parameters are taken as known, which makes effects
    look more certain than they are.

    Examples
    --------
    >>> import aibmd
    >>> hip = aibmd.load_cohort("brex").select(skeletal_site="total_hip")
    >>> fit = aibmd.fit_lmm("bmd ~ arm * time", hip, random="1 + time")
    >>> aibmd.random_effects_covariance(fit).columns.tolist()
    ['intercept', 'time']
    """
    if uncertainty not in get_args(EffectsUncertainty):
        raise AibmdError(f"uncertainty={uncertainty!r} is not 'prediction' or 'conditional'")
    parts = []
    for term, _ in effects_terms(fit):
        found = predict_effects(fit, term)
        index, q = _labels(fit, term, found.row), len(term.columns)
        keys = index.repeat(q).to_frame(index=False).assign(effect=[*term.columns] * len(index))
        matrices = getattr(found, uncertainty).reshape(-1, q)
        table = pd.DataFrame(matrices, columns=list(term.columns))
        parts.append(table.set_index(pd.MultiIndex.from_frame(keys)))
    return _stack(fit, parts)


def predict_effects(fit: "MixedFit", term: RandomEffectsTerm) -> PredictedEffects:
    """Effects of one grouping with both covariances, in order of appearance of the levels.

    Parameters
    ----------
    fit : MixedFit
    term : RandomEffectsTerm
        One of the fit's.
    """
    engine = fit.engine
    s2 = engine.least_squares.scale**2
    own_parameters = next(own for other, own in effects_terms(fit) if other is term)
    G = term.matrix(own_parameters) / s2
    pieces: list[tuple[Any, ...]] = []
    for block in iterate_subjects(fit.design, fit.features, engine):
        inverse = np.linalg.inv(np.linalg.cholesky(block.V))
        X, r = inverse @ block.Q, inverse @ block.residual[..., None]
        for which, rows, Z in _by_level(block, term.part):
            own = inverse[which] @ Z @ G  # L^-1 Z G
            turned = own.swapaxes(-1, -2)
            known = G - turned @ own  # (PR2)
            lever = turned @ X[which]
            spread = known + lever @ engine.at.Phi @ lever.swapaxes(-1, -2)  # (PR3)
            pieces.append((rows, (turned @ r[which])[..., 0], known, spread))  # (PR1)
    row, effects, known, spread = (np.concatenate(part) for part in zip(*pieces, strict=True))
    order = np.argsort(row, kind="stable")
    s = engine.least_squares.scale
    return PredictedEffects(row[order], s * effects[order], s2 * known[order], s2 * spread[order])


def _by_level(block: SubjectRows, part: int) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Subjects, the first row of one level of each, and Z with the other levels' rows zero."""
    Z, level = block.features.random[part].Z, block.features.random[part].level
    same = level[:, :, None] == level[:, None, :]
    first_of_level = same.argmax(axis=-1)
    for position in range(level.shape[1]):
        which = np.flatnonzero(first_of_level[:, position] == position)
        if len(which):
            own = same[which, position]
            first = np.where(own, block.rows[which], np.iinfo(np.intp).max).min(axis=1)
            yield which, first, Z[which] * own[..., None]


def _labels(fit: "MixedFit", term: RandomEffectsTerm, row: IntArray) -> pd.Index:
    """Subject, and the inner level of a nested grouping."""
    rows = fit.design.rows
    subject = rows.subjects.take(rows.subject[row])
    inner = term.grouping.split(":")[1:]
    if not inner:
        return subject.rename(fit.spec.subject)
    names = [name.strip() for name in inner]
    levels = {name: np.asarray(rows.effects_frame[name])[row] for name in names}
    return pd.MultiIndex.from_frame(pd.DataFrame({fit.spec.subject: subject, **levels}))


def _stack(fit: "MixedFit", parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; with several groupings, the grouping and every inner column in the index."""
    if len(parts) == 1:
        return parts[0]
    names = list(dict.fromkeys(name for part in parts for name in part.index.names))
    if "effect" in names:
        names = [name for name in names if name != "effect"] + ["effect"]
    framed = []
    for (term, _), part in zip(effects_terms(fit), parts, strict=True):
        keys = part.index.to_frame(index=False).reindex(columns=names)
        keys = keys.astype(object).where(keys.notna(), "")
        keys.insert(0, "grouping", term.grouping)
        framed.append(part.set_index(pd.MultiIndex.from_frame(keys)))
    return pd.concat(framed)
