"""What was asked for: a model specification as one frozen value."""

from dataclasses import dataclass

from aibmd.errors import AibmdError
from aibmd.vocabulary import DfMethod, Information, Method


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A marginal repeated-measures model, before any data.

    Attributes
    ----------
    formula : str
    subject, visit : str
        Columns.
    covariance : str
        Row of the covariance table.
    method : "reml" or "ml"
    df_method : str or None
        None lets the criterion decide.
    information : "observed" or "expected"
        Of the covariance parameters; changes df and, under Kenward-Roger, standard errors.
    """

    formula: str
    subject: str
    visit: str
    covariance: str = "un"
    method: Method = "reml"
    df_method: DfMethod | None = None
    information: Information = "observed"

    def __post_init__(self) -> None:
        if self.method not in ("reml", "ml"):
            raise AibmdError(f"method={self.method!r} is not 'reml' or 'ml'")
        if self.subject == self.visit:
            raise AibmdError(f"subject and visit are the same column, {self.subject!r}")
