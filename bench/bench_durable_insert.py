"""How many rows a second can be inserted durably, each one a statement that is acknowledged once it is on the disk?

From one thread, beside SQLite's synchronous=FULL and beside the floor: the same bytes appended to a file that was
written before, and fdatasync (P1). From eight threads, whose commits may share a sync, beside LevelDB with sync=True
and SQLite with a connection for each thread (P2).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_engine, leveldb_engine, sqlite_engine
from bench.messages import PLACES, message, packed, sqlite_row
from bench.race import FULL, Operation, Paddock, Question, take_turn, turns
from bench.threads import ROWS_A_THREAD, THREADS, by_threads

INSERT = f"INSERT INTO messages VALUES {PLACES}"
ROUNDS = 5_000 if FULL else 500
FLOOR_BYTES = 64 << 20


@contextlib.contextmanager
def kalamdb_one(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "full") as session:
        numbers, statement = itertools.count(), session.prepare(INSERT)
        yield lambda: statement.execute(message(next(numbers)))


@contextlib.contextmanager
def sqlite_one(directory: Path) -> Iterator[Operation]:
    with sqlite_engine(directory, "FULL") as connection:
        numbers = itertools.count()
        yield lambda: connection.execute(INSERT, sqlite_row(message(next(numbers))))


@contextlib.contextmanager
def floor_one(directory: Path) -> Iterator[Operation]:
    file = os.open(directory / "floor", os.O_RDWR | os.O_CREAT)
    for _ in range(FLOOR_BYTES >> 16):
        os.write(file, bytes(1 << 16))
    os.fsync(file)
    numbers, place = itertools.count(), 0

    def append() -> None:
        nonlocal place
        record = b"".join(packed(message(next(numbers)))) + bytes(32)
        if place + len(record) > FLOOR_BYTES:
            place = 0
        os.pwrite(file, record, place)
        os.fdatasync(file)
        place += len(record)

    try:
        yield append
    finally:
        os.close(file)


@contextlib.contextmanager
def kalamdb_threads(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "full") as session, ThreadPoolExecutor(THREADS) as pool:
        statement = session.prepare(INSERT)
        yield by_threads(lambda number: statement.execute(message(number)), pool)


@contextlib.contextmanager
def leveldb_threads(directory: Path) -> Iterator[Operation]:
    with leveldb_engine(directory) as database, ThreadPoolExecutor(THREADS) as pool:
        yield by_threads(lambda number: database.put(*packed(message(number)), sync=True), pool)


@contextlib.contextmanager
def sqlite_threads(directory: Path) -> Iterator[Operation]:
    with sqlite_engine(directory, "FULL"), contextlib.ExitStack() as connections:
        free: list[sqlite3.Connection] = []
        for _ in range(THREADS):
            connection = sqlite3.connect(
                directory / "sqlite.db", isolation_level=None, timeout=60, check_same_thread=False
            )
            connection.execute("PRAGMA synchronous = FULL")
            free.append(connections.enter_context(contextlib.closing(connection)))

        def insert(number: int) -> None:
            connection = free.pop()
            try:
                connection.execute(INSERT, sqlite_row(message(number)))
            finally:
                free.append(connection)

        with ThreadPoolExecutor(THREADS) as pool:
            yield by_threads(insert, pool)


@turns(
    Question(
        "P1 durable insert, one thread",
        {"kalamdb": kalamdb_one, "sqlite": sqlite_one, "floor": floor_one},
        "≥ 1.1 × sqlite, ≥ 0.92 × floor",
        ROUNDS,
    ),
    Question(
        "P2 durable insert, 8 threads",
        {"kalamdb": kalamdb_threads, "leveldb": leveldb_threads, "sqlite": sqlite_threads},
        "≥ 1.25 × the best",
        ROUNDS // 100,
        per_call=THREADS * ROWS_A_THREAD,
    ),
)
def test_durable_insert(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
