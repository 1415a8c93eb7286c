"""Where statements run that may wait: threads of their own, each statement when its user's turn has come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kalamdb.server.turns import Turns
from kalamdb.settings import Settings

Answer = TypeVar("Answer")

DOOR_THREADS = 4
"""For what is done before anybody has a turn: looking at tokens."""


class Threads:
    """The threads of one application. For one event loop."""

    def __init__(self, settings: Settings, wait_s: float) -> None:
        """`wait_s`: how long a statement waits for its turn at most, in seconds."""
        self.turns = Turns(
            settings.statements_running_max,
            settings.user_statements_running_max,
            settings.statements_waiting_max,
            wait_s,
        )
        # As many as may run: whoever has a turn never waits for a thread.
        self._statements = ThreadPoolExecutor(settings.statements_running_max, "kalamdb-statement")
        self._door = ThreadPoolExecutor(DOOR_THREADS, "kalamdb-door")

    async def run(self, user: str, work: Callable[[], Answer]) -> Answer:
        """Do `work` when it is the user's turn. Raises RateLimitExceeded, and what `work` raises."""
        async with self.turns.taken(user):
            return await asyncio.get_running_loop().run_in_executor(self._statements, work)

    async def at_the_door(self, work: Callable[[], Answer]) -> Answer:
        """Do `work` for somebody of whom it is not known yet who it is."""
        return await asyncio.get_running_loop().run_in_executor(self._door, work)

    async def end(self, wait_s: float) -> None:
        """Wait for the statements that run, up to `wait_s` seconds; no others are taken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self.turns.idle()
        self._statements.shutdown(wait=False, cancel_futures=True)
        self._door.shutdown(wait=False, cancel_futures=True)
