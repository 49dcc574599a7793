"""What was asked for: a model specification as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass

from aibmd.errors import AibmdError
from aibmd.vocabulary import DfMethod, Information, Method, VcovMethod


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A mixed model, before any data.

    Attributes
    ----------
    formula : str
    subject : str
        Column.
    visit, time, group, repeated, residual_group, weights, sampling_weights : str or None
        Columns.
    covariance : str
        Of the visits in a marginal model: a row of the covariance table, or a product.
    fallback : tuple of str
        Covariances to try, in this order, should the first not be certified.
    random : str or mapping, optional
        Random effects; None in a marginal model.
    random_covariance : "full" or "diagonal"
    residual : str
        Covariance of what remains beside random effects.
    method : "reml" or "ml"
    df_method : str or None
        None lets the criterion decide.
    vcov : "model", "CR0", "CR2" or "CR3"
    information : "observed" or "expected"
        Of the covariance parameters; changes df and, under Kenward-Roger, standard errors.
    """

    formula: str
    subject: str
    visit: str | None
    covariance: str = "un"
    method: Method = "reml"
    df_method: DfMethod | None = None
    information: Information = "observed"
    time: str | None = None
    group: str | None = None
    repeated: str | None = None
    residual_group: str | None = None
    weights: str | None = None
    sampling_weights: str | None = None
    vcov: VcovMethod = "model"
    fallback: tuple[str, ...] = ()
    random: str | Mapping[str, str] | None = None
    random_covariance: str = "full"
    residual: str = "independent"

    def __post_init__(self) -> None:
        if self.method not in ("reml", "ml"):
            raise AibmdError(f"method={self.method!r} is not 'reml' or 'ml'")
        if self.subject == self.visit:
            raise AibmdError(f"subject and visit are the same column, {self.subject!r}")
