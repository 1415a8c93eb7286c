"""What the tests of jobs share: an engine in memory whose clock stands still, and runners over it."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator

import pytest

from kalamcore.ids import UuidsV7
from kalamcore.system import Clock, FileSystem
from kalamdb.engine import Engine
from kalamdb.engine.jobs import JobContext, JobRunner, JobTable
from kalamdb.engine.jobs_schema import JOBS
from kalamdb.errors import Error

START = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)
DAY_US = 24 * 60 * 60 * 1_000_000


class World:
    """A database's lower half, to be opened and opened again."""

    def __init__(self) -> None:
        self.files = FileSystem.memory()
        self.clock = Clock.manual(int(START.timestamp() * 1_000_000))
        self.ids = UuidsV7(clock=self.clock)
        self.runners: list[JobRunner] = []
        self.open()

    def open(self) -> None:
        self.engine = Engine(
            self.files,
            "/kalamdb",
            wal_file_bytes=1 << 20,
            stream_bytes_max=1 << 20,
            sync_interval_ms=100,
            worker_id=0,
            clock=self.clock,
        )
        self.engine.define(JOBS, [JOBS])
        self.table = JobTable(self.engine, sync=True)

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.clock.now_us() / 1_000_000, datetime.UTC)

    def runner(self, **options) -> JobRunner:
        """A runner as a database has it."""
        made = JobRunner(
            self.table,
            new_id=self.ids.one,
            now=self.now,
            retention=datetime.timedelta(days=30),
            **options,
        )
        self.runners.append(made)
        return made

    def lose_power(self) -> None:
        """All that was synced is there, and a new life begins."""
        self.files = self.files.crash()
        self.open()

    def close(self) -> None:
        for runner in self.runners:
            runner.close()
        # A test may have poisoned it.
        with contextlib.suppress(Error):
            self.engine.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


class Gate:
    """A job's function that begins, and goes on when it is let: `pass_one` for each time that it is called.

    What it does then: `after(context)`, whose result is the job's.
    """

    def __init__(self, after: Callable[[JobContext], str | None] = lambda context: None) -> None:
        self.after = after
        self.begun = threading.Semaphore(0)
        self.passes = threading.Semaphore(0)
        self.contexts: list[JobContext] = []

    def __call__(self, context: JobContext) -> str | None:
        self.contexts.append(context)
        self.begun.release()
        while not self.passes.acquire(timeout=0.005):
            context.check()
        return self.after(context)

    def wait_for_begin(self) -> None:
        assert self.begun.acquire(timeout=30)

    def pass_one(self) -> None:
        self.passes.release()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def new_gate() -> type[Gate]:
    return Gate
