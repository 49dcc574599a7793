"""Stage `report`: tables, figures and the page. The only stage that draws."""

from aibmd.report.provenance import Origin
from aibmd.report.withdrawal import render_withdrawal_report, write_withdrawal_report

__all__ = ["Origin", "render_withdrawal_report", "write_withdrawal_report"]
