"""What people do today, a SQLite file per user, beside one kalamdb: inserts, a user's rows, a count, a new column.

Durable inserts are spread over all users by eight threads. A user's 100 rows are read by a handle that is open, and by
one that is opened for it. (P21)
"""

from __future__ import annotations

import contextlib
import itertools
import random
import resource
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kalamdb
from bench.bench_users import MESSAGES, rows
from bench.compare.engines import kalamdb_users
from bench.messages import PLACES, SQLITE_TABLE, message, sqlite_row
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns
from bench.threads import ROWS_A_THREAD, THREADS, by_threads


def users_with_files(wanted: int) -> int:
    """As many users as files can be open for: a database in WAL mode has three, and five contenders have their own."""
    a_user, others = 3 * 5, 1_000
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted * a_user + others
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, max(needed, most)))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return (most - others) // a_user


USERS = users_with_files(10_000 if FULL else 200)
ROUNDS = 1_000 if FULL else 200
INSERT = f"INSERT INTO messages VALUES {PLACES}"
# Of the rows that are loaded beforehand, every user has so many.
FIRST_NEW = USERS * MESSAGES


def kalamdb_asked(ask: Callable[[list[kalamdb.Session]], Operation], durability: str = "full") -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb_users(directory, rows(USERS), durability=durability) as sessions:
            yield ask(sessions)

    return opened


def sqlite_file(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def sqlite_asked(ask: Callable[[list[sqlite3.Connection], Path], Operation]) -> Contender:
    """All handles open."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with contextlib.ExitStack() as stack:
            connections = []
            for user in range(USERS):
                connection = stack.enter_context(contextlib.closing(sqlite_file(directory / f"{user}.db")))
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(SQLITE_TABLE)
                connection.execute("BEGIN")
                first = user * MESSAGES
                connection.executemany(
                    INSERT, (sqlite_row(message(number)) for number in range(first, first + MESSAGES))
                )
                connection.execute("COMMIT")
                connection.execute("PRAGMA synchronous = FULL")
                connections.append(connection)
            yield ask(connections, directory)

    return opened


@contextlib.contextmanager
def kalamdb_inserts(directory: Path) -> Iterator[Operation]:
    with (
        kalamdb_users(directory, rows(USERS), durability="full") as sessions,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        statements = [session.prepare(INSERT) for session in sessions]
        yield by_threads(lambda number: statements[number % USERS].execute(message(FIRST_NEW + number)), pool)


@contextlib.contextmanager
def sqlite_inserts(directory: Path) -> Iterator[Operation]:
    with ThreadPoolExecutor(THREADS) as pool:

        def ask(connections: list[sqlite3.Connection], _: Path) -> Operation:
            return by_threads(
                lambda number: connections[number % USERS].execute(
                    INSERT, sqlite_row(message(FIRST_NEW + number))
                ),
                pool,
            )

        with sqlite_asked(ask)(directory) as operation:
            yield operation


def kalamdb_rows(sessions: list[kalamdb.Session]) -> Operation:
    statements, draw = [session.prepare("SELECT * FROM messages") for session in sessions], random.Random(21)
    return lambda: statements[draw.randrange(USERS)].execute().fetchall()


def sqlite_rows(connections: list[sqlite3.Connection], _: Path) -> Operation:
    draw = random.Random(21)
    return lambda: connections[draw.randrange(USERS)].execute("SELECT * FROM messages").fetchall()


def sqlite_rows_opening(connections: list[sqlite3.Connection], directory: Path) -> Operation:
    draw = random.Random(21)

    def read() -> list[Any]:
        with contextlib.closing(sqlite_file(directory / f"{draw.randrange(USERS)}.db")) as connection:
            return connection.execute("SELECT * FROM messages").fetchall()

    return read


def kalamdb_count(sessions: list[kalamdb.Session]) -> Operation:
    root = sessions[0]._database.session("root", role="system")
    return lambda: root.execute("SELECT COUNT(*) FROM all_users.default.messages").fetchall()


def sqlite_count(connections: list[sqlite3.Connection], _: Path) -> Operation:
    return lambda: sum(one.execute("SELECT COUNT(*) FROM messages").fetchone()[0] for one in connections)


def kalamdb_column(sessions: list[kalamdb.Session]) -> Operation:
    root, names = sessions[0]._database.session("root", role="system"), itertools.count()
    return lambda: root.execute(f"ALTER TABLE messages ADD COLUMN c{next(names)} BIGINT")


def sqlite_column(connections: list[sqlite3.Connection], _: Path) -> Operation:
    names = itertools.count()

    def alter() -> None:
        name = f"c{next(names)}"
        for connection in connections:
            connection.execute(f"ALTER TABLE messages ADD COLUMN {name} INTEGER")

    return alter


@turns(
    Question(
        f"P21 durable inserts over {USERS:,} users, {THREADS} threads",
        {"kalamdb": kalamdb_inserts, "sqlite files": sqlite_inserts},
        "≥ 4 × the open handles",
        10,
        per_call=THREADS * ROWS_A_THREAD,
    ),
    Question(
        f"P21 one user's {MESSAGES} rows",
        {
            "kalamdb": kalamdb_asked(kalamdb_rows),
            "sqlite file, open": sqlite_asked(sqlite_rows),
            "sqlite file, opened for it": sqlite_asked(sqlite_rows_opening),
        },
        "≥ 1 × the open handle",
        ROUNDS,
    ),
    Question(
        f"P21 count over {USERS:,} users",
        {"kalamdb": kalamdb_asked(kalamdb_count), "sqlite files": sqlite_asked(sqlite_count)},
        "≥ 20 × the open handles",
        20,
    ),
    Question(
        f"P21 a new column for {USERS:,} users",
        {"kalamdb": kalamdb_asked(kalamdb_column), "sqlite files": sqlite_asked(sqlite_column)},
        "one statement, ≤ 20 ms",
        5,
    ),
)
def test_file_per_user(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
