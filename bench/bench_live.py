"""How long until whoever listens knows of a row that was inserted over HTTP, how many can be told a second, and what do
listeners cost those who write, and those who run the server?

Beside the same ASGI stack that does nothing: it echoes a message, or sends one that is always the same to all who are
connected. Servers are processes of their own on loopback; the client is this one, on the same cores. (P19)
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.http_stack import answer
from bench.live_stack import Listeners, live_server
from bench.race import FULL, Contender, Operation, Paddock, Prepared, Question, note, take_turn, turns

MANY = 1_000 if FULL else 200
SQUARE = 100 if FULL else 30
USERS = 10_000 if FULL else 300
ROUNDS = 2_000 if FULL else 200


def receipt(kind: str) -> Contender:
    """An insert, and its receipt at one who listens; of the bare stack, a message and its echo."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with (
            live_server(kind, directory) as served,
            served.connections() as (http,),
            Listeners(served) as told,
        ):
            number = told.add(0, "bench.messages")
            rows = itertools.count()

            def insert() -> None:
                http.sendall(served.insert(next(rows)))
                told.wait({number: 1})
                answer(http)

            def echo() -> None:
                told.send(number, {"content": "x" * 100})
                told.wait({number: 1})

            yield echo if kind == "bare" else insert

    return opened


def fan_out(kind: str, connections: int, subscriptions: int) -> Contender:
    """An insert, and its receipt at every subscription of every connection."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with (
            live_server(kind, directory) as served,
            served.connections() as (http,),
            Listeners(served) as told,
        ):
            wanted = {told.add(0, "bench.messages", subscriptions): subscriptions for _ in range(connections)}
            rows = itertools.count()

            def insert() -> None:
                http.sendall(served.insert(next(rows)))
                told.wait(wanted)
                answer(http)

            yield insert

    return opened


def own_rows(kind: str, users: int) -> Contender:
    """Each user listens to rows of its own; an insert of one user after the other, and its receipt."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with (
            live_server(kind, directory, users) as served,
            served.connections() as (http,),
            Listeners(served) as told,
        ):
            numbers = [told.add(user, "bench.own") for user in range(users)]
            rows = itertools.count()

            def insert() -> None:
                row = next(rows)
                user = row * 7919 % users
                http.sendall(served.insert(row, user))
                told.wait({numbers[user]: 1})
                answer(http)

            yield insert

    return opened


def commits(listeners: int) -> Contender:
    """An insert until it is answered, beside so many who listen; what they are told is awaited, and not timed."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with (
            live_server("kalamdb", directory) as served,
            served.connections() as (http,),
            Listeners(served) as told,
        ):
            wanted = {told.add(0, "bench.messages"): 1 for _ in range(listeners)}
            rows = itertools.count()
            told_of = itertools.count()
            written = [0]

            def prepare() -> None:
                if next(told_of) < written[0]:
                    told.wait(wanted)

            def insert() -> None:
                http.sendall(served.insert(next(rows)))
                answer(http)
                written[0] += 1

            yield Prepared(prepare, insert)

    return opened


@turns(
    Question(
        "P19 insert over HTTP to receipt at one subscriber",
        {"kalamdb": receipt("kalamdb"), "bare stack, echo": receipt("bare")},
        "≤ 5 × bare stack, echo",
        ROUNDS,
    ),
    Question(
        f"P19 one row to {MANY:,} connections",
        {"kalamdb": fan_out("kalamdb", MANY, 1), "bare stack": fan_out("bare", MANY, 1)},
        "a second ≥ 0.7 × bare stack",
        ROUNDS // 10,
        per_call=MANY,
    ),
    Question(
        f"P19 one row to {SQUARE} connections of {SQUARE} subscriptions",
        {"kalamdb": fan_out("kalamdb", SQUARE, SQUARE), "bare stack": fan_out("bare", SQUARE, SQUARE)},
        "a second ≥ 0.7 × bare stack",
        ROUNDS // 10,
        per_call=SQUARE * SQUARE,
    ),
    Question(
        f"P19 insert to receipt, {USERS:,} users listening to rows of their own",
        {"kalamdb": own_rows("kalamdb", USERS), "bare stack": own_rows("bare", USERS)},
        "none",
        ROUNDS,
    ),
    Question(
        "P19 commit beside 100 subscribers",
        {"100 subscribers": commits(100), "none": commits(0)},
        "p99 ≤ 1.2 × none",
        ROUNDS,
    ),
)
def test_live(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)


def test_memory_of_idle_connections(benchmark: Any, tmp_path: Path) -> None:
    figures = []
    for kind, name in (("kalamdb", "kalamdb"), ("bare", "bare stack")):
        (tmp_path / kind).mkdir()
        with live_server(kind, tmp_path / kind) as served, Listeners(served) as told:
            for _ in range(50):
                told.add(0, "bench.messages")
            before = served.resident_bytes()
            for _ in range(MANY):
                told.add(0, "bench.messages")
            size = (served.resident_bytes() - before) / MANY
        figures.append(("P19 memory of an idle connection with a subscription", name, size, "none"))
    note(benchmark, figures, "bytes")
