"""Stage `inference`."""
