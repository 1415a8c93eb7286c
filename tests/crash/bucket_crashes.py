"""The process dies between any two requests of a flush or a compaction whose storage is a bucket.

What the bucket has by then stays there, whatever the machine's own disk loses. Each row must be there once, as it was,
with its sequence number, after the next opening, after another flush, and after compactions that leave nothing in the
bucket that no manifest names: R11's matrix, in the storage that is not a file system.
"""

from __future__ import annotations

import gc
import random

from kalamcore.system import FileSystem
from tests.crash.cold import CHANGES, EPOCH_US, Figures, check_disk, done, fill, open_database, rows_of
from tests.crash.power_loss import LOSSES
from tests.crash.watched_bucket import WatchedBucket, crashes
from tests.storage.s3_server import MotoServer, moto_server

STORAGE = "s"
WORKS = ("flush", "compact")


class Run:
    """A flush or a compaction of changes of one kind, with everything as it stood before each of its requests."""

    def __init__(self, server: MotoServer, work: str, change: str) -> None:
        self.bucket = WatchedBucket(server)
        with self.bucket.watched():
            db = open_database(self.bucket.files)
            db.execute(f"CREATE STORAGE {STORAGE} {self.bucket.place('data')}")
            fill(db, change, work, STORAGE)
            self.wanted = rows_of(db, deleted=True)
            self.bucket.files.record()
            # So that there is a moment of the disk before the first request, too.
            db.execute("CREATE NAMESPACE moment")
            self.bucket.begin()
            done(db, work)
            self.bucket.end()
            db.close()

    def check(self, disk: FileSystem) -> str:
        return check_disk(disk, self.wanted, deleted=True, now_us=EPOCH_US, storage_id=STORAGE)


def sample(seed: int) -> Figures:
    """One kind of work and of change by chance, killed before a few of its requests."""
    figures = Figures()
    dice = random.Random(seed)
    with moto_server() as server:
        work, change = dice.choice(WORKS), dice.choice(list(CHANGES))
        run = Run(server, work, change)
        for moment in dice.sample(run.bucket.moments, 3):
            loss = dice.choice(LOSSES)
            run.bucket.come_back(moment, loss, seed, f"{work} of {change}", run.check, figures)
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
                for _, moment, loss, loss_seed in crashes(run.bucket.moments, number, every):
                    run.bucket.come_back(moment, loss, loss_seed, f"{work} of {change}", run.check, figures)
                number += len(run.bucket.moments)
                gc.collect()
    return figures
