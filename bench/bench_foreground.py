"""How much longer do the slowest durable inserts and look-ups take while a flush or a compaction runs beside them?

A database with many users who have rows to be flushed, and one more table in whose rows a single session inserts and
looks up; first alone, then while everything is flushed, and while it is compacted. The figures are the p99. (P15)
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.compare.engines import kalamdb_users
from bench.messages import PLACES, TABLE, Row, message
from bench.race import FULL, note
from bench.tiers import MEMORY

USERS = 10_000 if FULL else 100
MESSAGES = 30
CALLS_MIN = 2_000 if FULL else 200
TURNS = 3


def rows() -> Any:
    """(user, message): everybody writes by turns."""
    return ((number % USERS, message(number)) for number in range(USERS * MESSAGES))


def users_rows(generation: int, user: int) -> list[Row]:
    """Rows that the user has not had yet."""
    first = (generation * USERS + user) * MESSAGES
    return [message(number) for number in range(first, first + MESSAGES)]


def p99(call: Callable[[int], object], numbers: Any, going: Callable[[], bool]) -> float:
    """Of calls one after the other, for as long as it is going and some more."""
    taken: list[float] = []
    while going() or len(taken) < CALLS_MIN:
        number = next(numbers)
        started = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) * 99 // 100]


def beside(work: Callable[[], object], call: Callable[[int], object], numbers: Any) -> float:
    """The same while the work runs."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        return p99(call, numbers, thread.is_alive)
    finally:
        thread.join()


def test_foreground(benchmark: Any, tmp_path: Path) -> None:
    found: dict[str, list[float]] = {}
    for turn in range(TURNS):
        home = tmp_path / str(turn)
        home.mkdir()
        with contextlib.ExitStack() as stack:
            sessions = stack.enter_context(kalamdb_users(home, rows(), durability="full", **MEMORY.settings))
            db = sessions[0]._database
            db.execute(TABLE.replace("messages", "own"))
            foreground = db.session("root", role="system", durability="full")
            insert = foreground.prepare(f"INSERT INTO own VALUES {PLACES}")
            look_up = foreground.prepare("SELECT * FROM own WHERE id = ?")
            for number in range(1_000):
                foreground.execute(f"INSERT INTO own VALUES {PLACES}", message(number))
            calls: dict[str, Callable[[int], object]] = {
                "durable insert": lambda number, insert=insert: insert.execute(message(number)),
                "look-up": lambda number, look_up=look_up: look_up.execute((number % 1_000,)).fetchone(),
            }
            db.flush()
            for generation, (kind, call) in enumerate(calls.items(), 1):
                # Something to flush, to partitions that have a segment already, and so to compact.
                for user, session in enumerate(sessions):
                    session.durability = "normal"
                    session.executemany(f"INSERT INTO messages VALUES {PLACES}", users_rows(generation, user))
                numbers = iter(range(1_000_000, 1 << 40) if kind == "durable insert" else range(1 << 40))
                for beside_what in ("idle", "flush", "compaction"):
                    key = f"{kind}, {beside_what}"
                    if beside_what == "idle":
                        taken = p99(call, numbers, lambda: False)
                    else:
                        taken = beside(db.flush if beside_what == "flush" else db.compact, call, numbers)
                    found.setdefault(key, []).append(taken)
    figures = []
    for kind in ("durable insert", "look-up"):
        for beside_what in ("flush", "compaction"):
            question = f"P15 p99 of a {kind} beside a {beside_what}, {USERS:,} users"
            figures.append(
                (
                    question,
                    "kalamdb",
                    statistics.median(found[f"{kind}, {beside_what}"]),
                    "≤ 3 × idle, a ratio ≥ 0.33",
                )
            )
            figures.append((question, "idle", statistics.median(found[f"{kind}, idle"]), ""))
    note(benchmark, figures, "s")
