"""Display tables of who was analysed: flow, mixture, and means at every visit."""

import pandas as pd

from aibmd.bmd_change import WithdrawalQuestion
from aibmd.formatting import MISSING, format_count, format_interval, format_number
from aibmd.report.tables.display import DisplayTable, make_table
from aibmd.report.tables.withdrawal import format_site, sort_rows


def tabulate_flow_counts(flow: pd.DataFrame) -> DisplayTable:
    """Women from entry to the outcome visit, those lost by reason."""
    rows = [
        (
            str(row["step"]).capitalize(),
            str(row["group"]),
            str(row["reason"]),
            format_count(int(row["n"])),
        )
        for row in flow.to_dict("records")
    ]
    title = f"Flow of women, from {rows[0][-1]} who entered to the scan at year 10"
    note = "Women lost after year 5 stay in the log model with the scans they have."
    return make_table(
        title, {"Step": "left", "Group": "left", "Reason": "left", "Women": "right"}, rows, [note]
    )


def tabulate_mixture_shares(mixture: pd.DataFrame) -> DisplayTable:
    """What each group is made of, by menopausal status and treatment course."""
    rows = [
        (
            str(row["group"]),
            str(row["menopausal_status"]),
            str(row["treatment_course"]),
            format_count(int(row["n"])),
            format_number(row["share_pct"], 1),
        )
        for row in mixture.to_dict("records")
    ]
    note = "Another make-up of the comparator gives another difference."
    return make_table(
        "Make-up of the groups: treatment course up to year 5 by menopausal status at baseline",
        {"Group": "left", "Menopausal status": "left", "Treatment course": "left",
         "Women": "right", "% of group": "right"},
        rows,
        [note],
    )  # fmt: skip


def tabulate_trajectories(trajectories: pd.DataFrame, question: WithdrawalQuestion) -> DisplayTable:
    """Model means behind the figure: change from year 5 and BMD at every visit."""
    interval = f"{100 * question.conf_level:g} % interval"
    rows = []
    for row in sort_rows(trajectories, question).to_dict("records"):
        reference = row["visit"] == question.reference_visit
        change = format_interval(row["conf_low"], row["conf_high"], 2)
        rows.append(
            (
                format_site(row),
                str(row["group"]),
                f"{row['time']:g}",
                format_count(int(row["n_scanned"])),
                "0 (reference)" if reference else format_number(row["change_from_year_5_pct"], 2),
                MISSING if reference else change,
                format_number(row["bmd_geometric_mean"], 3),
                format_interval(row["bmd_conf_low"], row["bmd_conf_high"], 3),
            )
        )
    note = "Years before 5 are the same women looking back: being here required reaching year 5."
    return make_table(
        "Model means at every visit (log model), the numbers behind the figure",
        {"Skeletal site": "left", "Group": "left", "Year": "right", "n scanned": "right",
         "% change from year 5": "right", f"change, {interval}": "right",
         "Geometric mean BMD, g/cm²": "right", f"BMD, {interval}": "right"},
        rows,
        [note],
    )  # fmt: skip
