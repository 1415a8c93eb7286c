"""`kalam bench`: what this machine and its disk make of the questions that matter most, beside SQLite in the same run.

A short look, each side taking turns, on files of its own that are gone afterwards. `make bench` of a checkout is the
thorough one.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from kalamdb.cli.output.look import Look
from kalamdb.cli.output.table import table_lines

USERS = 100
LAST = 50
TURNS = 5
_COLUMNS = "(id BIGINT PRIMARY KEY, conversation_id BIGINT, role TEXT, content TEXT)"
_INSERT = "INSERT INTO messages VALUES (?, ?, ?, ?)"
_CONTENT = "The quick brown fox jumps over the lazy dog, and then it does so once more. " * 2

Operation = Callable[[int], object]


@click.command()
@click.option(
    "--rows",
    type=click.IntRange(1_000, 10_000_000),
    default=100_000,
    show_default=True,
    help="Rows to look among.",
)
@click.option(
    "--calls", type=click.IntRange(10, 100_000), default=500, show_default=True, help="Calls of each turn."
)
@click.option(
    "--at",
    type=click.Path(exists=True, file_okay=False),
    help="Whose disk it is about; of temporary files, else.",
)
def bench(rows: int, calls: int, at: str | None) -> None:
    """How fast kalamdb is here, beside SQLite: durable inserts, look-ups, a user's last 50 rows."""
    with (
        tempfile.TemporaryDirectory(prefix="kalam-bench-", dir=at) as directory,
        contextlib.ExitStack() as opened,
    ):
        sides = {
            "kalamdb": opened.enter_context(_kalamdb(Path(directory) / "kalamdb", rows)),
            "SQLite": opened.enter_context(_sqlite(Path(directory) / "sqlite", rows)),
        }
        found = [
            _compared(name, {side: sides[side][name] for side in sides}, calls) for name in sides["kalamdb"]
        ]
    columns = ["", "kalamdb, µs", "SQLite, µs", "times as fast"]
    for piece in table_lines(columns, ["Text", "Double", "Double", "Double"], found, Look()):
        click.echo(piece, nl=False)


def _compared(name: str, sides: dict[str, Operation], calls: int) -> tuple[Any, ...]:
    """Medians of the turns' medians, in microseconds, and how many times as fast the first is."""
    turns: dict[str, list[float]] = {side: [] for side in sides}
    numbers = {side: itertools.count() for side in sides}
    for _ in range(TURNS):
        for side, operation in sides.items():
            took = []
            for _ in range(calls):
                number = next(numbers[side])
                started = time.perf_counter()
                operation(number)
                took.append(time.perf_counter() - started)
            turns[side].append(statistics.median(took) * 1e6)
    ours, theirs = (statistics.median(found) for found in turns.values())
    return name, round(ours, 2), round(theirs, 2), round(theirs / ours, 2)


def _message(number: int) -> tuple[int, int, str, str]:
    return number, number // USERS % 10, ("user", "assistant")[number % 2], _CONTENT


@contextlib.contextmanager
def _kalamdb(directory: Path, rows: int) -> Iterator[dict[str, Operation]]:
    import kalamdb

    with kalamdb.open(directory) as db:
        db.execute(f"CREATE SHARED TABLE messages {_COLUMNS}")
        db.execute(f"CREATE USER TABLE own {_COLUMNS}")
        db.executemany(_INSERT, [_message(number) for number in range(rows)])
        sessions = [db.session(f"user{number}") for number in range(USERS)]
        for number, session in enumerate(sessions):
            mine = [_message(one) for one in range(number, rows, USERS)]
            session.executemany("INSERT INTO own VALUES (?, ?, ?, ?)", mine)
        root = db.session("root")
        insert = root.prepare(_INSERT)
        look_up = root.prepare("SELECT * FROM messages WHERE id = ?")
        last = f"SELECT * FROM own ORDER BY id DESC LIMIT {LAST}"
        yield {
            "durable insert of a row": lambda number: insert.execute(_message(rows + number)),
            f"look-up by key in {rows:,} rows": lambda number: look_up.execute(
                [number * 7919 % rows]
            ).fetchone(),
            f"last {LAST} rows of one user of {USERS}": lambda number: (
                sessions[number % USERS].execute(last).fetchall()
            ),
        }


@contextlib.contextmanager
def _sqlite(directory: Path, rows: int) -> Iterator[dict[str, Operation]]:
    directory.mkdir()
    with contextlib.closing(sqlite3.connect(directory / "file", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = OFF")
        file.execute(f"CREATE TABLE messages {_COLUMNS}")
        file.execute("CREATE TABLE own (user_id INT, id BIGINT, conversation_id BIGINT, role TEXT, content TEXT, "
                     "PRIMARY KEY (user_id, id)) WITHOUT ROWID")  # fmt: skip
        file.execute("BEGIN")
        messages = [_message(number) for number in range(rows)]
        file.executemany(_INSERT, messages)
        file.executemany(
            "INSERT INTO own VALUES (?, ?, ?, ?, ?)", [(one[0] % USERS, *one) for one in messages]
        )
        file.execute("COMMIT")
        file.execute("PRAGMA synchronous = FULL")
        last = f"SELECT id, conversation_id, role, content FROM own WHERE user_id = ? ORDER BY id DESC LIMIT {LAST}"
        yield {
            "durable insert of a row": lambda number: file.execute(_INSERT, _message(rows + number)),
            f"look-up by key in {rows:,} rows": lambda number: file.execute(
                "SELECT * FROM messages WHERE id = ?", (number * 7919 % rows,)
            ).fetchone(),
            f"last {LAST} rows of one user of {USERS}": lambda number: file.execute(
                last, (number % USERS,)
            ).fetchall(),
        }
