"""The queue of one connection: at once where it can be, in order where not, and bounded."""

from __future__ import annotations

import asyncio
from typing import Any

from kalamdb.server.websocket.encoding import Frame
from kalamdb.server.websocket.outgoing import ROOM_BYTES, Outgoing


class Wire:
    """A connection that takes messages while it is open."""

    def __init__(self) -> None:
        self.took: list[Any] = []
        self.open = asyncio.Event()
        self.open.set()
        self.broken = False

    async def send(self, message: Any) -> None:
        await self.open.wait()
        if self.broken:
            raise ConnectionError
        self.took.append(message.get("text", message))


def frame(text: str, size: int = 10) -> Frame:
    return Frame({"type": "websocket.send", "text": text}, size)


class Told:
    slow = 0
    gone = 0


def outgoing(wire: Wire, bytes_max: int = 100) -> tuple[Outgoing, Told]:
    told = Told()

    def slow() -> None:
        told.slow += 1

    def gone() -> None:
        told.gone += 1

    return Outgoing(wire.send, bytes_max, slow, gone), told


def test_what_is_taken_is_sent_at_once_without_a_task() -> None:
    async def run() -> None:
        wire = Wire()
        out, _ = outgoing(wire)
        for text in "abc":
            out.put(frame(text))

        assert wire.took == ["a", "b", "c"]
        assert (out.bytes, out.sent, out.is_waiting) == (0, 3, False)

    asyncio.run(run())


def test_what_is_not_taken_waits_in_order() -> None:
    async def run() -> None:
        wire = Wire()
        out, told = outgoing(wire)
        out.put(frame("a"))
        wire.open.clear()
        for text in "bcd":
            out.put(frame(text))
        waiting = out.bytes
        wire.open.set()
        out.put(frame("e"))
        while out.is_waiting:
            await asyncio.sleep(0)
        out.put(frame("f"))

        assert waiting == 30
        assert wire.took == list("abcdef")
        assert (out.bytes, told.slow) == (0, 0)

    asyncio.run(run())


def test_no_more_waits_than_may() -> None:
    async def run() -> None:
        wire = Wire()
        out, told = outgoing(wire)
        wire.open.clear()
        for _ in range(12):
            out.put(frame("a"))
        paced = out.bytes
        out.put(frame("a"), paced=True)

        assert (paced, told.slow) == (100, 2)
        assert out.bytes == 110
        out.drop()
        out.put(frame("a"))
        assert (out.bytes, wire.took) == (0, [])
        await out.close(1013, "slow", 0.01)

    asyncio.run(run())


def test_who_waits_for_room_goes_on_when_there_is_some_or_nobody_is_there() -> None:
    async def run() -> None:
        for end in (False, True):
            wire = Wire()
            out, _ = outgoing(wire, 10 * ROOM_BYTES)
            await out.room()
            wire.open.clear()
            for _ in range(3):
                out.put(frame("a", ROOM_BYTES))
            room = asyncio.ensure_future(out.room())
            await asyncio.sleep(0.01)
            waited = not room.done()
            if end:
                out.drop()
            else:
                wire.open.set()
            await asyncio.wait_for(room, 10)

            assert waited
            await out.close(1000, "", 0.01)

    asyncio.run(run())


def test_a_broken_connection_is_told_of() -> None:
    async def run() -> None:
        wire = Wire()
        out, told = outgoing(wire)
        wire.broken = True
        out.put(frame("a"))
        first = told.gone
        wire = Wire()
        out, told = outgoing(wire)
        wire.open.clear()
        out.put(frame("a"))
        wire.broken = True
        wire.open.set()
        while out.is_waiting:
            await asyncio.sleep(0)

        assert (first, told.gone) == (1, 1)
        assert out.closed

    asyncio.run(run())


def test_the_close_comes_behind_what_waits_and_waits_itself_not_for_ever() -> None:
    async def run() -> None:
        wire = Wire()
        out, _ = outgoing(wire)
        wire.open.clear()
        out.put(frame("a"))
        out.put(frame("b"))
        closing = asyncio.ensure_future(out.close(1012, "bye", 10))
        await asyncio.sleep(0.01)
        wire.open.set()
        await closing
        assert wire.took == ["a", "b", {"type": "websocket.close", "code": 1012, "reason": "bye"}]

        wire = Wire()
        out, _ = outgoing(wire)
        wire.open.clear()
        out.put(frame("a"))
        await asyncio.wait_for(out.close(1012, "bye", 0.05), 10)
        assert wire.took == []

    asyncio.run(run())
