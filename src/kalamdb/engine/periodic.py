"""What is done now and then, by whoever comes by: no thread waits for it."""

from __future__ import annotations

import datetime
import threading


class Periodic:
    """Says when it is time: at the first look, and once an interval at most from then on. Safe for threads."""

    def __init__(self, interval: datetime.timedelta) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._last: datetime.datetime | None = None

    def is_due(self, now: datetime.datetime) -> bool:
        """Whether it is time, which then counts as done. A clock that was set back does not put it off."""
        with self._lock:
            if self._last is not None and abs(now - self._last) < self._interval:
                return False
            self._last = now
            return True
