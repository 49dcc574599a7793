"""Stage `simulation`."""
