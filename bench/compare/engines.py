"""kalamdb and its peers, opened over a directory at a stated durability."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.messages import PLACES, SQLITE_TABLE, TABLE, message, packed, sqlite_row

BATCH = 10_000


@contextlib.contextmanager
def kalamdb_engine(directory: Path, durability: str, rows: int = 0) -> Iterator[kalamdb.Session]:
    """A session on a SHARED table with the first `rows` messages; `durability` as the setting, full or normal."""
    with kalamdb.open(directory / "kalamdb", durability=durability) as db:
        db.execute(TABLE)
        session = db.session("root", role="system")
        for start in range(0, rows, BATCH):
            session.executemany(
                f"INSERT INTO messages VALUES {PLACES}",
                [message(number) for number in range(start, min(start + BATCH, rows))],
            )
        yield session


@contextlib.contextmanager
def sqlite_engine(directory: Path, durability: str, rows: int = 0) -> Iterator[sqlite3.Connection]:
    """A connection in autocommit and WAL mode, with all of the table in its cache."""
    connection = sqlite3.connect(directory / "sqlite.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durability}")
    connection.execute("PRAGMA cache_size = -1000000")
    connection.execute(SQLITE_TABLE)
    connection.execute("BEGIN")
    connection.executemany(
        f"INSERT INTO messages VALUES {PLACES}", (sqlite_row(message(number)) for number in range(rows))
    )
    connection.execute("COMMIT")
    with contextlib.closing(connection):
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
def leveldb_engine(directory: Path) -> Iterator[Any]:
    """LevelDB over bytes; whether a put is synced is said with each."""
    import plyvel

    database = plyvel.DB(str(directory / "leveldb"), create_if_missing=True)
    with contextlib.closing(database):
        yield database
