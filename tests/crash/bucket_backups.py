"""The process dies between any two requests of a backup to a bucket: a whole one, or none and the one before stands.

A table's cold rows are in the same bucket. A piece that a dead backup left is no orphan: the next backup finds it there
and takes it, so that each is named by a description once there is one more.
"""

from __future__ import annotations

import gc
import random

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.engine.backup.description import decode_backup
from kalamdb.engine.backup.target import DESCRIPTIONS, PIECES
from tests.crash.backups import Place, check_backup, take_backup, world
from tests.crash.cold import Figures
from tests.crash.power_loss import LOSSES
from tests.crash.watched_bucket import Moment, WatchedBucket, crashes
from tests.storage.s3_server import MotoServer, moto_server

KINDS = ("first", "further")
BACKUPS = "backups"


class BucketPlace(Place):
    """A folder of the bucket. What is restored has cold files of its own beside those of the first database."""

    def __init__(self, bucket: WatchedBucket) -> None:
        self.uri = bucket.uri(BACKUPS)
        self._bucket = bucket
        self._restored = 0

    def prepare(self, db: Database) -> None:
        self._restored += 1
        db.execute(f"CREATE STORAGE shelf {self._bucket.place(f'restored-{self._restored}')}")

    def files(self, disk: FileSystem) -> list[str]:
        return [name[len(BACKUPS) + 1 :] for name in self._bucket.names(BACKUPS)]

    def halves(self, disk: FileSystem) -> list[str]:
        return super().halves(disk) + self._unnamed()

    def _unnamed(self) -> list[str]:
        """Pieces that no backup names."""
        objects = self._bucket.objects()
        pieces = {name for name in objects if name.startswith(f"{BACKUPS}/{PIECES}/")}
        for name, content in objects.items():
            if name.startswith(f"{BACKUPS}/{DESCRIPTIONS}/"):
                for chunk in decode_backup(name, content).chunks():
                    pieces.discard(f"{BACKUPS}/{PIECES}/{chunk.checksum}-{chunk.size}")
        return sorted(pieces)


class Run:
    """A first or a further backup, with everything as it stood before each of its requests."""

    def __init__(self, server: MotoServer, kind: str) -> None:
        self.kind = kind
        self.bucket = WatchedBucket(server)
        self.place = BucketPlace(self.bucket)
        with self.bucket.watched():
            db = world(self.bucket.files, self.bucket.place("data"))

            def record() -> None:
                self.bucket.files.record()
                # So that there is a moment of the disk before the first request, too.
                db.checkpoint()
                self.bucket.begin()

            self._run = take_backup(kind, db, self.place, record)
            self.bucket.end()
            db.close()

    def crash(self, at: int, moment: Moment, loss: str, seed: int, figures: Figures) -> None:
        """The process dies at a moment; after the last request the backup was acknowledged."""
        acknowledged = at == len(self.bucket.moments) - 1

        def check(disk: FileSystem) -> str:
            found, wrong = check_backup(disk, self._run, acknowledged=acknowledged, place=self.place)
            figures.outcomes[f"{self.kind}: {found or 'wrong'}"] += 1
            return wrong

        self.bucket.come_back(moment, loss, seed, f"the {self.kind} backup", check, figures)


def sample(seed: int) -> Figures:
    """A further backup, killed before a few of its requests and after the last one."""
    figures = Figures()
    dice = random.Random(seed)
    with moto_server() as server:
        run = Run(server, "further")
        last = len(run.bucket.moments) - 1
        for at in (*dice.sample(range(last), 2), last):
            run.crash(at, run.bucket.moments[at], dice.choice(LOSSES), seed, figures)
    return figures


def prove(seed: int, *, every: int = 1) -> Figures:
    """Every request (or every `every`-th) of a first backup and of a further one: the process is killed before it; at
    every third one the power is cut, too, with one loss by turns."""
    figures = Figures()
    number = seed
    with moto_server() as server:
        for kind in KINDS:
            run = Run(server, kind)
            for crash in crashes(run.bucket.moments, number, every):
                run.crash(*crash, figures)
            number += len(run.bucket.moments)
            gc.collect()
    return figures
