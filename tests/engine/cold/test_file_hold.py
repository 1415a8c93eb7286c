"""The hold on files: jobs one at a time, clean-ups beside each other, never both."""

from __future__ import annotations

import threading

import pytest

from kalamdb.engine.cold.file_hold import FileHold
from kalamdb.errors import JobCancelled

DEADLINE_S = 30.0


def nothing() -> None:
    """A check that lets the job go on."""


def test_clean_ups_run_beside_each_other() -> None:
    hold = FileHold()
    with hold.cleaning() as first, hold.cleaning() as second:
        assert first
        assert second
    with hold.held(nothing):
        pass


def test_no_clean_up_while_a_job_has_the_hold() -> None:
    hold = FileHold()
    with hold.held(nothing):
        with hold.cleaning() as may:
            assert not may
        with hold.cleaning() as may:
            assert not may
    with hold.cleaning() as may:
        assert may


def test_a_job_waits_for_clean_ups_under_way_and_lets_no_other_begin() -> None:
    hold = FileHold()
    has = threading.Event()

    def job() -> None:
        with hold.held(nothing):
            has.set()

    with hold.cleaning() as may:
        assert may
        waiting = threading.Thread(target=job)
        waiting.start()
        while not hold._held:
            pass
        with hold.cleaning() as late:
            assert not late
        assert not has.is_set()
    assert has.wait(DEADLINE_S)
    waiting.join(DEADLINE_S)


def test_a_second_job_waits_for_the_first_and_can_be_stopped_meanwhile() -> None:
    hold = FileHold()

    def stop() -> None:
        raise JobCancelled("job 1 was killed")

    with hold.held(nothing):
        with pytest.raises(JobCancelled), hold.held(stop):
            raise AssertionError("two have it")
        # Who gave up took nothing away from the one that has it.
        with hold.cleaning() as may:
            assert not may
    with hold.held(stop), hold.cleaning() as may:
        assert not may
