"""Break something on purpose, many times, and require a red test each time: `make validate-sabotage`.

The fits are made once, then every shifted reference is tried in a fork of this process, two at a
time; a defect is tried in a fork that has no fits yet. The page docs/validation_sabotage.md says
which test caught what.
"""

import os
import pickle
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "reference"), str(TESTS / "oracle")]
PAGE = ROOT / "docs" / "validation_sabotage.md"
AT_ONCE = 2
LARGE = ("test_mmrm_against_peers", "test_random_effects_against_peers")
CASES = ("test_fit_against_peers", "test_means_against_peers")
EMPTY = (*CASES, "test_empty_cell_against_peers")
POLISHED = ("test_polished_against_engine",)
# Stored file -> tests that read it. The tests of the stored numbers themselves are left out: they
# would notice everything, and prove nothing of the engine.
READERS = {
    "fev": LARGE, "orthodont": LARGE, "sleepstudy": LARGE,
    "fev_dense": POLISHED, "orthodont_dense": POLISHED, "products": POLISHED,
    "random_slopes": POLISHED, "residual_structures": POLISHED, "sandwiches": POLISHED,
    "sas_dense": POLISHED, "sas": ("test_sas_against_engine",),
    "singular": ("test_boundary_against_peers",), "exact": ("test_exact_against_engine",),
    "calcium": CASES, "bmd_like": CASES, "negative_correlation": CASES, "one_visit": CASES,
    "sleep": CASES, "two_visits": CASES, "random_intercept": CASES, "empty_cell": EMPTY,
}  # fmt: skip


class FirstFailure:
    """Remembers the first test that fails."""

    def __init__(self):
        self.test = None

    def pytest_runtest_logreport(self, report):
        if report.failed and self.test is None:
            self.test = report.nodeid

    def pytest_collectreport(self, report):
        if report.failed and self.test is None:
            self.test = f"{report.nodeid} (collection)"


def run_tests(names, *options):
    """Run test files in this process; the first red test, None if all are green."""
    first = FirstFailure()
    files = [str(TESTS / "reference" / f"{name}.py") for name in names]
    with open(os.devnull, "w") as quiet:
        sys.stdout = quiet
        try:
            pytest.main([*files, "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *options],
                        plugins=[first])  # fmt: skip
        finally:
            sys.stdout = sys.__stdout__
    return first.test


def in_a_fork(name, tests, keyword=""):
    """Start the attempt; a pipe to read the caught test from."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    try:
        from validation import sabotage

        sabotage.switch_in(name)
        caught = run_tests(tests, *(["-k", keyword] if keyword else []))
    except BaseException as failure:
        caught = failure
    with os.fdopen(write, "wb") as pipe:
        pickle.dump(caught if not isinstance(caught, BaseException) else repr(caught), pipe)
    os._exit(0)


def attempt_all(attempts):
    """{name: caught test or None}, a few at a time."""
    found, running, waiting = {}, [], list(attempts)
    while running or waiting:
        while waiting and len(running) < AT_ONCE:
            name, tests, keyword = waiting.pop(0)
            running.append((name, *in_a_fork(name, tests, keyword)))
        name, child, read = running.pop(0)
        with os.fdopen(read, "rb") as pipe:
            found[name] = pickle.load(pipe)
        os.waitpid(child, 0)
        print(f"{name}: {found[name] or 'NOT CAUGHT'}", flush=True)
    return found


def main():
    from validation import sabotage, shifts

    begin = time.monotonic()
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    defects = [(f"defect:{name}", tests, "") for name, (_, tests) in sabotage.DEFECTS.items()]
    defects = [d for d in defects if only in d[0]]
    moved = [(f"shift:{file}:{quantity}", tests, f"{file}-" if tests != EMPTY else "")
             for file, tests in READERS.items() for quantity in shifts.quantities(file)]  # fmt: skip
    moved = [m for m in moved if only in m[0]]
    found = attempt_all(defects)
    if moved:
        files = sorted({name for _, tests, _ in moved for name in tests})
        red = run_tests(files)
        if red:
            sys.exit(f"red before anything was broken: {red}")
        found |= attempt_all([(name, tests, "") for name, tests, _ in moved])
    missed = [name for name, caught in found.items() if caught is None]
    if not only:
        PAGE.write_text(render(found), encoding="utf-8")
    print(f"{len(found)} attempts, {len(missed)} not caught, {time.monotonic() - begin:.0f} s")
    sys.exit(1 if missed else 0)


def render(found):
    """The page: which test went red."""
    from validation import sabotage

    parts = [_HEAD, "## Engine defects\n", "| defect | caught by |", "|---|---|"]
    for name, caught in found.items():
        if name.startswith("defect:"):
            said = sabotage.DEFECTS[name.removeprefix("defect:")][0].__doc__
            words = name.removeprefix("defect:").replace("_", " ")
            words += f" ({said.strip().rstrip('.')})" if said else ""
            parts.append(f"| {words} | {_show(caught)} |")
    parts += ["", "## Stored references shifted by ten tolerances\n",
              "| file | quantity | caught by |", "|---|---|---|"]  # fmt: skip
    for name, caught in found.items():
        if name.startswith("shift:"):
            _, file, quantity = name.split(":")
            parts.append(f"| {file} | {quantity} | {_show(caught)} |")
    return "\n".join([*parts, ""])


def _show(caught):
    return "**nothing**" if caught is None else f"`{caught.split('/')[-1].replace('|', ' ')}`"


_HEAD = """# What the tests notice

Made by `make validate-sabotage`; nothing here is typed. Each line is one thing broken on purpose and
the first test that went red. Defects are switched in from `tests/validation/sabotage.py`, never
in the product; shifts move every number of one quantity in one stored file by ten of the tolerances
that `tests/tolerances.py` gives it.
"""

if __name__ == "__main__":
    main()
