"""Clients that go away while their statement runs: what only reads is stopped, and its turn is the next one's.

Only what has a thread is watched; all else is answered before anybody could have gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from kalamdb.interrupts import Interrupt
from kalamdb.server.refusals import ClientGone

if TYPE_CHECKING:
    from kalamdb.server.call import Call

Answer = TypeVar("Answer")


async def until_gone(call: Call) -> None:
    """Return when the client has gone. REQUIRES: nobody else asks what comes, and the body is not wanted any more."""
    # A request whose body nobody has read, as that of a GET, says first that it has none.
    while (await call.receive())["type"] != "http.disconnect":
        pass


async def run_while_there(
    call: Call, user: str, work: Callable[[], Answer], *, waits: bool = False
) -> Answer:
    """Threads.run for what only reads, stopped where the client goes. Raises ClientGone then."""
    interrupt = Interrupt()

    def run() -> Answer:
        with interrupt:
            return work()

    def stop(gone: asyncio.Future[None]) -> None:
        if not gone.cancelled():
            interrupt.request()

    gone = asyncio.ensure_future(until_gone(call))
    gone.add_done_callback(stop)
    try:
        return await call.application.threads.run(user, run, waits=waits)
    except Exception:
        if gone.done():
            raise ClientGone from None
        raise
    finally:
        gone.cancel()
