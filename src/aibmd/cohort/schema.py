"""What the columns of a table of scans are: one rule per known column.

Limits are wide on purpose. They mark what cannot be, not what is unusual: reference
means for women lie between 0.8 and 1.2 g/cm2 with standard deviations of 0.11 to 0.14
(Looker 1998 for the femur, manufacturers for the spine), so 0.2 and 2.5 g/cm2 are
more than five standard deviations away from any of them.
"""

from dataclasses import dataclass
from typing import Final, Literal

from aibmd.vocabulary import (
    BMD,
    SCANNER_ID,
    SKELETAL_SITE,
    SUBJECT,
    SUBJECT_TIMES,
    TIME,
    VISIT,
)

# A cell with one of these holds no value. Upper and lower case count alike.
MISSING_CODES: Final = ("", "NA", "N/A", "NaN", ".")

# Numbers that stand for "missing" in many exports; never a BMD in g/cm2.
SENTINELS: Final = (-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0)

BMD_LOW, BMD_HIGH = 0.2, 2.5
MG_PER_G: Final = 1000.0
LONGEST_STUDY_YEARS: Final = 60.0

# The first may not come after the second.
ORDERED_TIMES: Final = (
    ("ai_start", "ai_stop"),
    ("tamoxifen_start", "tamoxifen_stop"),
    ("bisphosphonate_start", "bisphosphonate_stop"),
    ("recurrence_time", "death_time"),
    ("last_contact_time", "death_time"),
)
# No scan may come after these.
LAST_TIMES: Final = ("last_contact_time", "death_time")
# Dates become years and are rounded; four days are not a contradiction.
TIME_SLACK_YEARS: Final = 0.01


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What one column holds.

    Attributes
    ----------
    name : str
        Name of the column in a cohort.
    kind : {"label", "number"}
        Labels stay text (an id of 007 keeps its zeros); numbers must be numbers.
    level : {"scan", "subject"}
        Whether the value belongs to a scan or is one per subject.
    unit : str
        Unit, empty for labels.
    required : bool
        Whether a table without the column is refused.
    low, high : float
        Values outside cannot be true.
    """

    name: str
    kind: Literal["label", "number"]
    level: Literal["scan", "subject"]
    unit: str = ""
    required: bool = False
    low: float = float("-inf")
    high: float = float("inf")


def _years(name: str, level: Literal["scan", "subject"], required: bool = False) -> ColumnRule:
    limit = LONGEST_STUDY_YEARS
    return ColumnRule(name, "number", level, "years", required, -limit, limit)


COLUMN_RULES: Final = (
    ColumnRule(SUBJECT, "label", "scan", required=True),
    ColumnRule(VISIT, "label", "scan", required=True),
    _years(TIME, "scan", required=True),
    ColumnRule(SKELETAL_SITE, "label", "scan", required=True),
    ColumnRule(BMD, "number", "scan", "g/cm2", True, BMD_LOW, BMD_HIGH),
    ColumnRule(SCANNER_ID, "label", "scan"),
    *(_years(name, "subject") for name in SUBJECT_TIMES),
    ColumnRule("menopausal_status", "label", "subject"),
    ColumnRule("prior_chemotherapy", "label", "subject"),
    ColumnRule("treatment_sequence", "label", "subject"),
    ColumnRule("age_years", "number", "subject", "years", False, 1.0, 115.0),
    ColumnRule("bmi", "number", "subject", "kg/m2", False, 8.0, 100.0),
)

# A column of this name that says yes marks made-up subjects; generators write it, so that
# a file cannot lose the mark.
SYNTHETIC: Final = "synthetic"
SYNTHETIC_MARKS: Final = ("yes", "true", "1")

RULES: Final = {rule.name: rule for rule in COLUMN_RULES}
REQUIRED: Final = tuple(rule.name for rule in COLUMN_RULES if rule.required)
NUMBER_COLUMNS: Final = tuple(rule.name for rule in COLUMN_RULES if rule.kind == "number")
SUBJECT_COLUMNS: Final = tuple(rule.name for rule in COLUMN_RULES if rule.level == "subject")
