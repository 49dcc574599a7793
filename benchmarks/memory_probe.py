"""A process of its own: load the columns of a folder, fit or not, print the peak memory.

python memory_probe.py FOLDER load|fit
"""

import one_thread  # noqa: F401, I001

import json
import resource
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from designs import FOUR_NUMBERS, FOUR_NUMBERS_FORMULA, VISITS
from from_arrays import call_mmrm

LEVELS = {"visit": VISITS, "group": ("continue", "withdraw")}


def load(folder):
    """The data frame, without a copy of any column."""
    columns = {}
    for name in ("subject_id", "visit", "group", *FOUR_NUMBERS):
        values = np.load(Path(folder) / f"{name}.npy")
        if name in LEVELS:
            values = pd.Categorical.from_codes(values, categories=list(LEVELS[name]))
        columns[name] = values
    return pd.DataFrame(columns, copy=False)


def measure_peak():
    """Bytes. Linux hands a parent's maximum to its child's `ru_maxrss`, but not to VmHWM."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    frame = load(sys.argv[1])
    if sys.argv[2] == "fit":
        call_mmrm(FOUR_NUMBERS_FORMULA, frame)
    print(json.dumps({"peak_bytes": measure_peak()}))
