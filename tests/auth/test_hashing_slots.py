"""The bound on computations: so many at a time, so many that wait, and an answer for the rest."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from kalamdb.auth.hashing_slots import HashingSlots
from kalamdb.errors import ResourcesExceeded
from tests.auth.conftest import Counted


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_no_more_than_so_many_are_computed_at_a_time(slots):
    pause = threading.Event()
    computation = Counted(lambda: pause.wait(0.001))
    bounded = HashingSlots(slots, waiting_max=200, timeout_s=60)

    def work() -> None:
        with bounded.taken():
            computation()

    with ThreadPoolExecutor(50) as pool:
        for done in [pool.submit(work) for _ in range(200)]:
            done.result()

    assert computation.calls == 200
    assert computation.most <= slots


def test_who_would_wait_beyond_the_bound_is_told_at_once():
    bounded = HashingSlots(1, waiting_max=2, timeout_s=60)
    leave = threading.Event()
    inside = threading.Event()

    def work() -> None:
        with bounded.taken():
            inside.set()
            leave.wait(60)

    threads = [threading.Thread(target=work) for _ in range(3)]
    threads[0].start()
    assert inside.wait(60)
    for thread in threads[1:]:
        thread.start()
    while bounded._waiting < 2:
        pass

    started = time.monotonic()
    with pytest.raises(ResourcesExceeded, match="try again"), bounded.taken():
        pass
    # Whoever waits is told so, too, but only then.
    assert time.monotonic() - started < 30
    leave.set()
    for thread in threads:
        thread.join(60)
    with bounded.taken():
        pass


def test_who_waits_for_too_long_is_told():
    bounded = HashingSlots(1, timeout_s=0.01)

    with bounded.taken(), pytest.raises(ResourcesExceeded), bounded.taken():
        pass

    assert bounded._waiting == 0
    with bounded.taken():
        pass


def test_an_error_gives_the_slot_back():
    bounded = HashingSlots(1, timeout_s=0.01)

    for _ in range(3):
        with pytest.raises(KeyError), bounded.taken():
            raise KeyError
