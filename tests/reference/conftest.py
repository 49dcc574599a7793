"""Put `tolerances` and the dense oracle within reach of the reference tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
for folder in (TESTS, TESTS / "oracle", TESTS / "reference"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
