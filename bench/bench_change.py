"""How many rows a second can one session change, or delete, by key, one a statement?

At both durabilities: `normal` beside SQLite's NORMAL, `full` beside its FULL. (P8)
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_engine, sqlite_engine
from bench.race import FULL, TURNS, Operation, Paddock, Question, take_turn, turns

ROUNDS = 10_000 if FULL else 1_000
# Every DELETE of every turn, those of the warm-up too, finds a row.
ROWS = 1_000_000 if FULL else (ROUNDS + 10) * TURNS
UPDATE = "UPDATE messages SET content = ? WHERE id = ?"
DELETE = "DELETE FROM messages WHERE id = ?"


def _keys() -> Iterator[int]:
    return iter(random.Random(8).sample(range(ROWS), ROWS))


@contextlib.contextmanager
def kalamdb_update(durability: str, directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, durability, ROWS) as session:
        statement, draw, edits = session.prepare(UPDATE), random.Random(8).randrange, itertools.count()
        yield lambda: statement.execute([f"edited {next(edits)} " + "x" * 80, draw(ROWS)])


@contextlib.contextmanager
def sqlite_update(durability: str, directory: Path) -> Iterator[Operation]:
    with sqlite_engine(directory, durability, ROWS) as connection:
        draw, edits = random.Random(8).randrange, itertools.count()
        yield lambda: connection.execute(UPDATE, (f"edited {next(edits)} " + "x" * 80, draw(ROWS)))


@contextlib.contextmanager
def kalamdb_delete(durability: str, directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, durability, ROWS) as session:
        statement, keys = session.prepare(DELETE), _keys()
        yield lambda: statement.execute([next(keys)])


@contextlib.contextmanager
def sqlite_delete(durability: str, directory: Path) -> Iterator[Operation]:
    with sqlite_engine(directory, durability, ROWS) as connection:
        keys = _keys()
        yield lambda: connection.execute(DELETE, (next(keys),))


@turns(
    Question(
        "P8 update by key, normal",
        {"kalamdb": partial(kalamdb_update, "normal"), "sqlite": partial(sqlite_update, "NORMAL")},
        "≥ 2 × sqlite",
        ROUNDS,
    ),
    Question(
        "P8 delete by key, normal",
        {"kalamdb": partial(kalamdb_delete, "normal"), "sqlite": partial(sqlite_delete, "NORMAL")},
        "≥ 3 × sqlite",
        ROUNDS,
    ),
    Question(
        "P8 update by key, full",
        {"kalamdb": partial(kalamdb_update, "full"), "sqlite": partial(sqlite_update, "FULL")},
        "≥ 1.1 × sqlite",
        ROUNDS,
    ),
    Question(
        "P8 delete by key, full",
        {"kalamdb": partial(kalamdb_delete, "full"), "sqlite": partial(sqlite_delete, "FULL")},
        "≥ 1.1 × sqlite",
        ROUNDS,
    ),
)
def test_change(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
