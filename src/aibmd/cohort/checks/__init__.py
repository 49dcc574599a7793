"""The checks of a table of scans: small named functions, all run before one error.

A check takes a `ScanTable` and returns a list of `Problem`, empty when there is nothing
to say. To add one, write a function ``check_<noun>`` in the file of its kind, add it to
`CHECKS` (which is the order of the report), add a malformed file to the tests and a line
to ``docs/data_dictionary.md``. A check whose columns are missing returns an empty list:
the missing column is reported already.
"""

from collections.abc import Callable
from typing import Final

from aibmd.cohort.checks.bmd import (
    check_bmd_measured,
    check_bmd_positive,
    check_bmd_range,
    check_bmd_unit,
)
from aibmd.cohort.checks.key import (
    check_constant_covariates,
    check_missing_keys,
    check_repeated_scans,
    check_skeletal_sites,
    check_visit_spelling,
)
from aibmd.cohort.checks.layout import (
    check_column_names,
    check_has_rows,
    check_ragged_rows,
    check_repeated_columns,
    check_separator,
)
from aibmd.cohort.checks.number import (
    check_decimal_commas,
    check_finite,
    check_number_range,
    check_numbers,
)
from aibmd.cohort.checks.time import check_last_times, check_ordered_times, check_visit_times
from aibmd.cohort.problem import Problem
from aibmd.cohort.table import ScanTable

CHECKS: Final[tuple[Callable[[ScanTable], list[Problem]], ...]] = (
    check_separator,
    check_ragged_rows,
    check_repeated_columns,
    check_column_names,
    check_has_rows,
    check_decimal_commas,
    check_numbers,
    check_finite,
    check_missing_keys,
    check_skeletal_sites,
    check_visit_spelling,
    check_repeated_scans,
    check_bmd_measured,
    check_bmd_positive,
    check_bmd_unit,
    check_bmd_range,
    check_number_range,
    check_visit_times,
    check_constant_covariates,
    check_ordered_times,
    check_last_times,
)


def run_checks(table: ScanTable) -> list[Problem]:
    """All problems of a table, in the order of `CHECKS`."""
    return [problem for check in CHECKS for problem in check(table)]
