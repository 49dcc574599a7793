"""Rows that contradict each other: one error that shows them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aibmd.errors import AibmdError
from aibmd.linalg.symmetric import IntArray
from aibmd.model.rows import AnalysedRows

_SHOWN_REPEATS = 5


def refuse_repeats(
    rows: AnalysedRows, data: pd.DataFrame, cell: IntArray, names: Sequence[str], what: str
) -> None:
    """Two rows of one subject with the same cell are an error that shows them.

    Parameters
    ----------
    rows : AnalysedRows
    data : DataFrame
        As given, for its labels.
    cell : (n,) int array
        Code of visit, or of visit and repeated factor, or of time.
    names : sequence of str
        Columns of the subject and of what makes up the cell.
    what : str
        The same in words.
    """
    key = rows.subject * (int(cell.max()) + 1) + cell
    if (np.diff(key) > 0).all() or len(np.unique(key)) == len(key):
        return
    used = data.iloc[rows.position]
    is_repeat = pd.Series(key).duplicated(keep=False).to_numpy()
    where = np.flatnonzero(is_repeat)[np.argsort(key[is_repeat], kind="stable")]
    shown = "\n".join(
        f"  row {used.index[i]}   " + "   ".join(str(used[name].iloc[i]) for name in names)
        for i in where[:_SHOWN_REPEATS]
    )
    remedy = "Keep one row for each, or average them first"
    if "skeletal_site" in used.columns and "skeletal_site" not in names:
        remedy += (
            "; with several skeletal sites, fit one site at a time, or all of them with "
            "repeated='skeletal_site'"
        )
    raise AibmdError(f"{len(where)} rows repeat a {what}\n{shown}\n{remedy}.")


def refuse_changing_group(rows: AnalysedRows, data: pd.DataFrame, name: str | None) -> None:
    """Subjects belong to one group: rows of different groups would count as independent."""
    if rows.group is None or name is None:
        return
    of_subject = np.empty(len(rows.subjects), dtype=np.intp)
    of_subject[rows.subject] = rows.group.codes
    changes = np.flatnonzero(of_subject[rows.subject] != rows.group.codes)
    if len(changes):
        row = data.index[rows.position[changes[0]]]
        raise AibmdError(
            f"group={name!r} changes within a subject (row {row}); a group with a covariance of "
            "its own holds whole subjects. For errors that differ between rows use fit_lmm with "
            f"residual_group={name!r}"
        )
