"""How many times a second are one user's 100 rows read, with a hundred users, and with a hundred thousand?

A user is drawn at random, and sessions are pooled, as a server would. SQLite has one table for all with an index on the
user. In the cold tier, pyarrow reads the user's own Parquet file. The caches of hot and cold segments have room for a
quarter of the rows at every size, so that sizes differ in nothing else. (P7)
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_users, sqlite_users
from bench.compare.parquet import read_rows, write_synced
from bench.messages import Row, arrow_of, message
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns
from bench.tiers import TIERS, Tier

SIZES = (100, 10_000, 100_000) if FULL else (100, 10_000)
MESSAGES = 100
ROW_BYTES = 180
ROUNDS = 5_000 if FULL else 1_000


def rows(users: int) -> Iterator[tuple[int, Row]]:
    """(user, message), each user's one after the other."""
    return ((number // MESSAGES, message(number)) for number in range(users * MESSAGES))


def kalamdb_user(users: int, tier: Tier) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        room = users * MESSAGES * ROW_BYTES // 4
        caches = {"hot_cache_bytes": room, "cache_bytes": room}
        with kalamdb_users(directory, rows(users), **tier.settings, **caches) as sessions:
            tier.settle(sessions[0]._database)
            statements = [session.prepare("SELECT * FROM messages") for session in sessions]
            draw = random.Random(7).randrange
            assert len(statements[0].execute().fetchall()) == MESSAGES
            yield lambda: statements[draw(users)].execute().fetchall()

    return opened


def sqlite_user(users: int) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with sqlite_users(directory, rows(users)) as connection:
            draw = random.Random(7).randrange
            select = "SELECT id, conversation_id, sender, role, content, created_at FROM messages WHERE user_id = ?"
            yield lambda: connection.execute(select, (draw(users),)).fetchall()

    return opened


def parquet_user(users: int) -> Contender:
    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        paths = []
        for user in range(users):
            table = arrow_of([message(user * MESSAGES + number) for number in range(MESSAGES)])
            paths.append(write_synced(table, directory, f"{user}.parquet"))
        draw = random.Random(7).randrange
        yield lambda: read_rows(paths[draw(users)])

    return opened


def questions() -> Iterator[Question]:
    for tier in TIERS:
        for users in SIZES:
            contenders = {"kalamdb": kalamdb_user(users, tier)}
            if tier.name == "cold":
                contenders["pyarrow"] = parquet_user(users)
            else:
                contenders["sqlite"] = sqlite_user(users)
            yield Question(
                f"P7 a user's {MESSAGES} rows of {users:,} users', {tier.name}",
                contenders,
                "≥ 2 × pyarrow" if tier.name == "cold" else "≥ 1 × sqlite; ≥ 0.95 of the rate with 100 users",
                ROUNDS,
            )


@turns(*questions())
def test_users(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
