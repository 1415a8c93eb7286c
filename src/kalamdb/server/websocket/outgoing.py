"""What goes to one client: at once where the connection takes it, else when it does, and never more than so much.

A coroutine that sends is stepped once by hand: where the connection takes the frame, that ends it, and nobody had to
make a task or to wait. Only one that waits is given to a task, which then sends whatever comes behind it.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from kalamdb.server.call import Send
from kalamdb.server.websocket.encoding import Frame

ROOM_BYTES = 256 * 1024
"""Who may wait makes no frames while more than this is queued."""


class Outgoing:
    """The frames of one connection, in order. For one event loop."""

    __slots__ = (
        "_gone",
        "_queue",
        "_rooms",
        "_send",
        "_slow",
        "_task",
        "bytes",
        "bytes_max",
        "closed",
        "sent",
    )

    def __init__(
        self, send: Send, bytes_max: int, slow: Callable[[], None], gone: Callable[[], None]
    ) -> None:
        """`bytes_max`: how much may wait. `slow`: called where more would; `gone`: where nobody is there any more."""
        self._send = send
        self._slow = slow
        self._gone = gone
        self._queue: deque[Frame] = deque()
        self._task: asyncio.Task[None] | None = None
        self._rooms: list[asyncio.Future[None]] = []
        self.bytes_max = bytes_max
        self.bytes = 0
        """How much waits."""
        self.closed = False
        self.sent = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the connection takes nothing just now."""
        return self._task is not None

    def put(self, frame: Frame, *, paced: bool = False) -> None:
        """Send a frame, at once or later. `paced`: by somebody who waited for room, and so never too slow."""
        if self.closed:
            return
        if self._task is not None:
            self._wait(frame, paced=paced)
            return
        sending = self._send(frame.message)
        try:
            waits_for = sending.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            self.sent += 1
            return
        except Exception:
            self.drop()
            self._gone()
            return
        self.bytes += frame.size
        self._task = asyncio.get_running_loop().create_task(self._drain(_rest(sending, waits_for), frame))  # type: ignore[arg-type]

    def _wait(self, frame: Frame, *, paced: bool) -> None:
        if self.bytes + frame.size > self.bytes_max and not paced:
            self._slow()
            return
        self.bytes += frame.size
        self._queue.append(frame)

    async def _drain(self, begun: Coroutine[Any, Any, None], frame: Frame) -> None:
        try:
            await begun
            self._took(frame)
            while self._queue:
                frame = self._queue.popleft()
                await self._send(frame.message)
                self._took(frame)
        except asyncio.CancelledError:
            raise
        except Exception:
            self.drop()
            self._gone()
        finally:
            self._task = None
            self._call_rooms()

    def _took(self, frame: Frame) -> None:
        self.sent += 1
        self.bytes = max(0, self.bytes - frame.size)
        if self.bytes <= ROOM_BYTES and self._rooms:
            self._call_rooms()

    async def room(self) -> None:
        """Return once little is queued, or nothing is sent any more."""
        while self.bytes > ROOM_BYTES and not self.closed:
            room = asyncio.get_running_loop().create_future()
            self._rooms.append(room)
            await room

    def _call_rooms(self) -> None:
        rooms, self._rooms = self._rooms, []
        for room in rooms:
            if not room.done():
                room.set_result(None)

    def drop(self) -> None:
        """Send nothing more, and forget what waits."""
        self.closed = True
        self._queue.clear()
        self.bytes = 0
        self._call_rooms()

    async def close(self, code: int, reason: str, wait_s: float) -> None:
        """Close the connection behind what waits, which has `wait_s` seconds to go."""
        self.closed = True
        try:
            async with asyncio.timeout(wait_s):
                if self._task is not None:
                    await asyncio.wait([self._task])
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception:
            # Nobody is there any more, or takes anything: the server ends the connection when this task does.
            return
        finally:
            if self._task is not None:
                self._task.cancel()
            self.drop()


@types.coroutine
def _rest(sending: Coroutine[Any, Any, None], waits_for: object) -> Generator[Any, Any, None]:
    """What a coroutine has still to do that was stepped up to its first wait."""
    while True:
        try:
            got = yield waits_for
        except BaseException as error:
            try:
                waits_for = sending.throw(error)
            except StopIteration:
                return
        else:
            try:
                waits_for = sending.send(got)
            except StopIteration:
                return
