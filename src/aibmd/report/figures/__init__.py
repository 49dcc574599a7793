"""Figures: `draw_*` puts a finished table on axes and computes nothing."""
