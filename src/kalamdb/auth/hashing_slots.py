"""How many passwords are hashed at a time.

One takes 64 MiB and a tenth of a second or so, by design. So a few are computed beside each other, a few
hundred wait, and the rest is told to come back: statements of those who are logged in go on meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from kalamdb.errors import ResourcesExceeded

SLOTS_MAX = 2
"""Where nobody says how many: this, or the machine's cores if it has fewer."""
WAITING_MAX = 256
TIMEOUT_S = 10.0


class HashingSlots:
    """A few slots and a bounded queue before them. Safe for threads."""

    def __init__(
        self, slots: int | None = None, *, waiting_max: int = WAITING_MAX, timeout_s: float = TIMEOUT_S
    ) -> None:
        """`slots`: computations at a time, at least 1. `timeout_s`: seconds that one waits at most."""
        self._free = threading.Semaphore(slots or min(SLOTS_MAX, os.cpu_count() or 1))
        self._waiting_max = waiting_max
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._waiting = 0

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Have a slot for the block. Raises ResourcesExceeded where too many wait, or none came free in time."""
        if not self._free.acquire(blocking=False):
            self._wait()
        try:
            yield
        finally:
            self._free.release()

    def _wait(self) -> None:
        with self._lock:
            if self._waiting >= self._waiting_max:
                raise ResourcesExceeded("too many log-ins at the same time; try again in a few seconds")
            self._waiting += 1
        try:
            if not self._free.acquire(timeout=self._timeout_s):
                raise ResourcesExceeded("too many log-ins at the same time; try again in a few seconds")
        finally:
            with self._lock:
                self._waiting -= 1
