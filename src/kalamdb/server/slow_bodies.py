"""The time that bodies may take to come, watched for all requests together: a timer for each would cost a tenth of a
request."""

from __future__ import annotations

import asyncio

LOOKS = 8
"""Within the time that a body may take."""


class SlowBodies:
    """Ends the reading of bodies that do not come. For one event loop."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s`: how long a body may take; noticed up to an eighth of it later."""
        self._timeout_s = timeout_s
        self._until: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._looks = False

    def begin(self) -> asyncio.Task[object]:
        """The current task begins to read a body: it is cancelled when that takes too long."""
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._until[task] = loop.time() + self._timeout_s
        if not self._looks:
            self._looks = True
            loop.call_later(self._timeout_s / LOOKS, self._look, loop)
        return task

    def end(self, task: asyncio.Task[object]) -> bool:
        """It has read its body, or not: True where it was cancelled here, and goes on with what is to be told."""
        self._until.pop(task, None)
        if task not in self._late:
            return False
        self._late.discard(task)
        return task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task in [task for task, until in self._until.items() if until <= now]:
            del self._until[task]
            self._late.add(task)
            task.cancel()
        self._looks = bool(self._until)
        if self._looks:
            loop.call_later(self._timeout_s / LOOKS, self._look, loop)
