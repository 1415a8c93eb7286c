"""How long does kalamdb.client take to be imported, and what does a look-up through Client cost beside bare httpx?

One connection, one request after the other, to a server in a process of its own; the client is this process.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench.http_stack import server
from bench.race import FULL, Contender, Operation, Paddock, Question, take_turn, turns
from kalamdb.client import Client

ROWS = 1_000
ROUNDS = 2_000 if FULL else 300
LOOK_UP = "SELECT * FROM messages WHERE id = ?"


def imported(module: str) -> Contender:
    """A process that imports a module and ends."""

    @contextlib.contextmanager
    def opened(directory: Path) -> Iterator[Operation]:
        yield lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)

    return opened


@contextlib.contextmanager
def by_client(directory: Path) -> Iterator[Operation]:
    """One row, its values typed."""
    with server("kalamdb", directory, ROWS, "normal") as served:
        url = f"http://127.0.0.1:{served.port}"
        with Client(url, token=served.token) as client:
            keys = itertools.count()
            yield lambda: client.execute(LOOK_UP, [next(keys) * 7 % ROWS]).fetchone()


@contextlib.contextmanager
def by_httpx(directory: Path) -> Iterator[Operation]:
    """The same request, its JSON read."""
    with (
        server("kalamdb", directory, ROWS, "normal") as served,
        httpx.Client(headers={"Authorization": f"Bearer {served.token}"}) as client,
    ):
        url = f"http://127.0.0.1:{served.port}/v1/api/sql"
        keys = itertools.count()
        yield lambda: client.post(url, json={"sql": LOOK_UP, "params": [next(keys) * 7 % ROWS]}).json()


@turns(
    Question(
        "import of the client",
        {"kalamdb.client": imported("kalamdb.client"), "httpx": imported("httpx")},
        "≤ 1 × httpx",
        10,
    ),
    Question(
        "look-up through Client",
        {"kalamdb.client": by_client, "httpx": by_httpx},
        "≤ 1 × httpx",
        ROUNDS,
    ),
)
def test_client(benchmark: Any, paddock: Paddock, question: Question, turn: int, engine: str) -> None:
    take_turn(benchmark, paddock, question, turn, engine)
