"""The words of the field: columns, skeletal sites, option values.

Anything named here is spelled once, and every stage imports the spelling.
"""

from typing import Final, Literal

SUBJECT: Final = "subject_id"
VISIT: Final = "visit"
TIME: Final = "time"
SKELETAL_SITE: Final = "skeletal_site"
BMD: Final = "bmd"

SKELETAL_SITES: Final = ("lumbar_spine", "femoral_neck", "total_hip", "total_body")
SITE_LABELS: Final = {
    "lumbar_spine": "Lumbar spine",
    "femoral_neck": "Femoral neck",
    "total_hip": "Total hip",
    "total_body": "Total body",
}
SITE_ALIASES: Final = {
    "LS": "lumbar_spine",
    "FN": "femoral_neck",
    "TH": "total_hip",
    "TB": "total_body",
}

# One row per subject; all in years from the stated time zero where they are times.
SUBJECT_TIMES: Final = (
    "ai_start",
    "ai_stop",
    "tamoxifen_start",
    "tamoxifen_stop",
    "bisphosphonate_start",
    "bisphosphonate_stop",
    "recurrence_time",
    "death_time",
    "last_contact_time",
)
SUBJECT_COVARIATES: Final = (
    "menopausal_status",
    "prior_chemotherapy",
    "treatment_sequence",
    "age_years",
    "bmi",
)
SCANNER_ID: Final = "scanner_id"

# How each scale of change is computed and called (CDISC BASE, CHG, PCHG).
BASELINE_BMD: Final = "baseline_bmd"
CHANGE_COLUMNS: Final = {
    "absolute": "bmd_change",
    "percent": "bmd_pct_change",
    "log": "bmd_log_change",
}

ChangeScale = Literal["absolute", "percent", "log"]
Method = Literal["reml", "ml"]
DfMethod = Literal[
    "kenward_roger",
    "kenward_roger_second_order",
    "satterthwaite",
    "between_within",
    "residual",
    "normal",
]
VcovMethod = Literal["model", "CR0", "CR2", "CR3"]
Information = Literal["observed", "expected"]
Adjustment = Literal["none", "holm", "bonferroni", "bh", "tukey", "dunnett", "mvt"]
MarginalWeights = Literal["equal", "proportional", "counterfactual"]

ESTIMATE_COLUMNS: Final = (
    "estimate",
    "std_error",
    "df",
    "statistic",
    "p_value",
    "conf_low",
    "conf_high",
)
