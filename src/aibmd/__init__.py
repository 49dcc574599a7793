"""Mixed-effects models of bone mineral density change under and after aromatase inhibitors.

The package is the pipeline: a table of scans is read (`read_cohort`) or made up
(`simulate_cohort`), change is derived (`derive_change`), a model is fitted
(`fit_mmrm`), and marginal means, contrasts and tests are taken from the fit
(`emmeans`, `contrast`, `back_transform`, `anova`, `wald_test`, `predict`).

Names load on first use, so importing the package costs little more than pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "AibmdError": "errors",
    "CohortError": "errors",
    "FormulaError": "errors",
    "RankDeficientError": "errors",
    "NotEstimableError": "errors",
    "ConvergenceError": "errors",
    "TScoreChangeError": "errors",
    "RefusedAnalysisError": "errors",
    "MissingExtraError": "errors",
    "ConvergenceWarning": "errors",
    "SingularFitWarning": "errors",
    "DataWarning": "errors",
    "Cohort": "cohort",
    "read_cohort": "cohort",
    "load_cohort": "cohort",
    "derive_change": "densitometry",
    "StudyDesign": "simulation",
    "simulate_cohort": "simulation",
    "LinearEstimates": "inference",
    "MixedFit": "fitting",
    "fit_mmrm": "fitting",
    "fit_lmm": "fitting",
    "fit_outcomes": "fitting",
    "predict": "fitting",
    "residuals": "fitting",
    "simulate_response": "fitting",
    "random_effects_covariance": "fitting",
    "influence": "fitting",
    "r_squared": "fitting",
    "icc": "fitting",
    "anova": "fitting",
    "crosscheck": "fitting",
    "wald_test": "fitting",
    "likelihood_ratio_test": "fitting",
    "bootstrap": "fitting",
    "covariance_intervals": "fitting",
    "emmeans": "means",
    "emtrends": "means",
    "contrast": "means",
    "back_transform": "means",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'aibmd' has no attribute {name!r}")
    value = getattr(import_module(f"aibmd.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from aibmd.cohort import Cohort, load_cohort, read_cohort
    from aibmd.densitometry import derive_change
    from aibmd.errors import (
        AibmdError,
        CohortError,
        ConvergenceError,
        ConvergenceWarning,
        DataWarning,
        FormulaError,
        MissingExtraError,
        NotEstimableError,
        RankDeficientError,
        RefusedAnalysisError,
        SingularFitWarning,
        TScoreChangeError,
    )
    from aibmd.fitting import (
        MixedFit,
        anova,
        bootstrap,
        covariance_intervals,
        crosscheck,
        fit_lmm,
        fit_mmrm,
        fit_outcomes,
        icc,
        influence,
        likelihood_ratio_test,
        predict,
        r_squared,
        random_effects_covariance,
        residuals,
        simulate_response,
        wald_test,
    )
    from aibmd.inference import LinearEstimates
    from aibmd.means import back_transform, contrast, emmeans, emtrends
    from aibmd.simulation import StudyDesign, simulate_cohort
