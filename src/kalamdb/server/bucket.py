"""How often something may be done: a bucket that fills with time, and from which each time takes one."""

from __future__ import annotations


class Bucket:
    """Full, it has what comes in a second. For one event loop."""

    __slots__ = ("_at_s", "_left")

    def __init__(self, per_s: float, now_s: float) -> None:
        self._left = per_s
        self._at_s = now_s

    def take(self, per_s: float, now_s: float) -> float:
        """Take one; 0, or, where there is none, in how many seconds there will be. `now_s`: of a clock that never
        steps back."""
        left = min(per_s, self._left + (now_s - self._at_s) * per_s)
        self._at_s = now_s
        if left < 1.0:
            self._left = left
            return (1.0 - left) / per_s
        self._left = left - 1.0
        return 0.0
