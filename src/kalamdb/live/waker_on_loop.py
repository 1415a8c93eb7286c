"""A waker of the core that wakes an event loop: by a byte on a descriptor that the loop watches."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from kalamcore.changes import Waker


class WakerOnLoop:
    """`waker`: what listeners are given. All else is for the loop's thread alone."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ready: Callable[[list[int]], None]) -> None:
        """`ready` is called in the loop with what Waker.wait tells."""
        self.waker = Waker()
        self._loop = loop
        self._call = ready
        self._own, self._core = socket.socketpair()
        self._own.setblocking(False)
        self._core.setblocking(False)
        loop.add_reader(self._own.fileno(), self._ready)
        self.waker.set_descriptor(self._core.fileno())

    def _ready(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._own.recv(64)
        self._call(self.waker.wait(0))

    def close(self) -> None:
        """Watch no more."""
        self.waker.set_descriptor(-1)
        self._loop.remove_reader(self._own.fileno())
        self._own.close()
        self._core.close()
