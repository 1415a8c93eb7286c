"""What does an identifier cost, one at a time from Python, and in an array of many?

Text UUIDv7 beside uuid_utils, ULID beside fast_ulid (monotonic, as ours), Snowflake beside the generator with a lock
that a careful user would write in Python. (P11)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns

ONE = 1_000
MANY = 1_000_000 if FULL else 100_000
ROUNDS = 200 if FULL else 50


def contender(make: Callable[[], Operation]) -> Contender:
    """One that needs no directory; made when its first turn comes, so that a missing peer fails alone."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        yield make()

    return opened


def kalamdb_one(name: str) -> Operation:
    import kalamdb.ids

    return getattr(kalamdb.ids, name)


def kalamdb_many(name: str) -> Operation:
    generate = kalamdb_one(name)
    return lambda: generate(MANY)


def uuid_utils_text() -> Operation:
    import uuid_utils

    return lambda: str(uuid_utils.uuid7())


def fast_ulid_text() -> Operation:
    import fast_ulid

    return fast_ulid.ulid


def python_snowflake() -> Operation:
    lock, last, sequence = threading.Lock(), 0, 0

    def one() -> int:
        nonlocal last, sequence
        with lock:
            now = time.time_ns() // 1_000_000
            if now > last:
                last, sequence = now, 0
            else:
                sequence += 1
                if sequence == 4096:
                    last, sequence = last + 1, 0
            return (last - 1_704_067_200_000) << 22 | sequence

    return one


def in_a_list(one: Callable[[], Operation]) -> Callable[[], Operation]:
    def make() -> Operation:
        generate = one()
        return lambda: [generate() for _ in range(MANY)]

    return make


def questions() -> Iterator[Question]:
    peers = {
        "uuid7": ("UUIDv7 as text", "uuid_utils", uuid_utils_text, "≤ 150 ns", "≤ 25 ns"),
        "ulid": ("ULID", "fast_ulid", fast_ulid_text, "≤ 120 ns", "≤ 25 ns"),
        "snowflake_id": ("Snowflake", "python", python_snowflake, "≤ 75 ns", "≤ 10 ns"),
    }
    for name, (title, peer, one, goal_one, goal_many) in peers.items():
        yield Question(
            f"P11 {title}, one at a time",
            {"kalamdb": contender(lambda name=name: kalamdb_one(name)), peer: contender(one)},
            goal_one,
            ROUNDS,
            iterations=ONE,
        )
        yield Question(
            f"P11 {title}, {MANY:,} at once",
            {"kalamdb": contender(lambda name=name: kalamdb_many(name)), peer: contender(in_a_list(one))},
            goal_many,
            3,
            per_call=MANY,
        )


@turns(*questions())
def test_identifiers(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
