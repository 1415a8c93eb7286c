"""Once an interval at most, whatever the clock does."""

from __future__ import annotations

import datetime
import threading

from kalamdb.engine.periodic import Periodic

AT = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)


def test_it_is_due_at_first_and_once_an_interval_from_then_on():
    periodic = Periodic(10 * MINUTE)
    assert [periodic.is_due(AT + minute * MINUTE) for minute in (0, 0, 9, 10, 11, 25)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]


def test_a_clock_that_was_set_back_does_not_put_it_off():
    periodic = Periodic(10 * MINUTE)
    assert periodic.is_due(AT)
    assert not periodic.is_due(AT - 9 * MINUTE)
    assert periodic.is_due(AT - 10 * MINUTE)


def test_one_of_many_threads_finds_it_due():
    periodic = Periodic(MINUTE)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(periodic.is_due(AT))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 1
