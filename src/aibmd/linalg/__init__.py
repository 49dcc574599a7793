"""Stage `linalg`."""
