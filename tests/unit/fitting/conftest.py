"""Put the dense oracle, the tolerances and the made-up trials within reach."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
for folder in (TESTS, TESTS / "oracle", TESTS / "properties"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
