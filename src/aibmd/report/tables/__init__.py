"""Tables: `tabulate_*` turns results into words and rounded numbers; writers take it from there."""

from aibmd.report.tables.csv_text import format_csv
from aibmd.report.tables.display import DisplayTable
from aibmd.report.tables.html import format_html
from aibmd.report.tables.terminal import format_plain, print_table

__all__ = ["DisplayTable", "format_csv", "format_html", "format_plain", "print_table"]
