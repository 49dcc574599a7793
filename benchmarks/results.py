"""What was measured, on what: Markdown for people, JSON for programs."""

import datetime
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from stopwatch import Row

FOLDER = Path(__file__).parent / "results"
QUOTED = (
    "R mmrm 0.3.18 is not on this machine. Measured elsewhere (virtual machine with 2 cores of an "
    "AMD EPYC, R 4.2.2, one thread; `un`, Satterthwaite, 18 columns of the same kind, 5 visits): "
    "0.47 s at 372 subjects, 12.5 s at 10,000, 151 s and 4.1 GB at 100,000; 1000 subjects x 10 "
    "visits 3.4 s. Quoted, not divided by ours."
)
_HEAD = (
    "| what | processor | wall | ratio | against | target | result | answers agree within |",
    "|---|---:|---:|---:|---|---|---|---|",
)


def describe_machine() -> str:
    """Processor, threads, load and versions."""
    model = platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        lines = cpu.read_text(encoding="utf-8").splitlines()
        model = next(
            (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), model
        )
    packages = ("aibmd", "numpy", "scipy", "pandas", "formulaic")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return (
        f"{model}, {os.cpu_count()} cores, one thread, {load} at the end; {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def to_markdown(sections: dict[str, Sequence[Row]]) -> str:
    """The report: a table a section, then the count of targets."""
    today = datetime.date.today().isoformat()
    lines = ["# Speed", "", f"{today}. {describe_machine()}", ""]
    lines += [
        "Medians over interleaved rounds. Ratios and targets are of processor time (one thread), "
        "which on an idle machine is the time on the wall.",
        "",
    ]
    for title, rows in sections.items():
        lines += [f"## {title}", "", *_HEAD, *map(_to_line, rows), ""]
    rows = [row for section in sections.values() for row in section if row.target]
    counts = {word: sum(row.result == word for row in rows) for word in ("pass", "FAIL")}
    if rows:
        lines += [f"Targets: {counts['pass']} of {len(rows)} reached, {counts['FAIL']} not.", ""]
    return "\n".join([*lines, QUOTED, ""])


def write_results(sections: dict[str, Sequence[Row]]) -> list[Path]:
    """`speed.md`, `speed.json` and the plot."""
    from figure import draw_times  # matplotlib only where something is drawn

    FOLDER.mkdir(exist_ok=True)
    record = {
        "machine": describe_machine(),
        "date": datetime.date.today().isoformat(),
        "sections": {
            title: [asdict(row) | {"result": row.result} for row in rows]
            for title, rows in sections.items()
        },
        "quoted": QUOTED,
    }
    report, data = FOLDER / "speed.md", FOLDER / "speed.json"
    report.write_text(to_markdown(sections), encoding="utf-8")
    data.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return [report, data, draw_times(sections, FOLDER / "subjects.png")]


def _to_line(row: Row) -> str:
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    times = ("", "") if row.took is None else (row.took.processor, row.took.wall)
    cells = (row.what, *map(format_seconds, times), ratio, row.against, row.target, row.result)
    return "| " + " | ".join([*cells, row.equal]) + " |"


def format_seconds(seconds: float | str) -> str:
    """Milliseconds below a second."""
    if isinstance(seconds, str):
        return seconds
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
