"""Stage `means`."""
