"""Writes docs/benchmarks.md from what pytest-benchmark recorded (bench/report/results.json) and what profiles showed
(bench/findings.md)."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sqlite3
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "report" / "results.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
FINDINGS = ROOT / "bench" / "findings.md"
PACKAGES = ("kalamdb", "pyarrow", "datafusion", "rocksdict", "lmdb", "duckdb", "uuid-utils", "fast-ulid")

HEAD = """# Benchmarks

What `make bench` last measured: kalamdb beside its peers, in one process and taking turns, through its public Python
API. Each question is the docstring of its file in `bench/`. Ratios hold, absolute figures are this machine's.

A time is the median over all calls of a turn, then over the turns; p99 likewise. The ratio is how many times as fast
kalamdb is as the peer (above 1: faster).

"""


def main() -> None:
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    findings = FINDINGS.read_text(encoding="utf-8")
    text = HEAD + table(recorded["benchmarks"]) + circumstances(recorded) + findings
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"written: {DOCUMENT.relative_to(ROOT)}")


def table(benchmarks: list[dict[str, Any]]) -> str:
    """One line a question and contender."""
    turns: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    goals: dict[str, str] = {}
    for record in benchmarks:
        info = record["extra_info"]
        seconds = sorted(value / info["per_call"] for value in record["stats"]["data"])
        p99 = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
        turns[info["question"]][info["engine"]].append((statistics.median(seconds), p99))
        goals[info["question"]] = info["goal"]
    lines = [
        "| question | contender | median | p99 | a second | ratio | to reach |",
        "| --- | --- | --: | --: | --: | --: | --- |",
    ]
    for question, engines in sorted(turns.items(), key=lambda item: int(item[0].split()[0][1:])):
        medians = {name: statistics.median(median for median, _ in runs) for name, runs in engines.items()}
        for name, runs in engines.items():
            p99 = statistics.median(value for _, value in runs)
            ours = name == "kalamdb"
            ratio = medians[name] / medians["kalamdb"] if "kalamdb" in medians else float("nan")
            lines.append(
                f"| {question if ours else ''} | {name} | {duration(medians[name])} | {duration(p99)} "
                f"| {1 / medians[name]:,.0f} | {'' if ours else f'{ratio:.2f} ×'} "
                f"| {goals[question] if ours else ''} |"
            )
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """With three digits and a unit that suits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e12:.3g} ps"


def circumstances(recorded: dict[str, Any]) -> str:
    """The machine and the versions."""
    machine = recorded["machine_info"]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return (
        f"\nMeasured {recorded['datetime'][:10]} on {machine['cpu'].get('count')} cores "
        f"({machine['cpu'].get('brand_raw', machine['machine'])}), {platform.system()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {', '.join(versions)}.\n"
    )


if __name__ == "__main__":
    main()
