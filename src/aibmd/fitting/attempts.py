"""The audit trail of a pre-specified path of covariances."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One covariance that was fitted, and why it was or was not kept.

    Attributes
    ----------
    covariance : str
    converged, singular : bool
        The certificate's answers.
    messages : tuple of str
        What was wrong; empty where nothing was.
    """

    covariance: str
    converged: bool
    singular: bool
    messages: tuple[str, ...]

    def __str__(self) -> str:
        if self.converged:
            return f"{self.covariance}: certified"
        return f"{self.covariance}: left, because " + "; ".join(self.messages)


def describe_attempts(attempts: Sequence[Attempt]) -> str:
    """One line per attempt."""
    return "\n".join(f"  {number}. {one}" for number, one in enumerate(attempts, start=1))
