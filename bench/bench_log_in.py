"""How long does a wrong password take for a user there is, and for one there is not? Who could tell them apart by the
time would learn who has an account. (S8)

Each user is tried once, from an address of its own, so that no back-off is measured.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kalamdb
from bench.race import TURNS, Contender, Operation, Paddock, Question, take_turn, turns
from kalamdb.errors import InvalidCredentials

TRIES = 40
USERS = (TRIES + 10) * TURNS


def tried(name: str) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb.open(directory / "data") as db:
            db.execute("ALTER USER root SET PASSWORD 'correct horse battery'")
            for number in range(USERS):
                db.execute(f"CREATE USER known{number} WITH PASSWORD 'horse battery {number}' ROLE user")
            numbers = itertools.count()

            def log_in() -> None:
                number = next(numbers)
                address = f"10.0.{number >> 8}.{number & 255}"
                with contextlib.suppress(InvalidCredentials):
                    db.front_door.log_in(f"{name}{number}", "wrong", address)

            yield log_in

    return opened


@turns(
    Question(
        "S8 a wrong password",
        {"a user there is": tried("known"), "a user there is not": tried("nobody")},
        "within 5 %",
        TRIES,
    )
)
def test_log_in(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
