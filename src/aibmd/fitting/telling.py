"""Warnings that point at the line of the user, however deep they arise."""

import sys
import warnings


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the first line outside the package."""
    frame, level = sys._getframe(0), 1
    while frame is not None and frame.f_globals.get("__name__", "").startswith("aibmd."):
        frame, level = frame.f_back, level + 1  # type: ignore[assignment]
    warnings.warn(message, category, stacklevel=level)
