"""Requests a second of each user."""

import pytest

from kalamdb.errors import RateLimitExceeded
from kalamdb.server import rates
from kalamdb.server.rates import Rates


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_is_emptied_by_requests_and_filled_by_time() -> None:
    clock = Clock()
    limited = Rates(2, now_s=clock)
    limited.take("ann")
    limited.take("ann")
    with pytest.raises(RateLimitExceeded) as refused:
        limited.take("ann")

    assert refused.value.retry_after_s == pytest.approx(0.5)
    limited.take("sam")
    clock.now += 0.5
    limited.take("ann")
    clock.now += 60
    limited.take("ann")
    limited.take("ann")
    with pytest.raises(RateLimitExceeded):
        limited.take("ann")


def test_without_a_limit_all_may_come() -> None:
    limited = Rates(None)

    for _ in range(10_000):
        limited.take("ann")


def test_buckets_do_not_grow_without_end(monkeypatch) -> None:
    monkeypatch.setattr(rates, "BUCKETS_MAX", 10)
    limited = Rates(1)

    for number in range(100):
        limited.take(f"user {number}")

    assert len(limited._buckets) == 10
