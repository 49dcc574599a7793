"""Bring `stored` and `tolerances`, which live in neighbouring folders, within reach."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
for _folder in (_TESTS, _TESTS / "reference"):
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))

import stored  # noqa: E402
import tolerances as tol  # noqa: E402

__all__ = ["stored", "tol"]
