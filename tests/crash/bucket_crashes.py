"""The process dies between any two requests of a flush or a compaction whose storage is a bucket.

What the bucket has by then stays there, whatever the machine's own disk loses. Each row must be there once, as it was,
with its sequence number, after the next opening, after another flush, and after compactions that leave nothing in the
bucket that no manifest names: R11's matrix, in the storage that is not a file system.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.storage import object_store
from kalamdb.storage.credentials import parse_credentials
from kalamdb.storage.uri import parse_uri
from tests.crash.cold import CHANGES, EPOCH_US, Figures, check_disk, done, fill, open_database, rows_of
from tests.crash.power_loss import LOSSES
from tests.storage.s3_server import (
    MotoServer,
    credentials,
    moto_server,
    new_bucket,
    unfinished_uploads,
)

STORAGE = "s"
REQUESTS = ("put", "get", "get_range", "head", "delete", "list")
WORKS = ("flush", "compact")

Objects = dict[str, bytes]


@dataclass
class Moment:
    """Before a request, or after the last one. `done`: how much the machine's own disk had by then."""

    request: str
    recorded: int
    objects: Objects


class Watched:
    """obstore, told of before each request."""

    def __init__(self, library: Any, before: Callable[[str], None]) -> None:
        self._library, self._before = library, before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        if name not in REQUESTS:
            return found

        def watched(store: Any, *arguments: Any, **named: Any) -> Any:
            path = arguments[0] if arguments else named.get("prefix")
            self._before(f"{name} {path}")
            return found(store, *arguments, **named)

        return watched


class Run:
    """A flush or a compaction of changes of one kind, with everything as it stood before each of its requests."""

    def __init__(self, server: MotoServer, work: str, change: str) -> None:
        self.server = server
        self.bucket = new_bucket(server)
        self.files = FileSystem.memory()
        given = credentials(server.url)
        # The way into the bucket that nobody watches.
        self.outside = object_store.ObjectStoreBackend(
            "outside", parse_uri("s3", f"s3://{self.bucket}"), parse_credentials(given, "s3")
        )
        self.moments: list[Moment] = []
        self.watching = False
        library = object_store._library
        with mock.patch.object(object_store, "_library", lambda name: Watched(library(name), self.note)):
            db = open_database(self.files)
            db.execute(
                f"CREATE STORAGE {STORAGE} TYPE s3 URI 's3://{self.bucket}/data' CREDENTIALS '{given}'"
            )
            fill(db, change, work, STORAGE)
            self.wanted = rows_of(db, deleted=True)
            self.files.record()
            # So that there is a moment of the disk before the first request, too.
            db.execute("CREATE NAMESPACE moment")
            self.watching = True
            self.work(db, work)
            self.note("the end")
            self.watching = False
            db.close()

    def work(self, db: Database, work: str) -> None:
        done(db, work)

    def note(self, request: str) -> None:
        if self.watching:
            self.moments.append(Moment(request, self.files.recorded(), self.objects()))

    def objects(self) -> Objects:
        """What is in the bucket."""
        return {name: self.outside.read(name) for name in self.outside.list()}

    def put_back(self, objects: Objects) -> None:
        """The bucket as it was."""
        for name in list(self.outside.list()):
            if name not in objects:
                self.outside.delete(name)
        for name, content in objects.items():
            self.outside.write(name, content)

    def disk(self, moment: Moment, loss: str, seed: int) -> FileSystem:
        """What the machine finds when it comes back."""
        return self.files.crash(loss, seed, after=moment.recorded - 1)


def sample(seed: int) -> Figures:
    """One kind of work and of change by chance, killed before a few of its requests."""
    figures = Figures()
    dice = random.Random(seed)
    with moto_server() as server:
        work, change = dice.choice(WORKS), dice.choice(list(CHANGES))
        run = Run(server, work, change)
        for moment in dice.sample(run.moments, 3):
            _come_back(run, moment, dice.choice(LOSSES), seed, f"{work} of {change}", figures)
    return figures


def prove(seed: int, *, every: int = 1) -> Figures:
    """Every request (or every `every`-th) of a flush and of a compaction of each kind of change: the process is killed
    before it; at every third one the power is cut, too, with one loss by turns."""
    figures = Figures()
    number = seed
    with moto_server() as server:
        for work in WORKS:
            for change in CHANGES:
                run = Run(server, work, change)
                for moment in run.moments:
                    number += 1
                    if number % every == 0:
                        _come_back(run, moment, "none", number, f"{work} of {change}", figures)
                    if number % (3 * every) == 0:
                        loss = LOSSES[1 + number // (3 * every) % (len(LOSSES) - 1)]
                        _come_back(run, moment, loss, number, f"{work} of {change}", figures)
                gc.collect()
    return figures


def _come_back(run: Run, moment: Moment, loss: str, seed: int, what: str, figures: Figures) -> None:
    figures.tried += 1
    figures.outcomes["killed" if loss == "none" else "power cut"] += 1
    run.put_back(moment.objects)
    disk = run.disk(moment, loss, seed)
    trouble = check_disk(disk, run.wanted, deleted=True, now_us=EPOCH_US, storage_id=STORAGE)
    if not trouble and unfinished_uploads(run.server, run.bucket):
        trouble = "an upload in parts was left unfinished"
    if trouble:
        figures.find(f"{what}, before {moment.request}, loss {loss} {seed}: {trouble}")
