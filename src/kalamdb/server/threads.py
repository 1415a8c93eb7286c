"""Where statements run that may wait: threads of their own, each statement when its user's turn has come."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kalamdb.server.turns import Turns
from kalamdb.settings import Settings

Answer = TypeVar("Answer")

DOOR_THREADS = 4
"""For what is done before anybody has a turn: looking at tokens."""
NICENESS = 10
"""Of threads that compute, above that of those which others wait for: a tenth of their share of a scarce processor.
With much less, one that holds the interpreter would be kept from letting go of it by any other program."""


class Threads:
    """The threads of one application. For one event loop."""

    def __init__(self, settings: Settings, wait_s: float, *, alone: bool = False) -> None:
        """`wait_s`: how long a statement waits for its turn at most, in seconds. `alone`: the process is the server's,
        and threads that compute, with those of the query engine that they begin, may come behind the event loop."""
        self.turns = Turns(
            settings.statements_running_max,
            settings.user_statements_running_max,
            settings.statements_waiting_max,
            wait_s,
        )
        # As many as may run: whoever has a turn never waits for a thread.
        count = settings.statements_running_max
        self._computing = ThreadPoolExecutor(count, "kalamdb-statement", go_behind if alone else None)
        self._waiting = ThreadPoolExecutor(count, "kalamdb-waiting")
        self._door = ThreadPoolExecutor(DOOR_THREADS, "kalamdb-door")

    async def run(self, user: str, work: Callable[[], Answer], *, waits: bool = False) -> Answer:
        """Do `work` when it is the user's turn. `waits`: it does little else. Raises RateLimitExceeded, and what `work`
        raises."""
        threads = self._waiting if waits else self._computing
        async with self.turns.taken(user):
            return await asyncio.get_running_loop().run_in_executor(threads, work)

    async def at_the_door(self, work: Callable[[], Answer]) -> Answer:
        """Do `work` for somebody of whom it is not known yet who it is."""
        return await asyncio.get_running_loop().run_in_executor(self._door, work)

    async def end(self, wait_s: float) -> None:
        """Wait for the statements that run, up to `wait_s` seconds; no others are taken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.turns.idle()
        self._computing.shutdown(wait=False, cancel_futures=True)
        self._waiting.shutdown(wait=False, cancel_futures=True)
        self._door.shutdown(wait=False, cancel_futures=True)


def go_behind() -> None:
    """Have the calling thread, and all that it will begin, come behind those of usual priority; on Linux, where threads
    have one each."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
