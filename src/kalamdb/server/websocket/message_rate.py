"""How often a client may send messages, and how many refusals it may leave aside."""

from __future__ import annotations

import time

from kalamdb.errors import RateLimitExceeded
from kalamdb.server.bucket import Bucket

REFUSALS_MAX = 500
"""Messages in a row that are refused before the connection is closed."""


class MessageRate:
    """Of one connection."""

    __slots__ = ("_bucket", "_per_s", "refused")

    def __init__(self, messages_per_s: int | None) -> None:
        """`messages_per_s`: None: as many as come."""
        self._per_s = messages_per_s
        self._bucket = Bucket(messages_per_s or 0, time.monotonic())
        self.refused = 0
        """How many were refused since one was not."""

    def take(self) -> None:
        """Count one message. Raises RateLimitExceeded."""
        per_s = self._per_s
        if per_s is None:
            return
        wait_s = self._bucket.take(per_s, time.monotonic())
        if wait_s:
            self.refused += 1
            raise RateLimitExceeded(
                f"more than {per_s} messages in a second; this one was passed over, see websocket_messages_per_s_max",
                retry_after_s=wait_s,
            )
        self.refused = 0
