"""`MixedFit`: an engine fit with inference, names and printing."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aibmd.fitting.attempts import Attempt
from aibmd.fitting.covariance_tables import (
    covariance_table,
    random_covariance_table,
    residual_variance_table,
)
from aibmd.fitting.explain import explain
from aibmd.fitting.frames import augment_table, glance_table, tidy_table
from aibmd.fitting.random_effects import random_effects_table
from aibmd.fitting.summary import format_summary
from aibmd.inference import CoefficientInference, check_conf_level, compute_t_p_value
from aibmd.linalg.symmetric import FloatArray
from aibmd.model.coding import Coding
from aibmd.model.covariance.build import CovarianceChoice
from aibmd.model.covariance.features import RowFeatures
from aibmd.model.design import Design
from aibmd.model.engine import EngineFit
from aibmd.model.spec import ModelSpec


@dataclass(frozen=True, slots=True, repr=False)
class MixedFit:
    """A fitted mixed model.

    Attributes
    ----------
    spec : ModelSpec
        What was asked for.
    design : Design
        The rows used, coded.
    features : RowFeatures
        What the covariance of the rows depends on.
    engine : EngineFit
        What the numerics returned, with its convergence certificate.
    inference : CoefficientInference
        Covariance of the coefficients and df rule that every test uses.
    choice : CovarianceChoice or None
        Covariance of a marginal model.
    attempts : tuple of Attempt
        The covariances fitted, in order, and why each was left; the last is this one.

    Notes
    -----
    ``params``, ``bse``, ``df``, ``tvalues`` and ``pvalues`` are Series named as formulaic
    names columns. ``bse`` and ``cov_params()`` are of the matrix the tests used, so under
    Kenward-Roger they are the adjusted ones. ``aic`` counts covariance parameters only and
    ``bic`` uses the number of subjects, as R mmrm does; with random effects ``aic`` counts
    coefficients too and ``bic`` uses the rows, as lme4 does.
    """

    spec: ModelSpec
    design: Design
    features: RowFeatures
    engine: EngineFit
    inference: CoefficientInference
    choice: CovarianceChoice | None
    attempts: tuple[Attempt, ...]

    @property
    def coding(self) -> Coding:
        """How rows become columns of X."""
        return self.design.coding

    @property
    def params(self) -> pd.Series:
        """Estimated coefficients."""
        return self._named(self.inference.beta, "estimate")

    @property
    def bse(self) -> pd.Series:
        """Standard errors."""
        return self._named(np.sqrt(np.diagonal(self.inference.vcov)), "std_error")

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of each coefficient's t test."""
        return self._named(self.inference.compute_df(np.eye(len(self.inference.beta))), "df")

    @property
    def tvalues(self) -> pd.Series:
        """T statistics."""
        return (self.params / self.bse).rename("statistic")

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values."""
        p_values = compute_t_p_value(self.tvalues.to_numpy(), self.df.to_numpy())
        return self._named(p_values, "p_value")

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """T limits of each coefficient, at level ``1 - alpha``."""
        check_conf_level(1.0 - alpha)
        margin = stdtrit(self.df, 1.0 - alpha / 2.0) * self.bse
        return pd.DataFrame({"conf_low": self.params - margin, "conf_high": self.params + margin})

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the coefficients that the tests used."""
        names = list(self.coding.kept_columns)
        return pd.DataFrame(self.inference.vcov, index=names, columns=names)

    @property
    def llf(self) -> float:
        """Log-likelihood; restricted under REML, without the ``log|X'X|`` term."""
        return self.engine.loglik

    @property
    def n_covariance_parameters(self) -> int:
        """Covariance parameters of the model, those held at a limit included."""
        return len(self.engine.asked.names)

    @property
    def n_parameters_counted(self) -> int:
        """Parameters counted in `aic` and `bic`: lme4 counts the coefficients too."""
        n_coefficients = 0 if self.is_marginal else len(self.inference.beta)
        return self.n_covariance_parameters + n_coefficients

    @property
    def aic(self) -> float:
        """``-2 llf + 2 k``, k the number of parameters counted."""
        return -2.0 * self.llf + 2.0 * self.n_parameters_counted

    @property
    def bic(self) -> float:
        """``-2 llf + k log(n)``, n the subjects of a marginal model, the rows of any other."""
        n = self.n_subjects if self.is_marginal else self.n_obs
        return -2.0 * self.llf + self.n_parameters_counted * float(np.log(n))

    @property
    def is_marginal(self) -> bool:
        """Whether this is a model without random effects."""
        return self.spec.random is None

    @property
    def covariance_parameters(self) -> pd.Series:
        """Estimated covariance parameters, by name."""
        names = list(self.engine.parameter_names)
        return pd.Series(self.engine.theta, index=names, name="estimate")

    @property
    def n_groups(self) -> int:
        """Groups with a covariance of their own; one where there are none."""
        group = self.design.rows.group
        return 1 if group is None else len(group.labels)

    @property
    def cell_labels(self) -> tuple[str, ...]:
        """Labels of the rows of the covariance matrix: visits, or levels and visits."""
        rows = self.design.rows
        levels = (None,) if rows.repeated is None else rows.repeated.labels
        cells = [
            visit if level is None else f"{level} {visit}"
            for level in levels
            for visit in rows.visits
        ]
        return tuple(cells) * self.n_groups

    @property
    def covariance(self) -> Any:
        """Visit by visit (or cell by cell), by group a dict; NaN where no subject has both.

        For times of their own: the covariance of two rows at distance zero and one.
        """
        return covariance_table(self)

    @property
    def random_covariance(self) -> Any:
        """Covariance G of the random effects; by grouping a dict where there are several."""
        return random_covariance_table(self)

    @property
    def random_effects(self) -> pd.DataFrame:
        """Predicted random effects (BLUPs): a row per subject, a column per effect.

        Several groupings: the index tells the grouping, the subject and the inner level.
        Predictions are shrunk towards zero; `random_effects_covariance` says how uncertain.
        """
        return random_effects_table(self)

    @property
    def residual_variance(self) -> Any:
        """Variance of a single error; a Series by level with ``residual_group``."""
        return residual_variance_table(self)

    @property
    def n_obs(self) -> int:
        """Rows used."""
        return len(self.design.rows.y)

    @property
    def n_subjects(self) -> int:
        """Subjects with at least one row used."""
        return len(self.design.rows.subjects)

    @property
    def visits(self) -> tuple[str, ...]:
        """Visit labels, in order."""
        return self.design.rows.visits

    @property
    def dropped_rows(self) -> dict[str, int]:
        """Rows left out, by reason."""
        return dict(self.design.rows.dropped)

    @property
    def dropped_columns(self) -> tuple[str, ...]:
        """Columns of X that repeat earlier ones and were dropped, in declared order."""
        return self.coding.dropped_columns

    @property
    def converged(self) -> bool:
        """Whether this is certified as the maximum of the likelihood."""
        return self.engine.certificate.converged

    @property
    def singular(self) -> bool:
        """Whether the covariance is on its boundary."""
        return self.engine.certificate.singular

    @property
    def fittedvalues(self) -> pd.Series:
        """Marginal means of the rows used."""
        return self._by_row(self.design.linear_predictor(self.inference.beta), "fitted")

    @property
    def resid(self) -> pd.Series:
        """Response minus fitted value of the rows used."""
        return self._by_row(self.design.rows.y - self.fittedvalues.to_numpy(), "resid")

    def tidy(self, conf_level: float = 0.95) -> pd.DataFrame:
        """One row per coefficient: term, then the columns every estimate has."""
        return tidy_table(self, conf_level)

    def glance(self) -> pd.DataFrame:
        """One row about the whole fit."""
        return glance_table(self)

    def augment(self) -> pd.DataFrame:
        """The rows used with the model's own columns, response, fitted value and residuals.

        ``resid_pearson``, ``resid_studentised`` and ``resid_cholesky`` are `aibmd.residuals`,
        marginal as ``fitted`` and ``resid`` are; with random effects also
        ``fitted_conditional``, ``resid_conditional`` and ``resid_conditional_pearson``.
        """
        return augment_table(self)

    def summary(self) -> str:
        """Model, data, fit, covariance and coefficients, as text."""
        return format_summary(self)

    def explain(self, term: Any, conf_level: float = 0.95) -> str:
        """The row of one coefficient, number by number, through the labelled equations.

        For example ``print(fit.explain("arm[T.b]"))``; a contrast by its row of L,
        ``fit.explain(estimates.L[0])``. Labels are those of ``docs/methods``.
        """
        return explain(self, term, conf_level)

    def __repr__(self) -> str:
        return self.summary()

    def _named(self, values: FloatArray, name: str) -> pd.Series:
        return pd.Series(values, index=list(self.coding.kept_columns), name=name)

    def _by_row(self, values: FloatArray, name: str) -> pd.Series:
        return pd.Series(values, index=self.design.rows.frame.index, name=name)
