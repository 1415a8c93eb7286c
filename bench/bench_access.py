"""What does it cost to ask who may? A look-up by key in a SHARED table by the database's own handle, by a user whose
role may, by one who may by a grant, and by a user among a thousand others with grants. (A22)
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns

ROWS = 10_000
ROUNDS = 20_000 if FULL else 5_000
SELECT = "SELECT * FROM messages WHERE id = ?"


def look_up(user: str, access: str, others: int = 0) -> Contender:
    """Look-ups by this user."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb.open(directory, durability="normal") as db:
            db.execute(
                f"CREATE TABLE messages (id BIGINT PRIMARY KEY, body TEXT) ACCESS {access}; CREATE USER ann"
            )
            db.executemany("INSERT INTO messages VALUES (?, ?)", [(n, f"message {n}") for n in range(ROWS)])
            if access == "restricted":
                db.execute("GRANT SELECT ON messages TO ann")
            for number in range(others):
                db.execute(f"CREATE USER other{number}; GRANT SELECT, INSERT ON messages TO other{number}")
            session = db._root if user == "root" else db.session(user)
            statement, draw = session.prepare(SELECT), random.Random(5).randrange
            yield lambda: statement.execute([draw(ROWS)]).fetchone()

    return opened


@turns(
    Question(
        "A22 who may: look-up by key",
        {
            "kalamdb": look_up("ann", "public"),
            "own handle": look_up("root", "public"),
            "by a grant": look_up("ann", "restricted"),
            "by a grant, among 1,000": look_up("ann", "restricted", 1_000),
        },
        "≥ 0.95 × own handle",
        ROUNDS,
    )
)
def test_access(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
