"""Interrupts: how whoever waits for a statement has it stopped, in whichever thread it runs.

What runs long asks `check` now and then; what waits for another thread has itself woken. What has been written already
is not undone, and a commit that has begun goes on to its end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar, Token

from kalamdb.errors import StatementTimeout

_current: ContextVar[Interrupt | None] = ContextVar("kalamdb_interrupt", default=None)


class Interrupt:
    """A way to stop the statements of a `with` block from another thread. For one block."""

    __slots__ = ("_lock", "_token", "_wake", "requested")

    def __init__(self) -> None:
        self.requested = False
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None
        self._token: Token[Interrupt | None] | None = None

    def request(self) -> None:
        """Stop what runs in the block now, and what begins in it later. From any thread."""
        with self._lock:
            self.requested = True
            if self._wake is not None:
                self._wake()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called by a request that comes while the block waits; at once where one has come. One block at a
        time."""
        with self._lock:
            self._wake = wake
            if self.requested:
                wake()
        try:
            yield
        finally:
            with self._lock:
                self._wake = None

    def __enter__(self) -> Interrupt:
        self._token = _current.set(self)
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._token is not None
        _current.reset(self._token)


def current() -> Interrupt | None:
    """That of the block in which this runs."""
    return _current.get()


def check() -> None:
    """Raises StatementTimeout where it was requested that what runs here stops."""
    interrupt = _current.get()
    if interrupt is not None and interrupt.requested:
        raise interrupted()


def interrupted() -> StatementTimeout:
    """What a statement that was stopped so ends with."""
    return StatementTimeout("the statement was stopped because its caller was interrupted")
