"""How much longer do one user's look-ups and inserts take while another user floods the server?

A database behind a server in a process of its own, with the limits that it has by default. One user looks up and
inserts on one connection, first alone, then beside another who floods from a third process, on eight connections:
aggregates and joins over a large table, inserts of many rows, flushes. The figures are the p99. (S15)
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from bench.bench_http import PATH, inserts, look_ups
from bench.http_stack import Server, answer, server
from bench.race import FULL, note

ROWS = 200_000 if FULL else 20_000
CALLS = 5_000 if FULL else 300
TURNS = 3
CONNECTIONS = 8
WARMING_S = 1.0


def flood(port: int, token: str) -> None:
    """Send whatever is allowed, and what is not, until this process is ended."""
    served = Server(port, token)
    numbers = itertools.count(1 << 32)
    values = [f"({{}}, 1, 'flood', 'user', '{'x' * 100}', NOW())"] * 500
    texts = [
        "SELECT sender, count(*), avg(length(content)) FROM messages GROUP BY sender ORDER BY 2 DESC",
        "SELECT count(*) FROM messages AS a JOIN messages AS b ON a.conversation_id = b.conversation_id",
        "INSERT INTO messages VALUES " + ", ".join(values),
        "STORAGE FLUSH TABLE messages",
        "SELECT * FROM messages ORDER BY content LIMIT 1000",
    ]

    def send() -> None:
        with served.connections() as (connection,):
            for text in itertools.cycle(texts):
                filled = text.format(*itertools.islice(numbers, 500)) if "{}" in text else text
                connection.sendall(served.request(PATH, orjson.dumps({"sql": filled})))
                answer(connection, b"HTTP/1.1 ")

    threads = [threading.Thread(target=send, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def flooded(served: Server) -> Iterator[None]:
    """While another user floods the server."""
    command = [sys.executable, "-m", "bench.bench_fairness", str(served.port), served.others[0]]
    process = subprocess.Popen(command)
    try:
        time.sleep(WARMING_S)
        assert process.poll() is None, "the flood ended"
        yield
    finally:
        process.terminate()
        process.wait()


def p99(served: Server, bodies: Iterator[bytes]) -> float:
    """Of requests one after the other."""
    taken: list[float] = []
    with served.connections() as (connection,):
        for body in itertools.islice(bodies, CALLS):
            request = served.request(PATH, body)
            started = time.perf_counter()
            connection.sendall(request)
            answer(connection)
            taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) * 99 // 100]


def test_fairness(benchmark: Any, tmp_path: Path) -> None:
    kinds = {"look-up": look_ups(), "insert": inserts(1 << 40)}
    found: dict[tuple[str, str], list[float]] = {}
    for turn in range(TURNS):
        (tmp_path / str(turn)).mkdir()
        with server("limited", tmp_path / str(turn), ROWS, "full") as served:
            for kind, bodies in kinds.items():
                p99(served, bodies)  # until statements are known to be quick
                found.setdefault((kind, "idle"), []).append(p99(served, bodies))
            with flooded(served):
                for kind, bodies in kinds.items():
                    found.setdefault((kind, "flooded"), []).append(p99(served, bodies))
    figures = []
    for kind in kinds:
        question = f"S15 p99 of a {kind} over HTTP beside another user's flood"
        for name, goal in (("flooded", "≤ 3 × idle, a ratio ≥ 0.33"), ("idle", "")):
            engine = "kalamdb" if name == "flooded" else name
            figures.append((question, engine, statistics.median(found[kind, name]), goal))
    note(benchmark, figures, "s")


if __name__ == "__main__":
    flood(int(sys.argv[1]), sys.argv[2])
