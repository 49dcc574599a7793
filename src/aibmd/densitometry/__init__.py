"""Stage `densitometry`: what a scan means."""

from aibmd.densitometry.change import (
    compute_change,
    compute_log_change,
    compute_percent_change,
    derive_change,
)

__all__ = ["compute_change", "compute_log_change", "compute_percent_change", "derive_change"]
