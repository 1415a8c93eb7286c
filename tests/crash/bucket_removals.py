"""The process dies between any two requests of DROP TABLE, DROP NAMESPACE and ERASE USER DATA of rows in a bucket.

As on a file system: what was dropped is there with every row or not at all, nothing of it stays in the bucket, and of
what was erased neither the machine nor the bucket holds a byte once that is acknowledged, or once it was asked for
again.
"""

from __future__ import annotations

import gc
import random

from kalamcore.system import FileSystem
from tests.crash import removals
from tests.crash.backups import settle
from tests.crash.cold import Figures
from tests.crash.power_loss import LOSSES
from tests.crash.removals import ERASED, STATEMENTS, check_drop, check_erasure, seen, world
from tests.crash.watched_bucket import Moment, WatchedBucket, crashes
from tests.storage.s3_server import MotoServer, moto_server

NAMESPACES = {"app": "shelf", "rest": "shelf"}


class Run:
    """One of the statements and the clean-up after it, with everything as it stood before each request."""

    def __init__(self, server: MotoServer, statement: str) -> None:
        self.statement = statement
        self.bucket = WatchedBucket(server)
        with self.bucket.watched():
            db = world(self.bucket.files, self.bucket.place("data"), NAMESPACES)
            before = seen(db)
            self.bucket.files.record()
            # So that there is a moment of the disk before the first request, too.
            db.checkpoint()
            self.bucket.begin()
            db.execute(STATEMENTS[statement])
            self._answered = len(self.bucket.moments)
            answered = self.bucket.files.recorded()
            settle(db)
            self.bucket.end()
            self._run = removals.Run(self.bucket.files, statement, answered, before, seen(db))
            db.close()

    def crash(self, at: int, moment: Moment, loss: str, seed: int, figures: Figures) -> None:
        """The process dies at a moment."""
        acknowledged = at >= self._answered

        def check(disk: FileSystem) -> str:
            if self.statement != "erase":
                found, wrong = check_drop(disk, self._run, acknowledged=acknowledged)
            else:
                told = self._with_canary() if acknowledged else ""
                found, wrong = check_erasure(disk, self._run, acknowledged=acknowledged)
                wrong = told or wrong or self._with_canary()
            figures.outcomes[f"{self.statement}: {found or 'wrong'}"] += 1
            return wrong

        self.bucket.come_back(moment, loss, seed, self.statement, check, figures)

    def _with_canary(self) -> str:
        """What is wrong with objects that hold a byte of what was erased."""
        left = [name for name, content in self.bucket.objects().items() if ERASED.encode() in content]
        return f"{left} of the bucket hold bytes of what was erased" if left else ""


def sample(seed: int) -> Figures:
    """One of the statements by chance, killed before a few of its requests and after the last one."""
    figures = Figures()
    dice = random.Random(seed)
    with moto_server() as server:
        run = Run(server, dice.choice(list(STATEMENTS)))
        last = len(run.bucket.moments) - 1
        for at in (*dice.sample(range(last), 2), last):
            run.crash(at, run.bucket.moments[at], dice.choice(LOSSES), seed, figures)
    return figures


def prove(seed: int, *, every: int = 1) -> Figures:
    """Every request (or every `every`-th) of each statement: the process is killed before it; at every third one the
    power is cut, too, with one loss by turns."""
    figures = Figures()
    number = seed
    with moto_server() as server:
        for statement in STATEMENTS:
            run = Run(server, statement)
            for crash in crashes(run.bucket.moments, number, every):
                run.crash(*crash, figures)
            number += len(run.bucket.moments)
            gc.collect()
    return figures
