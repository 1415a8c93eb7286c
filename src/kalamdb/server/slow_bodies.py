"""The time that bodies may take to come, watched for all requests together: a timer for each would cost a tenth of a
request."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalamdb.server.call import Call

LOOKS = 8
"""Within the time that a body may take."""


class SlowBodies:
    """Ends the reading of bodies that do not come. For one event loop."""

    def __init__(self, timeout_s: float) -> None:
        """`timeout_s`: how long a body may take; noticed up to an eighth of it later."""
        self._timeout_s = timeout_s
        self._began_s: dict[Call, float] = {}
        self._late: set[Call] = set()
        self._looks = False

    def begin(self, call: Call) -> None:
        """The call's task begins to read its body: it is cancelled when that takes too long."""
        self._began_s[call] = time.monotonic()
        if not self._looks:
            self._looks = True
            loop = call.task.get_loop()
            loop.call_later(self._timeout_s / LOOKS, self._look, loop)

    def end(self, call: Call) -> None:
        """It has read its body, or not."""
        self._began_s.pop(call, None)

    def was_late(self, call: Call) -> bool:
        """Whether it was cancelled here, and goes on with what is to be told. Asked once it is cancelled."""
        if call not in self._late:
            return False
        self._late.discard(call)
        return call.task.uncancel() == 0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        began_before_s = time.monotonic() - self._timeout_s
        for call in [call for call, began_s in self._began_s.items() if began_s <= began_before_s]:
            del self._began_s[call]
            self._late.add(call)
            call.task.cancel()
        self._looks = bool(self._began_s)
        if self._looks:
            loop.call_later(self._timeout_s / LOOKS, self._look, loop)
