"""What is in a cohort, as a table and as a few lines of text."""

import pandas as pd

from aibmd.cohort.cohort import Cohort
from aibmd.cohort.problem import plural
from aibmd.formatting import format_count, format_number
from aibmd.vocabulary import BMD, SITE_LABELS, SKELETAL_SITE, SUBJECT, TIME, VISIT


def tabulate_bmd(cohort: Cohort) -> pd.DataFrame:
    """How many were scanned at each visit and skeletal site, and their BMD.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    DataFrame
        Columns ``skeletal_site, visit, n`` (scans with a BMD), ``n_missing`` (rows with a
        blank BMD), ``median_time`` (years), ``mean`` and ``sd`` (g/cm2; n - 1 in the
        denominator, missing for a single scan).

    Notes
    -----
    The women of a later visit are those who stayed. A difference of two means here is
    not a mean change; `derive_change` and a mixed model are for that.
    """
    groups = cohort.scans.groupby([SKELETAL_SITE, VISIT], observed=True)
    table = groups[BMD].agg(n="count", rows="size", mean="mean", sd="std")
    table["n_missing"] = table.pop("rows") - table["n"]
    table["median_time"] = groups[TIME].median()
    return table[["n", "n_missing", "median_time", "mean", "sd"]].reset_index()


def format_summary(cohort: Cohort) -> str:
    """Who was scanned, when and where.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    str
        Lines of text; the first says so when the subjects were made up.
    """
    kind = "Synthetic cohort" if cohort.synthetic else "Cohort"
    zero = f" from {cohort.time_zero}" if cohort.time_zero else ""
    scans = cohort.scans
    missed = len(scans) - cohort.n_scans
    scanned = format_count(cohort.n_scans) + (f" ({plural(missed, 'row')} blank)" if missed else "")
    per_visit = scans[scans[BMD].notna()].groupby(VISIT, observed=False)
    return "\n".join(
        [
            f"{kind}: {cohort.source}",
            f"  subjects        {format_count(cohort.n_subjects)}",
            f"  scans           {scanned}",
            f"  visits          {len(cohort.visits)}, median time in years{zero}:",
            *_visit_lines(per_visit[TIME].median(), per_visit[SUBJECT].nunique()),
            f"  skeletal sites  {len(cohort.skeletal_sites)}, mean (SD) BMD in g/cm2:",
            *_site_lines(scans),
        ]
    )


def _visit_lines(median_time: pd.Series, n: pd.Series) -> list[str]:
    width = max(map(len, map(str, n.index)))
    return [
        f"    {visit!s:<{width}}  {format_number(median_time[visit], 2):>6}"
        f"   {plural(int(n[visit]), 'subject')}"
        for visit in n.index
    ]


def _site_lines(scans: pd.DataFrame) -> list[str]:
    table = scans.groupby(SKELETAL_SITE, observed=True)[BMD].agg(["count", "mean", "std"])
    width = max(len(SITE_LABELS[str(site)]) for site in table.index)
    return [
        f"    {SITE_LABELS[str(site)]:<{width}}  {format_number(row['mean'])} "
        f"({format_number(row['std'])})   {plural(int(row['count']), 'scan')}"
        for site, row in table.iterrows()
    ]
