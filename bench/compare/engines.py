"""kalamdb and its peers, opened over a directory at a stated durability."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.messages import PLACES, SQLITE_TABLE, TABLE, Row, message, packed, sqlite_row

BATCH = 10_000


@contextlib.contextmanager
def kalamdb_engine(
    directory: Path, durability: str, rows: int = 0, **settings: object
) -> Iterator[kalamdb.Session]:
    """A session on a SHARED table with the first `rows` messages; `durability` as the setting, full or normal."""
    with kalamdb.open(directory / "kalamdb", durability=durability, **settings) as db:
        db.execute(TABLE)
        session = db.session("root", role="system")
        for start in range(0, rows, BATCH):
            session.executemany(
                f"INSERT INTO messages VALUES {PLACES}",
                [message(number) for number in range(start, min(start + BATCH, rows))],
            )
        yield session


@contextlib.contextmanager
def kalamdb_users(
    directory: Path,
    rows: Iterable[tuple[int, Row]],
    durability: str = "normal",
    halt: tuple[int, Callable[[kalamdb.Database], object]] | None = None,
    **settings: object,
) -> Iterator[list[kalamdb.Session]]:
    """A session for each user on a USER table, whose rows came in the order given, one a statement and not yet
    durable one by one; from then on with `durability`. `halt`: after so many rows, what is done with the database."""
    with kalamdb.open(directory / "kalamdb", durability=durability, **settings) as db:
        db.execute(TABLE.replace("CREATE TABLE", "CREATE USER TABLE"))
        sessions: list[kalamdb.Session] = []
        inserts: list[kalamdb.Statement] = []
        for number, (user, row) in enumerate(rows):
            if halt is not None and number == halt[0]:
                halt[1](db)
            while user >= len(sessions):
                sessions.append(db.session(f"user{len(sessions)}", role="user", durability="normal"))
                inserts.append(sessions[-1].prepare(f"INSERT INTO messages VALUES {PLACES}"))
            inserts[user].execute(row)
        for session in sessions:
            session.durability = durability
        yield sessions


@contextlib.contextmanager
def sqlite_engine(
    directory: Path, durability: str, rows: int | Iterable[Row] = 0
) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit and WAL mode, with all of the table in its cache: these rows, or the first so many
    messages."""
    connection = sqlite3.connect(directory / "sqlite.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durability}")
    connection.execute("PRAGMA cache_size = -1000000")
    connection.execute(SQLITE_TABLE)
    connection.execute("BEGIN")
    given = map(message, range(rows)) if isinstance(rows, int) else rows
    connection.executemany(f"INSERT INTO messages VALUES {PLACES}", map(sqlite_row, given))
    connection.execute("COMMIT")
    with contextlib.closing(connection):
        yield connection


@contextlib.contextmanager
def sqlite_users(directory: Path, rows: Iterable[tuple[int, Row]]) -> Iterator[sqlite3.Connection]:
    """One table for all users, with an index on the user."""
    with sqlite_engine(directory, "NORMAL") as connection:
        connection.execute("ALTER TABLE messages ADD COLUMN user_id INTEGER")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((*sqlite_row(row), user) for user, row in rows),
        )
        connection.execute("CREATE INDEX of_user ON messages (user_id)")
        connection.execute("COMMIT")
        yield connection


@contextlib.contextmanager
def rocksdb_engine(directory: Path) -> Iterator[Any]:
    """RocksDB over bytes, its log written to the file system with every put and not synced."""
    from rocksdict import Options, Rdict

    options = Options(raw_mode=True)
    options.create_if_missing(True)
    database = Rdict(str(directory / "rocksdb"), options)
    with contextlib.closing(database):
        yield database


@contextlib.contextmanager
def lmdb_engine(directory: Path, rows: int) -> Iterator[Any]:
    """An LMDB environment over bytes with the first `rows` messages."""
    import lmdb

    environment = lmdb.open(str(directory / "lmdb"), map_size=4 << 30, writemap=True, sync=False)
    with contextlib.closing(environment):
        with environment.begin(write=True) as transaction:
            for number in range(rows):
                transaction.put(*packed(message(number)), append=True)
        yield environment


@contextlib.contextmanager
def lmdb_clustered(directory: Path, rows: Iterable[Row]) -> Iterator[Any]:
    """The same with these rows, in the order of conversation and id."""
    import lmdb

    environment = lmdb.open(str(directory / "lmdb"), map_size=4 << 30, writemap=True, sync=False)
    with contextlib.closing(environment):
        with environment.begin(write=True) as transaction:
            for row in rows:
                transaction.put(struct.pack(">QQ", row[1], row[0]), packed(row)[1])
        yield environment


@contextlib.contextmanager
def duckdb_engine(directory: Path) -> Iterator[Any]:
    """A DuckDB file with the empty table."""
    import duckdb

    with contextlib.closing(duckdb.connect(str(directory / "duckdb.db"))) as connection:
        connection.execute(TABLE.replace("TIMESTAMP", "TIMESTAMPTZ"))
        yield connection


@contextlib.contextmanager
def leveldb_engine(directory: Path) -> Iterator[Any]:
    """LevelDB over bytes; whether a put is synced is said with each."""
    import plyvel

    database = plyvel.DB(str(directory / "leveldb"), create_if_missing=True)
    with contextlib.closing(database):
        yield database
