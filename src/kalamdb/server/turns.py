"""Whose statement is next: bounded work, in turns by user, so that one user's flood is that user's alone.

So many statements run at a time, so many of them one user's. Who has to wait waits in a line of the user's own, and a
place that becomes free goes to the next line, round and round. A line that is too long, or a wait, is answered
RATE_LIMIT_EXCEEDED.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from kalamdb.errors import RateLimitExceeded

RETRY_AFTER_S = 1.0
USER_SHARE = 4
"""One user's line may have a quarter of the places that all lines have together."""


class Turns:
    """The places at work and the lines before them. For one event loop."""

    def __init__(self, running_max: int, user_running_max: int, waiting_max: int, wait_s: float) -> None:
        """`wait_s`: how long one waits at most, in seconds."""
        self._running_max = running_max
        self._user_running_max = min(user_running_max, running_max)
        self._waiting_max = waiting_max
        self._user_waiting_max = max(1, waiting_max // USER_SHARE)
        self._wait_s = wait_s
        self._running: dict[str, int] = {}
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        """By user, in the order in which they have their turns; none is empty."""
        self._idle = asyncio.Event()
        self._idle.set()
        self.running = 0
        self.waiting = 0

    @contextlib.asynccontextmanager
    async def taken(self, user: str) -> AsyncIterator[None]:
        """One of the places, for as long as the block runs. Raises RateLimitExceeded."""
        await self._take(user)
        try:
            yield
        finally:
            self._give_back(user)

    async def idle(self) -> None:
        """Return once no statement runs."""
        await self._idle.wait()

    async def _take(self, user: str) -> None:
        if user not in self._lines and self._may_run(user):
            self._begin(user)
            return
        line = self._lines.get(user)
        if self.waiting >= self._waiting_max or (line is not None and len(line) >= self._user_waiting_max):
            raise RateLimitExceeded(
                "too many statements are waiting; send fewer at a time", retry_after_s=RETRY_AFTER_S
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if line is None:
            line = self._lines[user] = deque()
        line.append(turn)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except BaseException as error:
            self._leave(user, turn)
            if isinstance(error, TimeoutError):
                raise RateLimitExceeded(
                    f"the statement's turn did not come within {self._wait_s:g} s; send fewer at a time",
                    retry_after_s=RETRY_AFTER_S,
                ) from None
            raise

    def _leave(self, user: str, turn: asyncio.Future[None]) -> None:
        line = self._lines.get(user)
        if line is not None and turn in line:
            line.remove(turn)
            self.waiting -= 1
            if not line:
                del self._lines[user]
        elif not turn.cancelled():
            # Its turn came in the moment in which nobody waited for it any more.
            self._give_back(user)

    def _may_run(self, user: str) -> bool:
        return self.running < self._running_max and self._running.get(user, 0) < self._user_running_max

    def _begin(self, user: str) -> None:
        self.running += 1
        self._running[user] = self._running.get(user, 0) + 1
        self._idle.clear()

    def _give_back(self, user: str) -> None:
        self.running -= 1
        left = self._running[user] - 1
        if left:
            self._running[user] = left
        else:
            del self._running[user]
        self._call_next()
        if not self.running:
            self._idle.set()

    def _call_next(self) -> None:
        """Give free places to the users in turn, one each."""
        for user in list(self._lines):
            if self.running >= self._running_max:
                return
            if not self._may_run(user):
                continue
            line = self._lines.pop(user)
            turn = line.popleft()
            self.waiting -= 1
            if line:
                self._lines[user] = line  # behind all others
            if turn.done():
                continue
            self._begin(user)
            turn.set_result(None)
