"""How long does it take to write everybody's recent rows to hot segments, and to the cold tier?

10,000 users with 30 rows each. Beside the checkpoint, one synced Parquet file of all rows; beside the flush, 10,000
synced Parquet files of 30 rows, written by pyarrow. Each call begins with a database that was loaded anew, untimed.
What a kalamdb has no way to yet is not asked. (P15)
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.compare.engines import kalamdb_users
from bench.compare.parquet import write_synced
from bench.messages import Row, arrow_of, message
from bench.race import FULL, Contender, Operation, Paddock, Prepared, Question, take_turn, turns
from bench.tiers import MEMORY

USERS = 10_000 if FULL else 500
MESSAGES = 30


def rows() -> Iterator[tuple[int, Row]]:
    """(user, message): everybody writes by turns."""
    return ((number % USERS, message(number)) for number in range(USERS * MESSAGES))


def kalamdb_writes(method: str) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with contextlib.ExitStack() as stack:
            held: list[kalamdb.Database] = []
            places = (directory / str(number) for number in itertools.count())

            def prepare() -> None:
                stack.close()
                held.clear()
                # What was written before stays: files are made slowly where others were removed lately.
                place = next(places)
                place.mkdir()
                sessions = stack.enter_context(kalamdb_users(place, rows(), **MEMORY.settings))
                held.append(sessions[0]._database)

            yield Prepared(prepare, lambda: getattr(held[0], method)())

    return opened


@contextlib.contextmanager
def one_file(directory: Path) -> Iterator[Operation]:
    table = arrow_of(row for _, row in rows())
    yield lambda: write_synced(table, directory)


@contextlib.contextmanager
def file_per_user(directory: Path) -> Iterator[Operation]:
    tables = [
        arrow_of([message(number) for number in range(user, USERS * MESSAGES, USERS)])
        for user in range(USERS)
    ]

    def write() -> None:
        for user, table in enumerate(tables):
            write_synced(table, directory, f"{user}.parquet")

    yield write


def questions() -> Iterator[Question]:
    if hasattr(kalamdb.Database, "checkpoint"):
        yield Question(
            f"P15 checkpoint, {USERS:,} users × {MESSAGES} rows",
            {"kalamdb": kalamdb_writes("checkpoint"), "one parquet file": one_file},
            "≥ 0.5 × one file",
            5,
        )
    if hasattr(kalamdb.Database, "flush"):
        yield Question(
            f"P15 flush, {USERS:,} users × {MESSAGES} rows",
            {"kalamdb": kalamdb_writes("flush"), "a parquet file per user": file_per_user},
            "≥ 0.67 × a file per user",
            5,
        )


@turns(*questions())
def test_checkpoint(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
