"""Turns: who waits, for whom, and who is sent away."""

from __future__ import annotations

import asyncio

import pytest

from kalamdb.errors import RateLimitExceeded
from kalamdb.server.turns import Turns


class Work:
    """Statements that run until they are told to end, and the order in which they began."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def send(self, name: str) -> None:
        """Begin one, named by its user and a digit."""
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(name))
        await settled()

    async def _run(self, name: str) -> None:
        async with self.turns.taken(name[0]):
            self.began.append(name)
            await self.ends[name].wait()

    async def end(self, name: str) -> None:
        self.ends[name].set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def turns(running: int = 2, per_user: int = 2, waiting: int = 100, wait_s: float = 60.0) -> Turns:
    return Turns(running, per_user, waiting, wait_s)


def test_users_have_their_turns_one_after_the_other_however_many_one_sends() -> None:
    async def story() -> list[str]:
        work = Work(turns(running=1, per_user=1))
        for name in ("a0", "a1", "a2", "a3", "b1", "c1", "b2"):
            await work.send(name)
        for name in ("a0", "a1", "b1", "c1", "a2", "b2", "a3"):
            await work.end(name)
        assert work.turns.running == work.turns.waiting == 0
        return work.began

    assert asyncio.run(story()) == ["a0", "a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_user_at_its_own_limit_keeps_no_place_from_others() -> None:
    async def story() -> list[str]:
        work = Work(turns(running=3, per_user=2))
        for name in ("a0", "a1", "a2", "a3", "b0", "b1"):
            await work.send(name)
        assert work.turns.running == 3
        assert work.turns.waiting == 3
        await work.end("a0")
        return work.began

    assert asyncio.run(story()) == ["a0", "a1", "b0", "a2"]


def test_a_line_that_is_too_long_is_one_users_own_trouble() -> None:
    async def story() -> None:
        work = Work(turns(running=1, per_user=1, waiting=8))
        for name in ("a0", "a1", "a2"):
            await work.send(name)
        await work.send("a3")
        with pytest.raises(RateLimitExceeded) as refused:
            await work.tasks["a3"]
        assert refused.value.retry_after_s > 0
        await work.send("b0")
        await work.end("a0")
        await work.end("a1")
        assert "b0" in work.began

    asyncio.run(story())


def test_all_lines_together_have_an_end() -> None:
    async def story() -> None:
        work = Work(turns(running=1, per_user=1, waiting=4))
        for name in ("a0", "b0", "c0", "d0", "e0"):
            await work.send(name)
        assert work.turns.waiting == 4
        await work.send("f0")
        with pytest.raises(RateLimitExceeded):
            await work.tasks["f0"]

    asyncio.run(story())


def test_who_waits_too_long_is_sent_away_and_leaves_its_line() -> None:
    async def story() -> None:
        work = Work(turns(running=1, per_user=1, wait_s=0.02))
        await work.send("a0")
        await work.send("b0")
        with pytest.raises(RateLimitExceeded, match="turn"):
            await work.tasks["b0"]
        assert work.turns.waiting == 0
        await work.end("a0")
        await work.send("b1")
        assert work.began == ["a0", "b1"]

    asyncio.run(story())


def test_who_is_cancelled_while_it_waits_or_just_has_its_turn_takes_no_place() -> None:
    async def story() -> None:
        work = Work(turns(running=1, per_user=1))
        for name in ("a0", "b0", "c0"):
            await work.send(name)
        work.tasks["b0"].cancel()
        await settled()
        work.ends["a0"].set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        work.tasks["c0"].cancel()
        await settled()
        assert work.turns.running == work.turns.waiting == 0
        await work.send("d0")
        assert work.began[-1] == "d0"

    asyncio.run(story())


def test_idle_is_when_nobody_runs() -> None:
    async def story() -> None:
        work = Work(turns())
        await asyncio.wait_for(work.turns.idle(), 30)
        await work.send("a0")
        waiting = asyncio.create_task(work.turns.idle())
        await settled()
        assert not waiting.done()
        await work.end("a0")
        await asyncio.wait_for(waiting, 30)

    asyncio.run(story())
