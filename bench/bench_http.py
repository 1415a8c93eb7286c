"""How much does a statement over HTTP cost beside the same ASGI stack that does nothing? And 100,000 rows, beside what
libraries make of the same SELECT?

One connection, one request after the other; and 32 connections, of which each has one on its way. Servers are processes
of their own on loopback; the client is this one, on the same cores. (P17, P18)
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.http_stack import SELECT_ALL, answer, server
from bench.messages import PLACES, message
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns

ROWS = 1_000
MANY = 100_000 if FULL else 20_000
ROUNDS = 10_000 if FULL else 500
CONNECTIONS = 32
PATH = "/v1/api/sql"
ARROW = "application/vnd.apache.arrow.stream"

Bodies = Iterator[bytes]


def look_ups() -> Bodies:
    """Requests for one row after the other by its key."""
    for number in itertools.count():
        yield orjson.dumps({"sql": "SELECT * FROM messages WHERE id = ?", "params": [number * 7 % ROWS]})


def inserts(first: int = ROWS) -> Bodies:
    """Requests that add one row each, from a key on."""
    for number in itertools.count(first):
        *values, at = message(number)
        yield orjson.dumps(
            {"sql": f"INSERT INTO messages VALUES {PLACES}", "params": [*values, int(at.timestamp() * 1e6)]}
        )


def asked(
    kind: str, bodies: Callable[[], Bodies], durability: str = "normal", connections: int = 1
) -> Contender:
    """One request on each connection, and the answers to all of them."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with (
            server(kind, directory, ROWS, durability) as served,
            served.connections(connections) as open_ones,
        ):
            given = bodies()

            def ask() -> None:
                for connection in open_ones:
                    connection.sendall(served.request(PATH, next(given)))
                for connection in open_ones:
                    answer(connection)

            for _ in range(50):  # until statements are known to be quick
                ask()
            yield ask

    return opened


def all_rows(kind: str, path: str, accept: str = "application/json") -> Contender:
    """Every row of the table."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        with server(kind, directory, MANY) as served, served.connections() as (connection,):
            request = served.request(path, orjson.dumps({"sql": SELECT_ALL}), accept)

            def ask() -> int:
                connection.sendall(request)
                return answer(connection)

            yield ask

    return opened


@turns(
    Question(
        "P17 look-up over HTTP, one connection",
        {"kalamdb": asked("kalamdb", look_ups), "bare stack": asked("bare", look_ups)},
        "≤ 1.3 × bare stack",
        ROUNDS,
    ),
    Question(
        "P17 insert over HTTP, normal, one connection",
        {"kalamdb": asked("kalamdb", inserts), "bare stack": asked("bare", inserts)},
        "≤ 1.3 × bare stack",
        ROUNDS,
    ),
    Question(
        "P17 insert over HTTP, full, one connection",
        {
            "kalamdb": asked("kalamdb", inserts, "full"),
            "bare stack, a hop and a sync": asked("synced", inserts),
        },
        "≤ 1.3 × bare stack, a hop and a sync",
        ROUNDS,
    ),
    *(
        Question(
            f"P17 {name} over HTTP, {CONNECTIONS} connections",
            {
                "kalamdb": asked("kalamdb", bodies, connections=CONNECTIONS),
                "bare stack": asked("bare", bodies, connections=CONNECTIONS),
            },
            "a second ≥ 0.7 × bare stack",
            ROUNDS // 10,
            per_call=CONNECTIONS,
        )
        for name, bodies in (("look-up", look_ups), ("insert", inserts))
    ),
    Question(
        f"P18 {MANY:,} rows as JSON",
        {"kalamdb": all_rows("kalamdb", PATH), "orjson over to_pylist": all_rows("rows", "/json")},
        "≤ 0.1 × orjson over to_pylist",
        20,
    ),
    Question(
        f"P18 {MANY:,} rows as Arrow",
        {
            "kalamdb": all_rows("kalamdb", PATH, ARROW),
            "bare stack, the same bytes": all_rows("rows", "/arrow"),
        },
        "≤ 2 × bare stack, the same bytes",
        20,
    ),
)
def test_http(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
