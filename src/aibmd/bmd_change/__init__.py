"""Stage `bmd_change`."""
