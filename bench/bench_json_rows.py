"""How long does it take to write rows as JSON?

The rows of a query that was answered, as arrays and as objects, beside orjson over the same rows as Python values
(P18, in process). And a look-up by key from the statement to its JSON, beside the look-up alone (the part of P17 that
is not the server's).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.compare.engines import kalamdb_engine
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns

ROWS = 100_000
ROUNDS = 30 if FULL else 10
LOOK_UPS = 10_000 if FULL else 1_000
SCAN = "SELECT * FROM messages"
LOOK_UP = "SELECT * FROM messages WHERE id = ?"


def kalamdb_json(*, objects: bool) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb_engine(directory, "normal", ROWS) as session:
            result = session.execute(SCAN)
            # Piece by piece, as a server sends them on.
            yield lambda: sum(map(len, result.json_rows(objects=objects)))

    return opened


@contextlib.contextmanager
def orjson_over_pylist(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "normal", ROWS) as session:
        table = session.execute(SCAN).arrow()
        yield lambda: orjson.dumps(table.to_pylist())


@contextlib.contextmanager
def look_up_as_json(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "normal", ROWS) as session:
        statement = session.prepare(LOOK_UP)
        yield lambda: b"".join(statement.execute([ROWS // 2]).json_rows())


@contextlib.contextmanager
def look_up_alone(directory: Path) -> Iterator[Operation]:
    with kalamdb_engine(directory, "normal", ROWS) as session:
        statement = session.prepare(LOOK_UP)
        yield lambda: statement.execute([ROWS // 2]).fetchall()


@turns(
    Question(
        f"P18 {ROWS:,} rows as JSON",
        {
            "kalamdb": kalamdb_json(objects=False),
            "kalamdb, objects": kalamdb_json(objects=True),
            "orjson over to_pylist": orjson_over_pylist,
        },
        "≤ 0.1 × orjson over to_pylist",
        ROUNDS,
        per_call=ROWS,
    ),
    Question(
        "P17 look-up by key as JSON, without a server",
        {"kalamdb": look_up_as_json, "kalamdb, no JSON": look_up_alone},
        "≤ 2 µs more than kalamdb, no JSON",
        LOOK_UPS,
        iterations=100,
    ),
)
def test_json_rows(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
