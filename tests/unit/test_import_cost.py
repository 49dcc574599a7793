"""`import aibmd` loads what it needs and little else."""

import statistics
import subprocess
import sys
import time

import pytest

HEAVY = ("scipy", "formulaic", "matplotlib", "seaborn", "statsmodels", "pingouin")


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_leaves_heavy_libraries_alone():
    loaded = _run("import sys, aibmd; print(*sorted(sys.modules))").split()
    assert [name for name in HEAVY if name in loaded] == []


def test_every_public_name_loads():
    import aibmd

    for name in aibmd.__all__:
        assert getattr(aibmd, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    import aibmd

    with pytest.raises(AttributeError, match="no attribute 'fit_mmmr'"):
        _ = aibmd.fit_mmmr


def test_import_costs_little_more_than_pandas():
    """Median of interleaved runs; a ratio, so a slow machine is no excuse or reason."""
    seconds = {"import pandas": [], "import pandas, aibmd": []}
    for _ in range(7):
        for code, runs in seconds.items():
            start = time.perf_counter()
            _run(code)
            runs.append(time.perf_counter() - start)
    pandas, both = (statistics.median(runs) for runs in seconds.values())
    assert both / pandas < 1.15
