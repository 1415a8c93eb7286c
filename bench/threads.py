"""One operation that is the work of several threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.race import Operation

THREADS = 8
ROWS_A_THREAD = 100


def by_threads(insert: Callable[[int], object], pool: ThreadPoolExecutor) -> Operation:
    """One call: every thread inserts its rows."""
    turn = itertools.count()

    def work(first: int) -> None:
        for number in range(first, first + ROWS_A_THREAD):
            insert(number)

    def operation() -> None:
        first = next(turn) * THREADS * ROWS_A_THREAD
        list(pool.map(work, range(first, first + THREADS * ROWS_A_THREAD, ROWS_A_THREAD)))

    return operation
