"""Flush, compaction and reading with rows in a bucket, while any one request, or all from one on, go wrong.

The bucket is a real S3 over HTTP on loopback (moto) behind a proxy that breaks requests on purpose. Whatever it does:
rows are exact, local writes go on, nothing is tried for ever, and once the bucket answers again the work succeeds and
leaves nothing over.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.database import Database
from kalamdb.engine.jobs.retry import RetryDelay
from kalamdb.errors import Error, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.settings import Settings
from kalamdb.storage.object_store import ObjectStoreBackend
from tests.crash.cold import Figures, orphans
from tests.crash.history import DIRECTORY, EPOCH_US
from tests.storage.s3_server import (
    FAULTS,
    FaultProxy,
    MotoServer,
    credentials,
    moto_server,
    new_bucket,
    object_names,
    unfinished_uploads,
)

ENDS_WITHIN_S = 60.0
"""How long a statement or a job may be at it before it gives up."""
TIMES = {"once": 1, "for good": 1_000_000}
ROWS = 8


@contextmanager
def in_a_hurry() -> Iterator[None]:
    """Waits of a storage are short, there is no crowd to be kind to; and its time limits, but not so short that a busy
    machine is taken for a storage that does not answer."""
    module = "kalamdb.storage.object_store."
    build = ObjectStoreBackend.__init__

    def quick(self: ObjectStoreBackend, *arguments: object) -> None:
        build(self, *arguments, request_timeout_s=3.0)  # type: ignore[arg-type]

    with (
        mock.patch(module + "FIRST_WAIT_S", 0.005),
        mock.patch(module + "LONGEST_WAIT_S", 0.02),
        mock.patch(module + "RETRY_TIMEOUT_S", 4.0),
        mock.patch(module + "REPEAT_TIMEOUT_S", 4.0),
        mock.patch.object(ObjectStoreBackend, "__init__", quick),
    ):
        yield


class Run:
    """One database whose USER table lies in a bucket of its own."""

    def __init__(self, server: MotoServer, proxy: FaultProxy, seed: int) -> None:
        self.server, self.proxy = server, proxy
        self.bucket = new_bucket(server)
        self.files = FileSystem.memory()
        self.seed = seed
        self.open()
        given = credentials(proxy.url)
        self.db.execute(f"CREATE STORAGE s TYPE s3 URI 's3://{self.bucket}/data' CREDENTIALS '{given}'")
        self.db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n INT) STORAGE s")
        self.db.execute("CREATE TABLE hot (id BIGINT PRIMARY KEY)")
        self.model = {user: {key: key for key in range(ROWS)} for user in ("alice", "bob")}
        for user, rows in self.model.items():
            self.db.session(user).executemany("INSERT INTO t VALUES (?, ?)", list(rows.items()))
        self.db.flush("t")
        for user, rows in self.model.items():
            session = self.db.session(user)
            session.execute("UPDATE t SET n = 100 WHERE id < 3")
            session.execute("DELETE FROM t WHERE id = 5")
            session.execute("INSERT INTO t VALUES (50, 50)")
            rows |= {0: 100, 1: 100, 2: 100, 50: 50}
            del rows[5]
        proxy.forgive()

    def open(self) -> None:
        self.seed += 1
        self.db = Database(
            self.files,
            DIRECTORY,
            Settings(cache_bytes=0),
            clock=Clock.manual(EPOCH_US),
            random=RandomSource.seeded(self.seed),
        )
        self.db.cold.segment_bytes_max = 1 << 20
        self.db.cold.grace_s = 0.0
        self.db.jobs._delay = RetryDelay(first_s=10_000.0)

    def reopen(self) -> None:
        self.db.close()
        self.open()

    def read(self) -> None:
        """By key, natively, and by the query engine."""
        for user, rows in self.model.items():
            session = self.db.session(user)
            assert session.execute("SELECT n FROM t WHERE id = 2").fetchall() == [(100,)]
            assert session.execute("SELECT n FROM t WHERE id = 5").fetchall() == []
            found = session.execute("SELECT id, n FROM t ORDER BY id").fetchall()
            assert found == sorted(rows.items()), f"{user} finds {found}"

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("flush", lambda: self.db.flush("t")),
            ("reading", self.read),
            ("compaction", lambda: self.db.compact("t")),
            ("opening", self.reopen),
            ("reading anew", self.read),
        ]

    def close(self) -> None:
        self.db.close()


def prove(seed: int, *, every: int = 1) -> Figures:
    """Every request (or every `every`-th) of a flush, a compaction, an opening and what reads rows, times all faults
    once, and one of them for good."""
    figures = Figures()
    with moto_server() as server, FaultProxy(server) as proxy, in_a_hurry():
        run = Run(server, proxy, seed)
        for _, step in run.steps():
            step()
        requests = len(proxy.requests)
        run.close()
        number = seed
        for at in range(1, requests + 1):
            for fault in FAULTS:
                for often in TIMES:
                    if often == "for good" and fault != FAULTS[at % len(FAULTS)]:
                        continue
                    number += 1
                    if number % every == 0:
                        break_one(server, proxy, at, fault, often, seed, figures)
        figures.outcomes["requests of a run"] = requests
    return figures


def break_one(
    server: MotoServer, proxy: FaultProxy, at: int, fault: str, often: str, seed: int, figures: Figures
) -> None:
    figures.tried += 1
    where = f"request {at} meets {fault} {often}"
    run = Run(server, proxy, seed)
    proxy.fail(fault, at=at, times=TIMES[often])
    for number, (name, step) in enumerate(run.steps()):
        started = time.monotonic()
        try:
            step()
        except (StorageUnavailable, StorageOutcomeUnknown):
            figures.outcomes[f"{name} refused"] += 1
        except Error as error:
            figures.find(f"{where}: {name} ended with {error.code}: {error}")
        except AssertionError as error:
            figures.find(f"{where}: {name}: {error}")
        if time.monotonic() - started > ENDS_WITHIN_S:
            figures.find(f"{where}: {name} took {time.monotonic() - started:.0f} s")
        try:
            run.db.execute("INSERT INTO hot SELECT count(*) FROM hot")
            run.db.session("carol").execute("INSERT INTO t VALUES (?, 0)", [number])
        except Error as error:
            figures.find(f"{where}: after {name} a local write ended with {error.code}: {error}")
    proxy.forgive()
    try:
        run.db.flush("t")
        run.read()
        run.reopen()
        run.read()
        run.db.compact("t")
        run.db.compact("t")
        run.read()
        _check_bucket(run, figures, where)
    except (Error, AssertionError) as error:
        figures.find(f"{where}: once it answered again: {type(error).__name__}: {error}")
    run.close()


def _check_bucket(run: Run, figures: Figures, where: str) -> None:
    """Nothing is there that no manifest names."""
    if left := orphans(run.db, "s"):
        figures.find(f"{where}: left over: {left} of {len(object_names(run.server, run.bucket))}")
    if unfinished_uploads(run.server, run.bucket):
        figures.find(f"{where}: an upload in parts was left unfinished")


def sample(seed: int, runs: int) -> Figures:
    """Some requests and faults by chance."""
    figures = Figures()
    dice = random.Random(seed)
    with moto_server() as server, FaultProxy(server) as proxy, in_a_hurry():
        for _ in range(runs):
            at, fault, often = dice.randrange(1, 45), dice.choice(FAULTS), dice.choice(list(TIMES))
            break_one(server, proxy, at, fault, often, seed, figures)
    return figures
