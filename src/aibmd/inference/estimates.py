"""`LinearEstimates`: marginal means, contrasts and contrasts of contrasts are all this."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from aibmd.formatting import (
    MISSING,
    NOT_ESTIMABLE,
    format_df,
    format_number,
    format_p_value,
    significant_digits,
)
from aibmd.inference.coefficients import CoefficientInference, LinearFunctions
from aibmd.inference.distributions import check_conf_level, compute_t_p_value
from aibmd.inference.multiplicity import (
    ADJUSTMENTS,
    HypothesisFamily,
    adjust_family,
    find_families,
    t_quantile,
)
from aibmd.inference.options import VCOV_TITLES, title_df
from aibmd.linalg.frozen import freeze_arrays
from aibmd.linalg.symmetric import BoolArray, FloatArray, IntArray
from aibmd.vocabulary import ESTIMATE_COLUMNS


@dataclass(frozen=True, slots=True)
class LinearEstimates:
    """Linear functions L of the coefficients, with all that is needed to go on from them.

    Attributes
    ----------
    labels : DataFrame
        Identifier columns, one row per function.
    L : (r, p) array
        Over the coefficients that were estimated. Rows that are not estimable hold NaN.
    inference : CoefficientInference
        Coefficients, covariance and df rule of the fit.
    conf_level : float
    adjust : str
        Multiplicity adjustment of `p_value`; "none" also where every family has one member.
    family : array of int or None
        Family of each row; p-values are adjusted within a family.
    by : tuple of str
        Label columns that split the rows into groups for contrasts.
    scale : "identity" or "percent"
        "percent" prints ``100 (exp(estimate) - 1)`` of log-scale estimates.
    n_means : (r,) int array or None
        How many means the family of each row compares, for ``adjust="tukey"``.
    covariate_vcov : (r, r) array or None
        Variance that comes from the covariates of the subjects and not from the coefficients;
        `std_error` holds both.
    covariate_df : float
        Degrees of freedom of `covariate_vcov`: subjects less one.
    notes : tuple of str
        What the reader must know: weights, covariate values, family.

    Notes
    -----
    Limits are simultaneous for ``adjust`` "bonferroni", "tukey", "dunnett" and "mvt", and
    unadjusted t limits otherwise; a table with ``adjust="holm"`` can therefore show a limit
    that excludes zero beside an adjusted p-value above 0.05, and says so.
    """

    labels: pd.DataFrame
    L: FloatArray
    inference: CoefficientInference
    conf_level: float = 0.95
    adjust: str = "none"
    family: np.ndarray | None = None
    by: tuple[str, ...] = ()
    scale: Literal["identity", "percent"] = "identity"
    notes: tuple[str, ...] = field(default=())
    n_means: IntArray | None = None
    covariate_vcov: FloatArray | None = None
    covariate_df: float = np.inf

    def __post_init__(self) -> None:
        freeze_arrays(self)
        if len(self.labels) != len(self.L):
            raise ValueError(f"{len(self.labels)} labels for {len(self.L)} linear functions")
        check_conf_level(self.conf_level)

    def __len__(self) -> int:
        return len(self.L)

    @property
    def is_estimable(self) -> BoolArray:
        """(r,) bool: rows that the design says something about."""
        return np.asarray(np.isfinite(self.L).all(axis=1))

    @property
    def linear(self) -> pd.DataFrame:
        """Estimate, std_error, df, statistic and unadjusted p on the linear scale."""
        estimable = self.is_estimable
        columns = {name: np.full(len(self), np.nan) for name in ESTIMATE_COLUMNS[:5]}
        if estimable.any():
            found = self.infer(np.eye(len(self))[estimable])
            std_error = np.sqrt(np.diagonal(found.vcov))
            with np.errstate(divide="ignore", invalid="ignore"):
                statistic = found.estimate / std_error
            values = (found.estimate, std_error, found.df, statistic)
            for name, value in zip(ESTIMATE_COLUMNS, values, strict=False):
                columns[name][estimable] = value
            columns["p_value"][estimable] = compute_t_p_value(statistic, found.df)
        return pd.DataFrame(columns, index=self.labels.index)

    def infer(self, C: FloatArray) -> LinearFunctions:
        """Estimates, covariance and df of linear functions ``C`` of these rows.

        Parameters
        ----------
        C : (q, r) array
            Zero for rows that are not estimable.

        Notes
        -----
        Where covariates vary at random, the df are Satterthwaite's for the sum of two
        independent variances.
        """
        found = self.inference.infer(multiply_known(C, self.L))
        if self.covariate_vcov is None:
            return found
        extra = C @ np.nan_to_num(self.covariate_vcov) @ C.T
        total = found.vcov + extra
        own, other = np.diagonal(found.vcov), np.diagonal(extra)
        with np.errstate(divide="ignore", invalid="ignore"):
            df = (own + other) ** 2 / (own**2 / found.df + other**2 / self.covariate_df)
        keep = np.isinf(found.df) if self.inference.df_method == "normal" else other == 0
        return LinearFunctions(found.estimate, total, np.where(keep, found.df, df))

    def vcov(self) -> FloatArray:
        """(r, r) covariance of the estimates on the linear scale."""
        conditional = self.L @ self.inference.vcov @ self.L.T
        return conditional if self.covariate_vcov is None else conditional + self.covariate_vcov

    def to_frame(self) -> pd.DataFrame:
        """Identifiers, then estimate, std_error, df, statistic, p_value, conf_low, conf_high."""
        table = self.linear
        p_value, quantile = self._adjust(table)
        margin = quantile * table["std_error"]
        table["conf_low"] = table["estimate"] - margin
        table["conf_high"] = table["estimate"] + margin
        table["p_value"] = p_value
        if self.scale == "percent":
            table["std_error"] = 100.0 * np.exp(table["estimate"]) * table["std_error"]
            for name in ("estimate", "conf_low", "conf_high"):
                table[name] = 100.0 * np.expm1(table[name])
        return pd.concat([self.labels, table[list(ESTIMATE_COLUMNS)]], axis=1)

    def _adjust(self, table: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Adjusted p-values, and the t value that each row's limits use."""
        statistic, df, raw = (table[n].to_numpy() for n in ("statistic", "df", "p_value"))
        p_value, quantile = raw.copy(), t_quantile(df, self.conf_level)
        if self.adjust == "none":
            return p_value, quantile
        vcov = self.vcov()
        for rows in find_families(self.family, np.isfinite(raw)):
            if len(rows):
                n_means = 0 if self.n_means is None else int(self.n_means[rows[0]])
                family = HypothesisFamily(
                    statistic[rows], df[rows], raw[rows], vcov[np.ix_(rows, rows)], n_means
                )
                p_value[rows], quantile[rows] = adjust_family(family, self.adjust, self.conf_level)
        return p_value, quantile

    def with_notes(self, *notes: str) -> "LinearEstimates":
        """The same estimates with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    def summary(self) -> str:
        """The table as printed, with the df method, level, adjustment, family and notes."""
        frame = self.to_frame()
        shown = frame[list(self.labels.columns)].astype(str)
        estimable = self.is_estimable
        plain = partial(format_number, digits=self._digits(frame))
        own = {"df": format_df, "statistic": format_number, "p_value": format_p_value}
        for name in ESTIMATE_COLUMNS:
            shown[name] = [own.get(name, plain)(value) for value in frame[name]]
            shown.loc[~estimable, name] = MISSING
        shown.loc[~estimable, "estimate"] = NOT_ESTIMABLE
        lines = [shown.to_string(index=False), "", *self._footer()]
        return "\n".join(lines)

    def _digits(self, frame: pd.DataFrame) -> int:
        """Decimals of estimates: three of a percent, else as the smallest standard error asks."""
        return 3 if self.scale == "percent" else significant_digits(frame["std_error"])

    def _footer(self) -> list[str]:
        level = f"{100 * self.conf_level:g} %"
        df_title = title_df(self.inference.df_method, self.inference.vcov_method)
        rule = ADJUSTMENTS[self.adjust]
        kind = f"simultaneous ({rule.title})" if rule.quantile else "unadjusted"
        lines = [f"Degrees of freedom: {df_title}. Limits: {level} t limits, {kind}."]
        if self.inference.vcov_method != "model":
            lines.append(f"Standard errors: {VCOV_TITLES[self.inference.vcov_method]}, by subject.")
        if self.scale == "percent":
            lines.append("Percent: 100 (exp(estimate) - 1) of the log scale; df, statistic and p")
            lines.append("are those of the log scale, std_error is by the delta method.")
        return lines + list(self.notes)

    def __repr__(self) -> str:
        return self.summary()


def multiply_known(C: FloatArray, rows: FloatArray) -> FloatArray:
    """``C @ rows`` where a missing row spoils only the products that use it."""
    unknown: BoolArray = ~np.asarray(np.isfinite(rows).all(axis=1))
    product = C @ np.where(unknown[:, None], 0.0, rows)
    product[(C[:, unknown] != 0).any(axis=1)] = np.nan
    return np.asarray(product)
