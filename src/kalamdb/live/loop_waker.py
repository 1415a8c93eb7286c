"""How the tasks of one event loop learn that there is something to take: one descriptor for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import weakref

from kalamdb.live.waker_on_loop import WakerOnLoop

_wakers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWaker] = weakref.WeakKeyDictionary()


class LoopWaker:
    """Of one event loop, and used on its thread alone, but for remove()."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[int, asyncio.Event] = {}
        self._on_loop = WakerOnLoop(loop, self._ready)
        self.waker = self._on_loop.waker

    def add(self, number: int) -> None:
        """A live query is waited for from now on."""
        self._waiting[number] = asyncio.Event()

    def expect(self, number: int) -> None:
        """What is told from here on is waited for: called before looking whether there is something."""
        event = self._waiting.get(number)
        if event is not None:
            event.clear()

    async def wait(self, number: int) -> None:
        """Returns once there may be something, or it was removed."""
        event = self._waiting.get(number)
        if event is not None:
            await event.wait()

    def remove(self, number: int) -> None:
        """It is not waited for any more."""
        event = self._waiting.pop(number, None)
        if event is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(event.set)
            if not self._waiting:
                self._loop.call_soon_threadsafe(self._end)

    def _ready(self, told: list[int]) -> None:
        # An interruption: one of them was ended, and finds out by itself.
        for number in list(self._waiting) if 0 in told else told:
            event = self._waiting.get(number)
            if event is not None:
                event.set()

    def _end(self) -> None:
        if self._waiting:
            return
        self._on_loop.close()
        if _wakers.get(self._loop) is self:
            del _wakers[self._loop]


def loop_waker() -> LoopWaker:
    """Of the running loop."""
    loop = asyncio.get_running_loop()
    found = _wakers.get(loop)
    if found is None:
        found = _wakers[loop] = LoopWaker(loop)
    return found
