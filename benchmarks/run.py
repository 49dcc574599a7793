"""`make bench`: speed as ratios within one run, one thread, equal answers first.

python benchmarks/run.py [--quick] [--only NAME ...] [--without NAME ...]
"""

import one_thread  # noqa: F401, I001

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from million_rows import memory_rows, million_rows
from peer_rows import peer_rows
from refit_rows import refit_rows
from results import to_markdown, write_results
from slope_rows import slope_rows
from stopwatch import Row, UnequalAnswerError
from visit_rows import (
    between_rows,
    check_the_judge,
    many_subject_rows,
    ten_visit_rows,
    trial_rows,
)

UNEQUAL = "equal answers"
Section = Callable[[], list[Row]]
TITLES = {
    "memory": "Peak memory",
    "trial": "The size of a trial",
    "ten_visits": "Ten visits",
    "refits": "Refits",
    "between": "Between a trial and 100,000 subjects",
    "many": "100,000 subjects",
    "slopes": "Random intercept and slope on continuous times",
    "million": "A million subjects",
    "peers": "Other programs",
}
# Memory first: the other process then has the machine's caches to itself.
FULL: dict[str, Section] = {
    "memory": memory_rows,
    "trial": trial_rows,
    "ten_visits": ten_visit_rows,
    "refits": refit_rows,
    "between": between_rows,
    "many": many_subject_rows,
    "slopes": slope_rows,
    "million": million_rows,
    "peers": peer_rows,
}
# Whether everything runs, in a minute; its times say nothing and are not written.
QUICK: dict[str, Section] = {
    "memory": partial(memory_rows, 20_000),
    "trial": partial(trial_rows, 100, rounds=3),
    "ten_visits": partial(ten_visit_rows, 200, rounds=3),
    "refits": partial(refit_rows, 100, n_outcomes=32, rounds=2),
    "between": partial(between_rows, (1000,), rounds=2),
    "many": partial(many_subject_rows, 5000, rounds=3),
    "slopes": partial(slope_rows, (500, 1000, 2000), rounds=3),
    "million": partial(million_rows, 10_000, rounds=2),
    "peers": partial(peer_rows, 100, (200,), 20.0),
}


def measure(sections: dict[str, Section]) -> dict[str, list[Row]]:
    """Run the sections; a wrong answer fails its section and the others go on."""
    check_the_judge()
    found = {}
    for name, section in sections.items():
        started = time.perf_counter()
        try:
            found[TITLES[name]] = section()
        except UnequalAnswerError as error:
            found[TITLES[name]] = [Row(name, target=UNEQUAL, passed=False, equal=str(error))]
        took = time.perf_counter() - started
        print(f"{TITLES[name]}: done in {took:.0f} s", file=sys.stderr, flush=True)
    return found


def without_target(row: Row) -> Row:
    """Targets belong to full sizes; an unequal answer is a failure at any size."""
    return row if row.target == UNEQUAL else replace(row, target="", passed=None)


def main() -> int:
    """Measure, print, and write `benchmarks/results/`."""
    parser = argparse.ArgumentParser(description="Speed, as ratios within one run.")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; nothing is written")
    parser.add_argument("--only", nargs="+", choices=TITLES, metavar="NAME", default=list(TITLES),
                        help=f"some of: {', '.join(TITLES)}; nothing is written")  # fmt: skip
    parser.add_argument("--without", nargs="+", choices=TITLES, metavar="NAME", default=[],
                        help="leave out; results are written all the same")  # fmt: skip
    chosen = parser.parse_args()
    every = QUICK if chosen.quick else FULL
    names = [n for n in every if n in chosen.only and n not in chosen.without]
    found = measure({name: every[name] for name in names})
    if chosen.quick:
        found = {title: [without_target(row) for row in rows] for title, rows in found.items()}
    print(to_markdown(found))
    if not chosen.quick and chosen.only == list(TITLES):
        print("written:", *write_results(found))
    return 0 if all(row.passed is not False for rows in found.values() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
