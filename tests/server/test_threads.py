"""Statements that compute come behind the event loop, where the process is the server's; those that wait do not."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from kalamdb.server.threads import NICENESS, Threads
from kalamdb.settings import Settings

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority each on Linux alone")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def of_a_thread_begun_here() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(niceness()))
    thread.start()
    thread.join()
    return found[0]


async def found(*, alone: bool) -> list[int]:
    """Of a thread that computes, one that it begins, one that waits, one at the door, and the event loop's."""
    threads = Threads(Settings(), 1.0, alone=alone)
    try:
        return [
            await threads.run("u", niceness),
            await threads.run("u", of_a_thread_begun_here),
            await threads.run("u", niceness, waits=True),
            await threads.at_the_door(niceness),
            niceness(),
        ]
    finally:
        await threads.end(1.0)


@linux
def test_only_what_computes_comes_behind() -> None:
    own = niceness()
    behind = min(own + NICENESS, 19)
    assert asyncio.run(found(alone=True)) == [behind, behind, own, own, own]


@linux
def test_within_an_application_of_ones_own_nothing_does() -> None:
    assert set(asyncio.run(found(alone=False))) == {niceness()}
