"""How often a user may send requests: a bucket each, which fills with time and from which each request takes one."""

from __future__ import annotations

import time
from collections.abc import Callable

from kalamdb.errors import RateLimitExceeded
from kalamdb.server.bucket import Bucket

BUCKETS_MAX = 65_536


class Rates:
    """The buckets of all users. For one event loop."""

    def __init__(self, requests_per_s: int | None, *, now_s: Callable[[], float] = time.monotonic) -> None:
        """`requests_per_s`: of each user; None: as many as come."""
        self._per_s = requests_per_s
        self._now_s = now_s
        self._buckets: dict[str, Bucket] = {}

    def take(self, user: str) -> None:
        """Count one request. Raises RateLimitExceeded."""
        per_s = self._per_s
        if per_s is None:
            return
        now = self._now_s()
        bucket = self._buckets.get(user)
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:
                # Users exist in the database, so this many do not come by guessing names; the oldest bucket is full
                # again.
                del self._buckets[next(iter(self._buckets))]
            bucket = self._buckets[user] = Bucket(per_s, now)
        wait_s = bucket.take(per_s, now)
        if wait_s:
            raise RateLimitExceeded(
                f"more than {per_s} requests in a second; see user_requests_per_s_max", retry_after_s=wait_s
            )
