"""What `crosscheck` returns: one model by two programs, difference by difference."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

# MixedLM stops on its gradient; a log-likelihood this near is the same maximum.
SAME_LOGLIK: Final = 1e-4
SAME_ESTIMATE_IN_SE: Final = 1e-3
SAME_RATIO: Final = 1e-3
_MEASURES: Final = {
    "log-likelihood": "absolute",
    "estimate": "in SE",
    "std_error": "ratio - 1",
    "covariance": "of its SDs",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One number by both programs.

    Attributes
    ----------
    quantity : str
        ``log-likelihood``, ``estimate``, ``std_error`` (model-based) or ``covariance``.
    name : str
    aibmd, mixedlm : float
    difference : float
        MixedLM minus ours: of a log-likelihood as it is; of an estimate in standard errors; of a
        standard error as ratio minus one; of a variance relative to it, of a covariance
        relative to the two standard deviations.
    """

    quantity: str
    name: str
    aibmd: float
    mixedlm: float
    difference: float


@dataclass(frozen=True, slots=True, repr=False)
class Crosscheck:
    """What statsmodels' `MixedLM` makes of a fit's model.

    Attributes
    ----------
    reason : str
        Why MixedLM cannot express the model; empty where it can.
    differences : tuple of Difference
    notes : tuple of str
        What MixedLM said, and what is known to be wrong with its answer.
    """

    reason: str = ""
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_expressible(self) -> bool:
        """Whether MixedLM has this model."""
        return not self.reason

    @property
    def agrees(self) -> bool | None:
        """Whether nothing differs beyond where MixedLM stops; None where nothing was compared."""
        if not self.differences:
            return None
        limits = {
            "log-likelihood": SAME_LOGLIK,
            "estimate": SAME_ESTIMATE_IN_SE,
            "std_error": SAME_RATIO,
            "covariance": SAME_RATIO,
        }
        return all(abs(one.difference) <= limits[one.quantity] for one in self.differences)

    def to_frame(self) -> pd.DataFrame:
        """Columns quantity, name, aibmd, mixedlm, difference, measure."""
        columns = ["quantity", "name", "aibmd", "mixedlm", "difference"]
        table = pd.DataFrame(
            [[getattr(one, column) for column in columns] for one in self.differences],
            columns=columns,
        )
        return table.assign(measure=table["quantity"].map(_MEASURES))

    def summary(self) -> str:
        """The verdict, the table and the notes, as text."""
        if not self.is_expressible:
            return f"Crosscheck with statsmodels MixedLM: not expressible\n  {self.reason}"
        verdict = {True: "agrees", False: "differs", None: "no comparison"}[self.agrees]
        lines = [f"Crosscheck with statsmodels MixedLM: {verdict}"]
        if self.differences:
            table = self.to_frame()
            for column in ("aibmd", "mixedlm"):
                table[column] = [f"{value:.7g}" for value in table[column]]
            table["difference"] = [f"{value:.1e}" for value in table["difference"]]
            lines.append(table.to_string(index=False))
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return self.summary()
