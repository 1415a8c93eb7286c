"""How many times a second are a user's last 50 messages of one conversation read, newest first?

Every user has ten conversations of a hundred messages, all in a USER table. Users write at the same time and in all
of their conversations by turns, so that what is read together was not written together. SQLite has an index on
conversation and id, and all of the table in its cache; LMDB has the rows in the order they are asked for, and struct
unpacks them here. Ordered by the key; and by the time, for which SQLite gets another index, while kalamdb looks at
every message of the user. In memory; in hot segments; and with the older 25 of the 50 in the cold tier. (P6)
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_users, lmdb_clustered, sqlite_engine
from bench.messages import unpacked, users_message
from bench.race import FULL, Operation, Paddock, Question, take_turn, turns
from bench.tiers import MEMORY

USERS = 1_000 if FULL else 100
CONVERSATIONS = 10
MESSAGES = 100
ROWS = USERS * CONVERSATIONS * MESSAGES
ROUNDS = 5_000 if FULL else 1_000
LAST = 50
COLD_ROWS = ROWS * (MESSAGES - LAST // 2) // MESSAGES


def rows() -> Iterator[tuple[int, Any]]:
    """(user, message) in the order they come in."""
    for number in range(ROWS):
        user = number % USERS
        conversation = user * CONVERSATIONS + number // USERS % CONVERSATIONS
        yield user, users_message(number, conversation)


def kalamdb_last(order: str, tier: str) -> Any:
    select = f"SELECT * FROM messages WHERE conversation_id = ? ORDER BY {order} DESC LIMIT {LAST}"

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with kalamdb_users(directory, rows(), **MEMORY.settings, halt=halt(tier)) as sessions:
            if tier == "hot segments":
                sessions[0]._database.checkpoint()
            statements = [session.prepare(select) for session in sessions]
            draw = random.Random(6).randrange

            def last() -> list[Any]:
                conversation = draw(USERS * CONVERSATIONS)
                return statements[conversation // CONVERSATIONS].execute((conversation,)).fetchall()

            assert len(last()) == LAST
            yield last

    return opened


def halt(tier: str) -> Any:
    """Moves all but the last 25 messages of each conversation to the cold tier while rows come in."""
    return (COLD_ROWS, lambda database: database.flush()) if tier == "25 cold" else None


def sqlite_last(order: str) -> Any:
    select = f"SELECT * FROM messages WHERE conversation_id = ? ORDER BY {order} DESC LIMIT {LAST}"

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with sqlite_engine(directory, "NORMAL", (row for _, row in rows())) as connection:
            connection.execute(f"CREATE INDEX of_conversation ON messages (conversation_id, {order})")
            connection.execute("SELECT sum(length(content)) FROM messages").fetchone()  # into the cache
            draw = random.Random(6).randrange

            def last() -> list[Any]:
                return connection.execute(select, (draw(USERS * CONVERSATIONS),)).fetchall()

            assert len(last()) == LAST
            yield last

    return opened


@contextlib.contextmanager
def lmdb_last(directory: Path) -> Iterator[Operation]:
    with lmdb_clustered(directory, (row for _, row in rows())) as environment:
        draw = random.Random(6).randrange

        def last() -> list[Any]:
            conversation = draw(USERS * CONVERSATIONS)
            found: list[Any] = []
            with environment.begin() as transaction, transaction.cursor() as cursor:
                # The first key beyond the conversation, then back.
                more = cursor.set_range(struct.pack(">QQ", conversation + 1, 0))
                more = cursor.prev() if more else cursor.last()
                while more and len(found) < LAST:
                    found.append(unpacked(cursor.value()))
                    more = cursor.prev()
            return found

        assert len(last()) == LAST
        assert len({row[1] for row in last()}) == 1
        yield last


def questions() -> Iterator[Question]:
    for tier, goal in (
        ("in memory", "≥ 1.8 × sqlite"),
        ("hot segments", "≥ 1.8 × sqlite"),
        ("25 cold", "≥ 0.5 × sqlite"),
    ):
        yield Question(
            f"P6 last {LAST} of a conversation, {tier}, {ROWS:,} rows, by key",
            {"kalamdb": kalamdb_last("id", tier), "sqlite": sqlite_last("id"), "lmdb, clustered": lmdb_last},
            goal,
            ROUNDS,
        )
    yield Question(
        f"P6 last {LAST} of a conversation, in memory, {ROWS:,} rows, by time",
        {"kalamdb": kalamdb_last("created_at", "in memory"), "sqlite": sqlite_last("created_at")},
        "none: SQLite has an index on it",
        ROUNDS,
    )


@turns(*questions())
def test_last_rows(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
