"""How many rows a second are loaded at once, durable at the end: from an Arrow table, and from tuples?

Every call begins with a new, empty database, which is made and removed untimed. Beside Arrow into DuckDB, and into a
Parquet file compressed by zstd and synced, which has no keys to keep apart; beside tuples into SQLite
(synchronous=FULL), and into RocksDB as one synced batch, packed by struct. (P4)
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.compare.engines import duckdb_engine, rocksdb_engine, sqlite_engine
from bench.compare.parquet import write_synced
from bench.messages import PLACES, TABLE, Row, arrow_table, message, packed, sqlite_row
from bench.race import FULL, Contender, Operation, Paddock, Prepared, Question, take_turn, turns

ROWS = 1_000_000 if FULL else 100_000
INSERT = f"INSERT INTO messages VALUES {PLACES}"
Opener = Callable[[Path], contextlib.AbstractContextManager[Any]]


@contextlib.contextmanager
def kalamdb_empty(directory: Path) -> Iterator[kalamdb.Database]:
    with kalamdb.open(directory / "kalamdb", durability="full") as database:
        database.execute(TABLE)
        yield database


def anew(opener: Opener, load: Callable[[Any, Any], object], make: Callable[[], Any]) -> Contender:
    """Loads what `make` gives into what `opener` opens, a new one each time."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        data = make()
        place = directory / "new"
        with contextlib.ExitStack() as stack:
            held: list[Any] = []

            def prepare() -> None:
                stack.close()
                held.clear()
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                held.append(stack.enter_context(opener(place)))

            yield Prepared(prepare, lambda: load(held[0], data))

    return opened


def arrow() -> Any:
    return arrow_table(ROWS)


def tuples() -> list[Row]:
    return [message(number) for number in range(ROWS)]


def kalamdb_arrow(database: kalamdb.Database, table: Any) -> None:
    database.session("root", role="system").insert("messages", table)


def duckdb_arrow(connection: Any, table: Any) -> None:
    connection.register("source", table)
    connection.execute("INSERT INTO messages SELECT * FROM source")
    connection.unregister("source")


def sqlite_tuples(connection: Any, rows: list[Row]) -> None:
    connection.execute("BEGIN")
    connection.executemany(INSERT, rows)
    connection.execute("COMMIT")


def rocksdb_tuples(database: Any, rows: list[Row]) -> None:
    from rocksdict import WriteBatch, WriteOptions

    batch = WriteBatch(raw_mode=True)
    for row in rows:
        batch.put(*packed(row))
    synced = WriteOptions()
    synced.sync = True
    database.write(batch, synced)


@turns(
    Question(
        f"P4 {ROWS:,} rows from Arrow",
        {
            "kalamdb": anew(kalamdb_empty, kalamdb_arrow, arrow),
            "duckdb": anew(duckdb_engine, duckdb_arrow, arrow),
            "parquet, zstd": anew(
                contextlib.nullcontext, lambda place, table: write_synced(table, place), arrow
            ),
        },
        "≥ 1.2 × duckdb",
        5,
        per_call=ROWS,
    ),
    Question(
        f"P4 {ROWS:,} rows from tuples",
        {
            "kalamdb": anew(kalamdb_empty, lambda database, rows: database.executemany(INSERT, rows), tuples),
            "sqlite": anew(
                lambda place: sqlite_engine(place, "FULL"),
                sqlite_tuples,
                lambda: [sqlite_row(row) for row in tuples()],
            ),
            "rocksdb": anew(rocksdb_engine, rocksdb_tuples, tuples),
        },
        "≥ 2 × sqlite",
        5,
        per_call=ROWS,
    ),
)
def test_bulk(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
