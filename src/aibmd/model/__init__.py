"""Stage `model`."""
