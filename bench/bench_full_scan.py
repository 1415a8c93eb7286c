"""How long does it take to read a whole table into Arrow, and to group it?

A SHARED table of a million rows, in each tier; and of cold rows with a tenth that is hot, or with one of a hundred
changed since. Beside what is in memory or in hot segments, DuckDB's own table; beside
what is cold, DataFusion on one Parquet file of the same rows. The grouping has a thousand groups. (P9, P10)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.engines import duckdb_engine, kalamdb_engine
from bench.compare.parquet import write_synced
from bench.messages import arrow_table
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns
from bench.tiers import MEMORY, TIERS, Tier

ROWS = 1_000_000 if FULL else 100_000
ROUNDS = 30 if FULL else 10
SCAN = "SELECT * FROM messages"
TENTH_HOT, CHANGED = "cold with 10 % hot", "cold with 1 % updated"
GROUP = "SELECT sender, COUNT(*), MAX(created_at) FROM messages GROUP BY sender"


def kalamdb_query(tier: Tier, query: str) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        in_memory = tier is MEMORY
        with kalamdb_engine(directory, "normal", ROWS if in_memory else 0, **tier.settings) as session:
            rows = arrow_table(0 if in_memory else ROWS)
            first = rows.num_rows * 9 // 10 if tier.name == TENTH_HOT else rows.num_rows
            session.insert("messages", rows.slice(0, first))
            tier.settle(session._database)
            if tier.name == TENTH_HOT:
                session.insert("messages", rows.slice(first))
            if tier.name == CHANGED:
                session.execute("UPDATE messages SET role = 'changed' WHERE id % 100 = 7")
                session._database.checkpoint()
            statement = session.prepare(query)
            yield lambda: statement.execute().arrow()

    return opened


def duckdb_query(query: str) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with duckdb_engine(directory) as connection:
            connection.register("source", arrow_table(ROWS))
            connection.execute("INSERT INTO messages SELECT * FROM source")
            connection.unregister("source")
            yield lambda: connection.execute(query).to_arrow_table()

    return opened


def datafusion_query(query: str) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        from datafusion import SessionContext

        context = SessionContext()
        context.register_parquet("messages", str(write_synced(arrow_table(ROWS), directory)))
        yield lambda: context.sql(query).to_arrow_table()

    return opened


def questions() -> Iterator[Question]:
    for tier in TIERS:
        cold = tier.name.startswith("cold")
        for name, query, goal_hot, goal_cold in (
            ("P9 full scan to Arrow", SCAN, "≤ 0.5 × duckdb", "≤ 1.1 × datafusion"),
            ("P10 GROUP BY", GROUP, "≤ 2 × duckdb", "≤ 1.1 × datafusion"),
        ):
            peer = {"datafusion": datafusion_query(query)} if cold else {"duckdb": duckdb_query(query)}
            yield Question(
                f"{name}, {ROWS:,} rows, {tier.name}",
                {"kalamdb": kalamdb_query(tier, query), **peer},
                goal_cold if cold else goal_hot,
                ROUNDS,
            )
    for number, query, mixed, goal in (
        ("P9 full scan to Arrow", SCAN, TENTH_HOT, "≤ 1.3 × datafusion"),
        ("P10 GROUP BY", GROUP, CHANGED, "≤ 1.5 × cold"),
    ):
        tier = Tier(mixed, lambda database: database.flush())
        yield Question(
            f"{number}, {ROWS:,} rows, {mixed}",
            {
                "kalamdb": kalamdb_query(tier, query),
                "datafusion": datafusion_query(query),
                "kalamdb, all cold": kalamdb_query(TIERS[-1], query),
            },
            goal,
            ROUNDS,
        )


@turns(*questions())
def test_full_scan(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
