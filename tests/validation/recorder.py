"""Where comparisons leave what they saw: test, peer, quantity, difference, tolerance.

Off unless AIBMD_VALIDATION names a folder; then every process writes one file of lines there.
"""

import json
import os
from pathlib import Path

_FOLDER = os.environ.get("AIBMD_VALIDATION")
_lines: list[dict] = []


def is_on():
    return bool(_FOLDER)


def record(peer, quantity, difference, tolerance):
    """Note one comparison of the test that is running."""
    if is_on():
        _note(_running(), peer=peer, quantity=quantity, difference=float(difference),
              tolerance=float(tolerance))  # fmt: skip


def record_outcome(test, outcome):
    """Note that a test passed or failed, whether it compared numbers or not."""
    if is_on():
        _note(test, outcome=outcome)


def _note(test, **what):
    _lines.append({"test": test, **what})


def _running():
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


def write():
    """Flush what this process saw."""
    if is_on() and _lines:
        path = Path(_FOLDER) / f"{os.getpid()}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in _lines), encoding="utf-8")
