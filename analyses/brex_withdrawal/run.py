"""How does BMD change from year 5 to 10 where an AI is withdrawn at year 5, and where it is not?

Every decision is in the README beside this file.

Run `aibmd reproduce brex_withdrawal`, or `python analyses/brex_withdrawal/run.py [FOLDER]`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from aibmd import Cohort, load_cohort
from aibmd.bmd_change import WithdrawalQuestion, fit_withdrawal
from aibmd.report.provenance import Origin
from aibmd.report.withdrawal import write_withdrawal_report

COHORT = "brex"
QUESTION = WithdrawalQuestion(
    lookback_years=1.0,
    grace_years=0.5,
    comparator="no_withdrawal",
    primary_sites=("lumbar_spine", "femoral_neck"),
    secondary_sites=("total_hip",),
)


def run(
    cohort: Cohort,
    out: Path,
    *,
    origin: Origin | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Fit, tabulate, draw and write; returns the files, the page last."""
    published = pd.read_csv(Path(__file__).with_name("published.csv"))
    result = fit_withdrawal(cohort, QUESTION, published=published, progress=progress)
    if progress:
        progress("Writing tables, figure and page")
    return write_withdrawal_report(result, cohort, out, origin)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results/brex_withdrawal")
    for path in run(load_cohort(COHORT), folder, progress=print):
        print(path)
