"""Errors and warnings: every one names the noun that is wrong.

All errors are `AibmdError`, which is a `ValueError`, so a caller may catch one
class. A message says what was found and where, what was expected, and what to do.
"""

from typing import Any


class AibmdError(ValueError):
    """Base of every error aibmd raises on purpose."""


class CohortError(AibmdError):
    """A table of scans has problems.

    Attributes
    ----------
    problems : tuple
        All problems found, each with its check, rows, explanation and remedy
        (`aibmd.cohort.Problem`); empty when the file could not be read at all.
    """

    def __init__(self, message: str, problems: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class FormulaError(AibmdError):
    """A formula asks for something formulas may not do, or names no column."""


class RankDeficientError(AibmdError):
    """The design carries no information on what was asked."""


class NotEstimableError(AibmdError):
    """A linear function is not estimable from this design."""


class ConvergenceError(AibmdError):
    """No maximum of the likelihood could be found or certified."""


class TScoreChangeError(AibmdError):
    """Percent change of a T-score was asked for; it has no meaning."""


class RefusedAnalysisError(AibmdError):
    """An analysis that would mislead was asked for."""


class MissingExtraError(AibmdError, ImportError):
    """An optional dependency is not installed; the message names the command."""

    @classmethod
    def for_extra(cls, package: str, extra: str) -> "MissingExtraError":
        """Word the error for one package of one extra."""
        return cls(f"{package} is not installed. Install it with: pip install 'aibmd[{extra}]'")


class ConvergenceWarning(UserWarning):
    """The fit was not certified as a maximum; its numbers are not to be used."""


class SingularFitWarning(UserWarning):
    """The optimum lies on the boundary of the covariance parameters."""


class DataWarning(UserWarning):
    """Rows or columns were treated in a way the user should know of."""
