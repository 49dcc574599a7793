"""Run the suites with recording on; write docs/validation.json and docs/validation.md.

`python -m validation.report` from tests/, or `make validate`. The report has no date and no time
and is byte-stable: differences are rounded up to one significant digit, and one below a thousandth
of its tolerance is printed as that thousandth, since rounding errors differ between machines.
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from validation.requirements import NOT_COMPARED, REQUIREMENTS, SUITES

ROOT = Path(__file__).resolve().parents[2]
JSON, PAGE = ROOT / "docs" / "validation.json", ROOT / "docs" / "validation.md"
# Of a tolerance: below it a difference is rounding, and its digits mean nothing.
_FLOOR = 1e-3


def round_up(value):
    """To one significant digit, upwards."""
    if value == 0.0:
        return 0.0
    power = math.floor(math.log10(value))
    digit = math.ceil(round(value / 10.0**power, 9))
    return float(f"{digit}e{power}")


def show(difference, tolerance):
    return f"{round_up(max(difference, _FLOOR * tolerance)):.0e}"


def run_suites(folder):
    """Every suite, recording; the exit code of pytest."""
    environment = os.environ | {"AIBMD_VALIDATION": str(folder)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *sys.argv[1:],
        *SUITES,
    ]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def read_lines(folder):
    lines = []
    for path in sorted(Path(folder).glob("*.jsonl")):
        lines += [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return lines


def summarise(lines):
    """The report as plain data: comparisons of tests that passed, by requirement."""
    passed = {line["test"] for line in lines if line.get("outcome") == "passed"}
    compared = [line for line in lines if "peer" in line and line["test"] in passed]
    with_numbers = {line["test"] for line in compared}
    return {
        "requirements": [
            {
                "id": one.id,
                "requirement": one.wording,
                "comparisons": _comparisons([c for c in compared if one.holds(c["test"])]),
                "tests_without_numbers": _counts(t for t in passed - with_numbers if one.holds(t)),
            }
            for one in REQUIREMENTS
        ],
        "not_compared": [{"what": what, "why": why} for what, why in NOT_COMPARED],
        "peers": _versions(),
    }


def _comparisons(lines):
    groups = defaultdict(list)
    for line in lines:
        groups[line["peer"], line["quantity"], line["tolerance"]].append(line)
    return [
        {
            "peer": peer,
            "quantity": quantity,
            "comparisons": len(found),
            "largest_difference": show(max(one["difference"] for one in found), tolerance),
            "tolerance": f"{tolerance:.1e}".replace(".0e", "e"),
            "tests": sorted({one["test"].split("[")[0] for one in found}),
        }
        for (peer, quantity, tolerance), found in sorted(groups.items())
    ]


def _counts(tests):
    return dict(sorted(Counter(test.split("[")[0].split("::")[0] for test in tests).items()))


def _versions():
    versions = {}
    for path in sorted((ROOT / "tests" / "reference" / "peers").glob("*.json")):
        meta = json.loads(path.read_text(encoding="utf-8")).get("meta", {})
        versions |= {"R": meta["R"]} if "R" in meta else {}
        versions |= meta.get("packages", {}) if isinstance(meta.get("packages"), dict) else {}
    versions["SAS PROC MIXED"] = "version not printed in the listings, dated 2022-06 to 2024-01"
    return dict(sorted(versions.items()))


def render(summary):
    """docs/validation.md from the data."""
    parts = [_HEAD]
    for one in summary["requirements"]:
        parts.append(f"## {one['id']}\n\n{one['requirement']}.\n")
        if one["comparisons"]:
            rows = [
                f"| {c['peer']} | {c['quantity']} | {c['comparisons']} | {c['largest_difference']} "
                f"| {c['tolerance']} | {', '.join(_short(t) for t in c['tests'])} |"
                for c in one["comparisons"]
            ]
            parts.append("\n".join([_COLUMNS, *rows, ""]))
        if one["tests_without_numbers"]:
            counts = one["tests_without_numbers"].items()
            listed = ", ".join(f"`{name.removeprefix('tests/')}` ({n})" for name, n in counts)
            parts.append(f"Tests that hold a statement rather than a difference: {listed}.\n")
    rows = [f"| {row['what']} | {row['why']} |" for row in summary["not_compared"]]
    parts.append("\n".join(["## What is not compared, and why\n", "| what | why |", "|---|---|",
                            *rows, ""]))  # fmt: skip
    rows = [f"| {name} | {version} |" for name, version in summary["peers"].items()]
    parts.append("\n".join(["## Versions of the peers\n", "| program | version |", "|---|---|",
                            *rows, ""]))  # fmt: skip
    return "\n".join(parts)


def _short(test):
    """A function's name; its file is in the JSON."""
    return f"`{test.split('::')[-1]}`"


_COLUMNS = (
    "| peer | quantity | comparisons | largest difference | tolerance | tests |\n"
    "|---|---|---|---|---|---|"
)
_HEAD = """# Validation report

Made by `make validate` from a run of the tests; nothing here is typed. The same as data:
`validation.json`. Tolerances and their reasons stand in `tests/tolerances.py`, the peers' numbers
and scripts in `tests/reference/`.

A difference is the largest over all comparisons of its row, rounded up to one significant digit;
below a thousandth of the tolerance that thousandth is printed, since what is left is rounding and
differs between machines. `make validate-sabotage` shows that the tests can fail: it shifts stored
numbers and breaks the engine on purpose, see `validation_sabotage.md`.
"""


def dump(summary):
    """JSON with a comparison a line, so that a change shows as one."""
    held, lines = {}, []
    for i, one in enumerate(summary["requirements"]):
        for j, row in enumerate(one["comparisons"]):
            held[f'"@{i}.{j}@"'] = json.dumps(row, ensure_ascii=False)
        rows = [f"@{i}.{j}@" for j in range(len(one["comparisons"]))]
        lines.append(one | {"comparisons": rows})
    text = json.dumps(summary | {"requirements": lines}, indent=1, ensure_ascii=False)
    return re.sub(r'"@\d+\.\d+@"', lambda found: held[found[0]], text) + "\n"


def write(summary):
    JSON.write_text(dump(summary), encoding="utf-8")
    PAGE.write_text(render(summary), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        code = run_suites(folder)
        # A comparison counts only where its test passed: the page is right even beside a red one.
        write(summarise(read_lines(folder)))
    print(f"wrote {PAGE.relative_to(ROOT)} and {JSON.relative_to(ROOT)}")
    sys.exit(code)
