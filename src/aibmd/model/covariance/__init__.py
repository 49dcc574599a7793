"""Covariance of the rows of one subject, as functions of a few parameters.

``table`` holds the structures over visits; ``terms`` composes them over rows: products,
groups, random effects, sums.
"""

from aibmd.model.covariance.structure import CovarianceStructure
from aibmd.model.covariance.table import INDEPENDENT, STRUCTURES, get_structure

__all__ = ["INDEPENDENT", "STRUCTURES", "CovarianceStructure", "get_structure"]
