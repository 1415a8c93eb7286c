"""Where passwords are computed: threads of their own, a few at a time, in turns by address.

A computation takes a tenth of a second by design, so statements never wait behind one. Whoever is one too many is told
to come back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kalamdb.auth.hashing_slots import SLOTS_MAX, TIMEOUT_S, WAITING_MAX
from kalamdb.errors import RateLimitExceeded, ResourcesExceeded
from kalamdb.server.turns import RETRY_AFTER_S, Turns

Answer = TypeVar("Answer")


class LogIns:
    """The threads and the lines before them. For one event loop."""

    def __init__(self) -> None:
        self._turns = Turns(SLOTS_MAX, SLOTS_MAX, WAITING_MAX, TIMEOUT_S)
        self._threads = ThreadPoolExecutor(SLOTS_MAX, "kalamdb-log-in")

    async def run(self, address: str, work: Callable[[], Answer]) -> Answer:
        """Do `work` when it is the turn of `address`. Raises RateLimitExceeded, and what `work` raises."""
        async with contextlib.AsyncExitStack() as turn:
            try:
                await turn.enter_async_context(self._turns.taken(address))
            except RateLimitExceeded:
                raise _too_many() from None
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
            except ResourcesExceeded:
                # Statements that give passwords compute them in the same slots.
                raise _too_many() from None

    def end(self) -> None:
        """Begin no more of them."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _too_many() -> RateLimitExceeded:
    return RateLimitExceeded(
        "too many log-ins at the same time; try again in a moment", retry_after_s=RETRY_AFTER_S
    )
