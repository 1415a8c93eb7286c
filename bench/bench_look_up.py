"""How many rows a second does a look-up by key find, through SQL with a parameter, in a large SHARED table?

In memory, and in hot and cold segments whose blocks are all in the cache, which settings make as large as SQLite's.
LMDB answers bytes, which struct unpacks here. (P5)
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_engine, lmdb_engine, sqlite_engine
from bench.messages import unpacked
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns
from bench.tiers import MEMORY, TIERS, Tier

RESIDENT = {**MEMORY.settings, "hot_cache_bytes": 1 << 30, "cache_bytes": 1 << 30}
SIZES = (100_000, 1_000_000)
ROUNDS = 20_000 if FULL else 2_000
SELECT = "SELECT * FROM messages WHERE id = ?"


def kalamdb_look_up(rows: int, tier: Tier) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb_engine(directory, "normal", rows, **RESIDENT) as session:
            tier.settle(session._database)
            for number in range(0, rows, 100):  # into the cache
                session.execute(SELECT, [number]).fetchone()
            statement, draw = session.prepare(SELECT), random.Random(5).randrange
            yield lambda: statement.execute([draw(rows)]).fetchone()

    return opened


def sqlite_look_up(rows: int) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with sqlite_engine(directory, "NORMAL", rows) as connection:
            connection.execute("SELECT sum(length(content)) FROM messages").fetchone()  # into the cache
            draw = random.Random(5).randrange
            yield lambda: connection.execute(SELECT, (draw(rows),)).fetchone()

    return opened


def lmdb_look_up(rows: int) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with lmdb_engine(directory, rows) as environment:
            draw = random.Random(5).randrange

            def get() -> object:
                with environment.begin() as transaction:
                    return unpacked(transaction.get(struct.pack(">Q", draw(rows))))

            yield get

    return opened


@turns(
    *(
        Question(
            f"P5 look-up by key, {tier.name}, {rows:,} rows",
            {
                "kalamdb": kalamdb_look_up(rows, tier),
                "sqlite": sqlite_look_up(rows),
                "lmdb": lmdb_look_up(rows),
            },
            "≥ 0.3 × sqlite" if tier.name == "cold" else "≥ 3 × sqlite",
            ROUNDS,
        )
        for rows in SIZES
        for tier in TIERS
    )
)
def test_look_up(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
