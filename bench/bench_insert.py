"""How many rows a second can one session insert, one a statement, the log written to its file and not synced?

Prepared, with parameters, and as a different literal text each time. RocksDB stores bytes, without types and without
SQL, and is packed by struct here; SQLite runs with synchronous=NORMAL. (P3)
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_engine, rocksdb_engine, sqlite_engine
from bench.messages import PLACES, message, packed, sqlite_row
from bench.race import FULL, Operation, Paddock, Question, take_turn, turns

INSERT = f"INSERT INTO messages VALUES {PLACES}"
ROUNDS = 50_000 if FULL else 5_000


@contextlib.contextmanager
def kalamdb_prepared(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "normal") as session:
        numbers, statement = itertools.count(), session.prepare(INSERT)
        yield lambda: statement.execute(message(next(numbers)))


@contextlib.contextmanager
def kalamdb_parameters(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "normal") as session:
        numbers = itertools.count()
        yield lambda: session.execute(INSERT, message(next(numbers)))


@contextlib.contextmanager
def kalamdb_literals(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "normal") as session:
        numbers = itertools.count()

        def insert() -> object:
            row = message(next(numbers))
            cells = ", ".join([*(repr(cell) for cell in row[:5]), f"'{row[5].isoformat()}'"])
            return session.execute(f"INSERT INTO messages VALUES ({cells})")

        yield insert


@contextlib.contextmanager
def rocksdb(directory: Path) -> Iterator[Operation]:
    with rocksdb_engine(directory) as database:
        numbers = itertools.count()

        def put() -> None:
            key, value = packed(message(next(numbers)))
            database[key] = value

        yield put


@contextlib.contextmanager
def sqlite_parameters(directory: Path) -> Iterator[Operation]:
    with sqlite_engine(directory, "NORMAL") as connection:
        numbers = itertools.count()
        yield lambda: connection.execute(INSERT, sqlite_row(message(next(numbers))))


@contextlib.contextmanager
def sqlite_literals(directory: Path) -> Iterator[Operation]:
    with sqlite_engine(directory, "NORMAL") as connection:
        numbers = itertools.count()

        def insert() -> object:
            cells = ", ".join(repr(cell) for cell in sqlite_row(message(next(numbers))))
            return connection.execute(f"INSERT INTO messages VALUES ({cells})")

        yield insert


@turns(
    Question(
        "P3 insert, prepared", {"kalamdb": kalamdb_prepared, "rocksdb": rocksdb}, "≥ 1 × rocksdb", ROUNDS
    ),
    Question(
        "P3 insert, parameters",
        {"kalamdb": kalamdb_parameters, "sqlite": sqlite_parameters},
        "≥ 3 × sqlite",
        ROUNDS,
    ),
    Question(
        "P3 insert, literals",
        {"kalamdb": kalamdb_literals, "sqlite": sqlite_literals},
        "≥ 1 × sqlite",
        ROUNDS,
    ),
)
def test_insert(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
