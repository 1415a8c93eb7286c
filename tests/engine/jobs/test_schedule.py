"""The schedule of policies: it asks at every turn, and only while there is a policy."""

from __future__ import annotations

import logging
import threading

import pytest

from kalamdb.engine.jobs import JobRequest, PolicySchedule

NOTES, OTHERS = JobRequest("flush", "app", "notes"), JobRequest("flush", "app", "others")


class Turns:
    """The schedule's clock, moved by hand."""

    def __init__(self) -> None:
        self._turns = threading.Semaphore(0)
        self._waiting = threading.Semaphore(0)
        self.asked_s: list[float] = []

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.asked_s.append(seconds)
        self._waiting.release()
        while not self._turns.acquire(timeout=0.005):
            if stop.is_set():
                return True
        return stop.is_set()

    def settle(self) -> None:
        """Until the schedule waits."""
        assert self._waiting.acquire(timeout=30)

    def turn(self) -> None:
        """One interval goes by, and what is due at its end is done."""
        self._turns.release()
        self.settle()


@pytest.fixture
def turns():
    return Turns()


def policy_threads():
    return [thread for thread in threading.enumerate() if thread.name == "kalamdb-policies"]


def test_what_is_due_is_submitted_at_every_turn(turns):
    submitted = []
    due = [[NOTES], [], [NOTES, OTHERS]]
    schedule = PolicySchedule(submitted.append, interval_s=0.5, wait=turns.wait)
    schedule.begin(lambda: due.pop(0))
    schedule.watch(True)
    turns.settle()
    assert submitted == []
    for expected in ([NOTES], [NOTES], [NOTES, NOTES, OTHERS]):
        turns.turn()

        assert submitted == expected
    schedule.close()
    assert set(turns.asked_s) == {0.5}


def test_its_thread_is_there_only_while_a_table_has_a_policy(turns):
    schedule = PolicySchedule(lambda request: None, wait=turns.wait)
    schedule.watch(True)
    assert policy_threads() == []  # nobody can tell yet what is due
    schedule.begin(list)
    turns.settle()
    (thread,) = policy_threads()
    assert thread.daemon
    schedule.watch(True)
    assert policy_threads() == [thread]

    schedule.watch(False)
    thread.join(30)
    assert policy_threads() == []
    assert not schedule.is_running
    schedule.watch(True)
    turns.settle()
    assert len(policy_threads()) == 1
    schedule.close()
    assert policy_threads() == []
    schedule.watch(True)
    assert policy_threads() == []


def test_a_failure_is_told_once_and_the_next_turn_goes_on(turns, caplog):
    caplog.set_level(logging.WARNING, "kalamdb.jobs")
    submitted = []
    answers = [ValueError("x"), ValueError("x"), [NOTES], ValueError("x")]

    def due():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    schedule = PolicySchedule(submitted.append, wait=turns.wait)
    schedule.begin(due)
    schedule.watch(True)
    turns.settle()
    for expected in (1, 1, 1, 2):
        turns.turn()

        assert len(caplog.records) == expected
    assert submitted == [NOTES]
    schedule.close()


def test_it_stops_between_two_tables(turns):
    submitted = []
    schedule = PolicySchedule(
        lambda request: (submitted.append(request), schedule.watch(False)), wait=turns.wait
    )
    schedule.begin(lambda: [NOTES, OTHERS])
    schedule.watch(True)
    turns.settle()
    (thread,) = policy_threads()
    turns._turns.release()
    thread.join(30)

    assert submitted == [NOTES]
    schedule.close()
