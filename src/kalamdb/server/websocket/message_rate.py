"""How often a client may send messages: a bucket that fills with time, and from which each message takes one."""

from __future__ import annotations

import time

from kalamdb.errors import RateLimitExceeded

REFUSALS_MAX = 500
"""Messages in a row that are refused before the connection is closed."""


class MessageRate:
    """The bucket of one connection; full, it has what may come in a second."""

    __slots__ = ("_at_s", "_left", "_per_s", "refused")

    def __init__(self, messages_per_s: int | None) -> None:
        """`messages_per_s`: None: as many as come."""
        self._per_s = messages_per_s
        self._left = float(messages_per_s or 0)
        self._at_s = time.monotonic()
        self.refused = 0
        """How many were refused since one was not."""

    def take(self) -> None:
        """Count one message. Raises RateLimitExceeded."""
        per_s = self._per_s
        if per_s is None:
            return
        now_s = time.monotonic()
        self._left = min(float(per_s), self._left + (now_s - self._at_s) * per_s)
        self._at_s = now_s
        if self._left < 1.0:
            self.refused += 1
            raise RateLimitExceeded(
                f"more than {per_s} messages in a second; this one was passed over, see websocket_messages_per_s_max",
                retry_after_s=(1.0 - self._left) / per_s,
            )
        self._left -= 1.0
        self.refused = 0
