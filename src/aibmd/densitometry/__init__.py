"""Stage `densitometry`."""
