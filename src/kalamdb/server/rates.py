"""How often a user may send requests: a bucket each, which fills with time and from which each request takes one."""

from __future__ import annotations

import time
from collections.abc import Callable

from kalamdb.errors import RateLimitExceeded

BUCKETS_MAX = 65_536
BURST_S = 1.0
"""A full bucket has what comes in so many seconds."""


class Rates:
    """The buckets of all users. For one event loop."""

    def __init__(self, requests_per_s: int | None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        """`requests_per_s`: of each user; None: as many as come."""
        self._per_s = requests_per_s
        self._full = 0.0 if requests_per_s is None else requests_per_s * BURST_S
        self._now_s = now_s
        self._buckets: dict[str, tuple[float, float]] = {}
        """What is in each, and when it was."""

    def take(self, user: str) -> None:
        """Count one request. Raises RateLimitExceeded."""
        per_s = self._per_s
        if per_s is None:
            return
        now = self._now_s()
        left, at = self._buckets.get(user, (self._full, now))
        left = min(self._full, left + (now - at) * per_s)
        if left < 1.0:
            raise RateLimitExceeded(
                f"more than {per_s} requests in a second; see user_requests_per_s_max",
                retry_after_s=(1.0 - left) / per_s,
            )
        if user not in self._buckets and len(self._buckets) >= BUCKETS_MAX:
            # Users exist in the database, so this many do not come by guessing names; the oldest bucket is full again.
            del self._buckets[next(iter(self._buckets))]
        self._buckets[user] = (left - 1.0, now)
