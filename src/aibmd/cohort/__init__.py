"""Stage `cohort`."""
