"""The table a fit starts from, and the columns its options name."""

from typing import Any

import pandas as pd

from aibmd.cohort import Cohort
from aibmd.errors import AibmdError
from aibmd.vocabulary import SKELETAL_SITE, SUBJECT, TIME, VISIT


def resolve_data(
    data: "pd.DataFrame | Cohort",
    subject: str | None,
    visit: str | None,
    may_repeat: bool,
    together: str = f"repeated={SKELETAL_SITE!r}",
) -> tuple[pd.DataFrame, Any, Any]:
    """A table and its subject and visit columns.

    Parameters
    ----------
    data : DataFrame or Cohort
    subject, visit : str or None
        As given; a Cohort knows its own.
    may_repeat : bool
        Whether several skeletal sites of a woman may be in one model.
    together : str
        The option that puts them into one model, for the error.
    """
    if isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, Cohort):
        if not may_repeat:
            _refuse_several_sites(data, together)
        frame, subject, visit = data.to_frame(), subject or SUBJECT, visit or VISIT
    else:
        raise AibmdError(f"data is a {type(data).__name__}; give a DataFrame or a Cohort")
    check_column(frame, "subject", subject, "name the column that holds the subject")
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise AibmdError(f"two columns are called {twice!r}; rename one")
    if not len(frame):
        raise AibmdError("the table has no rows")
    return frame, subject, visit


def cohort_time(data: "pd.DataFrame | Cohort", time: str | None) -> str | None:
    """The time column; that of a Cohort needs no naming."""
    return TIME if time is None and isinstance(data, Cohort) else time


def check_column(frame: pd.DataFrame, role: str, name: Any, remedy: str) -> None:
    """Refuse an option that names no column."""
    if name is None:
        raise AibmdError(f"{role}= is missing: {remedy}")
    try:
        is_column = name in frame.columns
    except TypeError:
        is_column = False
    if not is_column and not isinstance(name, str):
        raise AibmdError(f"{role}= is the name of a column; it holds a {type(name).__name__}")
    if not is_column:
        known = ", ".join(map(str, frame.columns))
        raise AibmdError(f"{role}={name!r} is not a column; the columns are {known}")


def check_options(frame: pd.DataFrame, **columns: str | None) -> None:
    """Refuse any option given that names no column."""
    for role, name in columns.items():
        if name is not None:
            check_column(frame, role, name, "")


def _refuse_several_sites(cohort: Cohort, together: str) -> None:
    sites = cohort.skeletal_sites
    if len(sites) > 1:
        raise AibmdError(
            f"the cohort has {len(sites)} skeletal sites ({', '.join(sites)}) and one model takes "
            f"one: fit each on its own, with cohort.select(skeletal_site={sites[0]!r}), and adjust "
            f"over sites; or fit all of them together with {together}"
        )
