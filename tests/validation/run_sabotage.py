"""Break something on purpose, many times; each time a test must be red: `make validate-sabotage`.

Tests are collected once. A defect is tried in a fork that has no fits yet; then every test must be
green, which also makes every fit once; then a shifted reference is tried in a fork that has them.
The page docs/validation_sabotage.md says which test caught what.
"""

import os
import pickle
import sys
import time
from contextlib import redirect_stdout
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
    "means_adjusted": ("test_means_adjusted",), "means_lm": ("test_means_against_emmeans",),
    "profile": ("test_covariance_intervals", "test_profile"), "leave_one_out": ("test_influence",),
}  # fmt: skip
# (file, quantity) that no comparison with the engine reads, and why.
NOT_READ = {
    **{
        ("profile", one): "the limits are compared; the optimum is that of random_slopes"
        for one in ("estimate", "loglik", "theta")
    },
    **{
        ("leave_one_out", one): "the refits are compared; the optimum is in other files"
        for one in ("loglik", "theta", "vcov")
    },
    **{
        ("means_lm", one): "its test reads the file without the loader"
        for one in ("df", "estimate", "std_error")
    },
    ("sleepstudy", "cov"): "glmmTMB's, of which the log-likelihood alone is compared",
    ("exact", "df"): "lme4's, beside the mean squares that are compared",
    ("exact", "estimate"): "lme4's, beside the mean squares that are compared",
    ("exact", "se"): "lme4's, beside the mean squares that are compared",
    ("sas_dense", "den_df"): "joint df in SAS's basis of the hypothesis",
    ("fev", "theta"): "mmrm's own parameters; the oracle's tests read them",
    ("orthodont", "theta"): "mmrm's own parameters; the oracle's tests read them",
}


class Sabotage:
    """Runs the collected tests in forks, each with something broken."""

    def __init__(self, only):
        self.only = only
        self.found = {}
        self.red = []  # tests that were red before anything was broken

    def pytest_runtest_logreport(self, report):
        if report.failed:
            _failed.add(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.testsfailed:
            sys.exit("tests could not be collected")
        from validation import sabotage, shifts

        defects = [
            (f"defect:{name}", tests, first)
            for name, (_, tests, first) in sabotage.list_defects().items()
        ]
        moved = [(f"shift:{file}:{quantity}", names, f"{file}-") for file, names in READERS.items()
                 for quantity in shifts.quantities(file)
                 if (file, quantity) not in NOT_READ]  # fmt: skip
        self._attempt_all(session, [one for one in defects if self.only in one[0]])
        moved = [one for one in moved if self.only in one[0]]
        if moved:
            names = {name for _, names, _ in moved for name in names}
            # A test that is red already can notice nothing: it is left out, and told at the end.
            self.red = [item for item in _items(session, names) if _first_failure([item])]
            session.items = [item for item in session.items if item not in self.red]
            self._attempt_all(session, moved)
        return True

    def _attempt_all(self, session, attempts):
        running, waiting = [], list(attempts)
        while running or waiting:
            while waiting and len(running) < AT_ONCE:
                name, names, first = waiting.pop(0)
                running.append((name, *_fork(name, _items(session, names, first))))
            name, child, read = running.pop(0)
            with os.fdopen(read, "rb") as pipe:
                self.found[name] = pickle.load(pipe)
            os.waitpid(child, 0)
            print(f"{name}: {self.found[name] or 'NOT CAUGHT'}", file=sys.stderr, flush=True)


def _items(session, names, first=""):
    """Tests of some files; those first whose id holds a text."""
    found = [item for item in session.items if item.path.stem in names]
    return sorted(found, key=lambda item: first not in item.nodeid)


_failed = set()


def _first_failure(items):
    """Run tests one by one, as pytest does, up to the first that is red."""
    for item in items:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if item.nodeid in _failed:
            return item.nodeid
    return None


def _fork(name, items):
    """Start one attempt; the pipe brings the test that caught it."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    from validation import sabotage

    try:
        sabotage.switch_in(name)
        caught = _first_failure(items)
    except BaseException as failure:  # a broken attempt must not go on as a second parent
        caught = f"none: the attempt itself failed with {failure!r}"
    with os.fdopen(write, "wb") as pipe:
        pickle.dump(caught, pipe)
    os._exit(0)


def main():
    from validation import sabotage

    begin = time.monotonic()
    run = Sabotage(sys.argv[1] if len(sys.argv) > 1 else "")
    names = {n for one in READERS.values() for n in one}
    names |= {n for _, tests, _ in sabotage.list_defects().values() for n in tests}
    files = [str(path) for path in sorted(TESTS.rglob("test_*.py")) if path.stem in names]
    with Path(os.devnull).open("w") as quiet, redirect_stdout(quiet):
        pytest.main([*files, "-q", "-n", "0", "-p", "no:cacheprovider"], plugins=[run])
    for item in run.red:
        print(f"red before anything was broken, left out: {item.nodeid}")
    missed = [name for name, caught in run.found.items() if not caught or caught.startswith("none")]
    if not run.only and run.found:
        PAGE.write_text(render(run.found), encoding="utf-8")
    print(f"{len(run.found)} attempts, {len(missed)} not caught, {time.monotonic() - begin:.0f} s")
    print(*missed, sep="\n")
    sys.exit(1 if missed or run.red or not run.found else 0)


def render(found):
    """The page: which test went red."""
    from validation import sabotage

    parts = [_HEAD, "## Engine defects\n", "| defect | caught by |", "|---|---|"]
    for name, caught in found.items():
        if name.startswith("defect:"):
            said = sabotage.list_defects()[name.removeprefix("defect:")][0].__doc__
            words = name.removeprefix("defect:").replace("_", " ")
            words += f" ({said.strip().rstrip('.')})" if said else ""
            parts.append(f"| {words} | {_show(caught)} |")
    parts += ["", "## Stored references shifted by ten tolerances\n",
              "| file | quantity | caught by |", "|---|---|---|"]  # fmt: skip
    for name, caught in found.items():
        if name.startswith("shift:"):
            _, file, quantity = name.split(":")
            parts.append(f"| {file} | {quantity} | {_show(caught)} |")
    parts += ["", "## Not tried\n", "| file | quantity | why |", "|---|---|---|"]
    parts += [f"| {file} | {quantity} | {why} |" for (file, quantity), why in NOT_READ.items()]
    return "\n".join([*parts, ""])


def _show(caught):
    return "**nothing**" if caught is None else f"`{caught.split('/')[-1].replace('|', ' ')}`"


_HEAD = """# What the tests notice

Made by `make validate-sabotage`; nothing here is typed. Each line is one thing broken on purpose
and the first test that went red. Defects are switched in from `tests/validation`, never in the
product; shifts move every number of one quantity in one stored file by ten of the tolerances
that `tests/tolerances.py` gives it.
"""

if __name__ == "__main__":
    main()
