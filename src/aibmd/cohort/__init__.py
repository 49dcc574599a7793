"""Stage `cohort`: tables of scans, read, checked, described and written."""

from importlib import import_module
from typing import Any

from aibmd.cohort.cohort import Cohort
from aibmd.cohort.describe import tabulate_bmd
from aibmd.cohort.problem import Problem
from aibmd.cohort.read import read_cohort
from aibmd.cohort.write import format_csv, truth_path, write_cohort, write_truth

__all__ = [  # and `list_cohorts`, `load_cohort`
    "Cohort",
    "Problem",
    "format_csv",
    "read_cohort",
    "tabulate_bmd",
    "truth_path",
    "write_cohort",
    "write_truth",
]

# Shipped cohorts hold what a design was set to. Models import this package and may not
# reach that, so these two load on request and no import leads from here to them.
_SHIPPED = ("list_cohorts", "load_cohort")


def __getattr__(name: str) -> Any:
    if name not in _SHIPPED:
        raise AttributeError(f"module 'aibmd.cohort' has no attribute {name!r}")
    return getattr(import_module("aibmd.cohort.shipped"), name)
