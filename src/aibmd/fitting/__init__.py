"""Stage `fitting`."""
