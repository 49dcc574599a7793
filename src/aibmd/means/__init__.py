"""Marginal means, slopes, contrasts of them, and their percent form."""

from aibmd.means.contrasts import contrast
from aibmd.means.estimates import MarginalEstimates
from aibmd.means.families import FAMILIES
from aibmd.means.grid import ReferenceGrid, build_grid
from aibmd.means.marginal import emmeans
from aibmd.means.percent import back_transform, percentage_point_difference
from aibmd.means.trends import emtrends

__all__ = [
    "FAMILIES",
    "MarginalEstimates",
    "ReferenceGrid",
    "back_transform",
    "build_grid",
    "contrast",
    "emmeans",
    "emtrends",
    "percentage_point_difference",
]
