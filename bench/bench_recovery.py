"""How long until a database is open that was closed well, and one whose process was killed with a full log?

Its size is given in rows of messages, and for the crash in bytes of log. A killed process leaves its files as they are:
they are copied from under an open database. (P14)
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.compare.engines import kalamdb_engine
from bench.race import FULL, Contender, Operation, Paddock, Prepared, Question, take_turn, turns

SIZES = (1_000, 1_000_000) if FULL else (1_000, 100_000)
LOG_MIB = 64 if FULL else 16
# What a message takes in the log when it is written with others.
LOG_BYTES_PER_ROW = 170


def opens(image: Path, directory: Path) -> Prepared:
    """Opens a copy of `image`, a new one each time."""
    place = directory / "opened"
    held: list[kalamdb.Database] = []

    def prepare() -> None:
        while held:
            held.pop().close()
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(image, place)

    def run() -> None:
        held.append(kalamdb.open(place))

    return Prepared(prepare, run)


def closed_well(rows: int) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb_engine(directory, "normal", rows):
            pass
        yield opens(directory / "kalamdb", directory)

    return opened


def killed(log_mib: int) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        rows = (log_mib << 20) // LOG_BYTES_PER_ROW
        with kalamdb_engine(directory, "full", rows, memtable_bytes=16 << 30):
            shutil.copytree(directory / "kalamdb", directory / "image")
        yield opens(directory / "image", directory)

    return opened


@turns(
    *(
        Question(f"P14 open, closed well, {rows:,} rows", {"kalamdb": closed_well(rows)}, "≤ 50 ms", 10)
        for rows in SIZES
    ),
    Question(
        f"P14 open after a crash, {LOG_MIB} MiB of log",
        {"kalamdb": killed(LOG_MIB)},
        f"≤ {LOG_MIB / 64:.2g} s",
        5,
    ),
)
def test_recovery(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
