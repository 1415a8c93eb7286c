"""How long after a failure the same work is tried again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryDelay:
    """Doubles with each failure in a row, from `first_s` up to `max_s`.

    A job that failed is followed by up to `retries_max` retries of itself (1, 2, 4, 8 and 16 s after each other, half a
    minute in all). A policy goes on asking after that, and is heard no more often than the delay allows.
    """

    first_s: float = 1.0
    max_s: float = 300.0
    retries_max: int = 5

    def after(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row, from 1."""
        return min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 60))
