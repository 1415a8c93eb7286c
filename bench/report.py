"""Writes docs/benchmarks.md, and its plots, from what pytest-benchmark recorded (bench/report/results.json) and what
profiles showed (bench/findings.md)."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import sqlite3
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "report" / "results.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
FINDINGS = ROOT / "bench" / "findings.md"
PICTURES = DOCUMENT.with_suffix("")
PLOTS = (
    (
        "users.svg",
        r"P7 a user's \d+ rows of (?P<size>[\d,]+) users', (?P<curve>.*)",
        "a user's 100 rows, reads a second",
        "users",
    ),
    (
        "memory.svg",
        r"P13 memory grown by (?P<curve>\w+), (?P<size>[\d,]+) rows",
        "memory grown by, MiB",
        "rows",
    ),
)
"""File, the questions that are on it, what is shown, along what."""
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
    found = lines_of(recorded["benchmarks"])
    text = HEAD + table(found) + plots(found) + circumstances(recorded) + findings
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"written: {DOCUMENT.relative_to(ROOT)}")


@dataclass
class Line:
    """What one contender of a question came to. `p99`: None where the figure is no time of calls."""

    value: float
    p99: float | None = None
    unit: str = "s"


@dataclass
class Answers:
    """A question's contenders, ours first, and what ratio is to be reached."""

    goal: str = ""
    lines: dict[str, Line] = field(default_factory=dict)


def lines_of(benchmarks: list[dict[str, Any]]) -> dict[str, Answers]:
    """Every question, in the order of their numbers."""
    turns: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    found: dict[str, Answers] = defaultdict(Answers)
    for record in benchmarks:
        info = record["extra_info"]
        for figure in info.get("figures", ()):
            answers = found[figure["question"]]
            answers.goal = answers.goal or figure["goal"]
            answers.lines[figure["engine"]] = Line(figure["value"], unit=info["unit"])
        if "figures" in info:
            continue
        seconds = sorted(value / info["per_call"] for value in record["stats"]["data"])
        p99 = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
        turns[info["question"]][info["engine"]].append((statistics.median(seconds), p99))
        found[info["question"]].goal = info["goal"]
    for question, engines in turns.items():
        for name, runs in engines.items():
            medians, p99s = zip(*runs, strict=True)
            found[question].lines[name] = Line(statistics.median(medians), statistics.median(p99s))
    return dict(sorted(found.items(), key=lambda item: _place(item[0])))


def _place(question: str) -> tuple[str, int]:
    """By letter and number; what has none is last."""
    named = re.match(r"([A-Z])(\d+) ", question)
    return (named[1], int(named[2])) if named else ("~", 0)


def table(found: dict[str, Answers]) -> str:
    """One line a question and contender."""
    lines = [
        "| question | contender | median | p99 | a second | ratio | to reach |",
        "| --- | --- | --: | --: | --: | --: | --- |",
    ]
    for question, answers in found.items():
        # Where nobody is called kalamdb both are, and the first is what the question is about.
        ours = answers.lines.get("kalamdb") or next(iter(answers.lines.values()))
        for name, line in answers.lines.items():
            if line.unit == "bytes":
                value, p99, rate = size(line.value), "", ""
            else:
                value = duration(line.value)
                p99 = "" if line.p99 is None else duration(line.p99)
                rate = "" if line.p99 is None else f"{1 / line.value:,.0f}"
            ratio = line.value / ours.value
            lines.append(
                f"| {question if line is ours else ''} | {name} | {value} | {p99} | {rate} "
                f"| {'' if line is ours else f'{ratio:.2f} ×'} | {answers.goal if line is ours else ''} |"
            )
    return "\n".join(lines) + "\n"


def plots(found: dict[str, Answers]) -> str:
    """Images of what is asked at several sizes, beside the document, and the lines that show them; without
    matplotlib there are none."""
    try:
        import matplotlib as mpl
    except ImportError:
        return ""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "kalamdb"
    from matplotlib import pyplot

    shown = []
    for file, pattern, what, along in PLOTS:
        curves: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for question, answers in found.items():
            if match := re.fullmatch(pattern, question):
                ours = answers.lines["kalamdb"]
                value = ours.value / 2**20 if ours.unit == "bytes" else 1 / ours.value
                curves[match["curve"]].append((int(match["size"].replace(",", "")), value))
        if not curves:
            continue
        figure, axes = pyplot.subplots(figsize=(6, 3.5))
        for name, points in curves.items():
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
        axes.set(xscale="log", ylim=0, xlabel=along, ylabel=what)
        axes.legend()
        PICTURES.mkdir(exist_ok=True)
        figure.savefig(PICTURES / file, metadata={"Date": None}, bbox_inches="tight")
        pyplot.close(figure)
        shown.append(f"![{what}, by {along}]({PICTURES.name}/{file})\n")
    return "".join(f"\n{line}" for line in shown)


def size(count: float) -> str:
    """Bytes, with three digits and a unit that suits."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} B"


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
