"""Checks of who was scanned, when and where: keys, and what belongs to the subject."""

import re

import pandas as pd

from aibmd.cohort.problem import (
    ROWS_LISTED,
    Problem,
    align,
    list_rows,
    more,
    plural,
    row_numbers,
    show,
    show_label,
)
from aibmd.cohort.schema import SUBJECT_COLUMNS
from aibmd.cohort.site import suggest_skeletal_site
from aibmd.cohort.table import ScanTable
from aibmd.vocabulary import (
    BMD,
    SITE_ALIASES,
    SKELETAL_SITE,
    SKELETAL_SITES,
    SUBJECT,
    SUBJECT_TIMES,
    TIME,
    VISIT,
)

_KEY = (SUBJECT, VISIT, SKELETAL_SITE)


def check_missing_keys(table: ScanTable) -> list[Problem]:
    """Every row says who, when and where; a blank BMD alone is a missed scan."""
    problems = []
    for name in (*_KEY, TIME):
        if not table.has(name):
            continue
        blank = table.raw[name].isna()
        if name == TIME and table.has(BMD):
            blank &= table.raw[BMD].notna()
        if blank.any():
            message = f"{name} is blank in {plural(int(blank.sum()), 'row')}"
            message += list_rows(table.cells(blank, name))
            remedy = f"Fill in {name}, or remove the rows."
            problems.append(Problem("missing_keys", tuple(table.raw.index[blank]), message, remedy))
    return problems


def check_skeletal_sites(table: ScanTable) -> list[Problem]:
    """Skeletal sites are known ones."""
    if not table.has(SKELETAL_SITE):
        return []
    unknown = table.clean[SKELETAL_SITE].isna() & table.raw[SKELETAL_SITE].notna()
    if not unknown.any():
        return []
    labels = table.raw.loc[unknown, SKELETAL_SITE].astype("str")
    groups = list(labels.groupby(labels, sort=True))
    message = f"skeletal_site: {plural(len(groups), 'unknown name')}" + _list_groups(
        [label for label, _ in groups],
        [rows for _, rows in groups],
        [f"did you mean {near}?" if (near := suggest_skeletal_site(g)) else "" for g, _ in groups],
    )
    remedy = f"Use {', '.join(SKELETAL_SITES)} (or {', '.join(SITE_ALIASES)})."
    return [Problem("skeletal_sites", tuple(labels.index), message, remedy)]


def _list_groups(labels: list[str], rows: list[pd.Series], remarks: list[str] | None = None) -> str:
    """One line for each label: its rows and a remark."""
    columns = [[show(label) for label in labels], [row_numbers(group) for group in rows]]
    columns += [remarks] if remarks else []
    return align([column[:ROWS_LISTED] for column in columns]) + more(len(labels) - ROWS_LISTED)


def check_visit_spelling(table: ScanTable) -> list[Problem]:
    """One visit has one spelling."""
    if not table.has(VISIT):
        return []
    visit = table.clean[VISIT].dropna().astype("str")
    plain = visit.map({label: plain_visit(label) for label in visit.unique()})
    spellings = visit.groupby(plain).nunique()
    mixed = visit[plain.isin(spellings.index[spellings > 1])]
    if mixed.empty:
        return []
    groups = sorted(mixed.groupby(mixed), key=lambda group: (plain_visit(group[0]), group[0]))
    message = f"visit: {plural(int((spellings > 1).sum()), 'visit')} spelled in several ways"
    message += _list_groups([g for g, _ in groups], [rows for _, rows in groups])
    return [Problem("visit_spelling", tuple(mixed.index), message, "Use one label for each visit.")]


def plain_visit(label: str) -> str:
    """Label without case and filling; a leading sign counts.

    Examples
    --------
    >>> plain_visit("Year 5") == plain_visit("year_5"), plain_visit("-1") == plain_visit("1")
    (True, False)
    """
    return label[:1].casefold() + re.sub(r"[\s_\-]+", "", label[1:].casefold())


def check_repeated_scans(table: ScanTable) -> list[Problem]:
    """A subject has one scan for each visit and skeletal site."""
    if not table.has(*_KEY):
        return []
    keys = table.clean[list(_KEY)].dropna().astype("str")
    repeats = keys[keys.duplicated(keep=False)]
    if repeats.empty:
        return []
    rows = repeats.sort_values(list(_KEY), kind="stable").index
    message = f"{plural(len(rows), 'row')} repeat a subject, visit and skeletal site"
    message += list_rows(table.cells(table.raw.index.isin(rows), BMD).loc[rows])
    remedy = "Keep one scan for each, or average the repeats before reading the cohort."
    return [Problem("repeated_scans", tuple(rows), message, remedy)]


def check_constant_covariates(table: ScanTable) -> list[Problem]:
    """What is known once per subject is the same in all her rows."""
    names = [name for name in SUBJECT_COLUMNS if table.has(SUBJECT, name)]
    return [problem for name in names for problem in _varying(table, name)]


def _varying(table: ScanTable, name: str) -> list[Problem]:
    values = pd.DataFrame({SUBJECT: table.clean[SUBJECT], name: table.plausible(name)}).dropna()
    distinct = values.groupby(SUBJECT)[name].nunique()
    subjects = distinct.index[distinct > 1]
    if subjects.empty:
        return []
    rows = values[values[SUBJECT].isin(subjects)]
    shown = subjects[:ROWS_LISTED]
    said = [_each_value(rows.loc[rows[SUBJECT] == subject, name]) for subject in shown]
    message = f"{name} varies within {plural(len(subjects), 'subject')}"
    message += align([[show_label(subject) for subject in shown], said])
    message += more(len(subjects) - len(shown))
    remedy = f"Give each subject one {name}{_as_at(name)} in all rows."
    return [Problem("constant_covariates", tuple(rows.index), message, remedy)]


def _each_value(values: pd.Series) -> str:
    """Every value of one subject with its rows, the first values first."""
    groups = values.groupby(values, sort=False, observed=True)
    listed = [f"{show(value)} in {row_numbers(rows)}" for value, rows in groups]
    return "; ".join(listed[:3]) + ("; ..." if len(listed) > 3 else "")


def _as_at(name: str) -> str:
    return " (years from time zero)" if name in SUBJECT_TIMES else ", as at baseline,"
