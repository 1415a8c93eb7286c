"""Full disks: inserts are refused, deletes and drops are taken, and everything goes on once there is room.

A tmpfs of a few MB is the disk; a file beside the database is what is removed to make room. Asks for root.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import kalamdb
from kalamdb.errors import Error, StorageUnavailable
from tests.crash.failures import Figures

BALLAST_BYTES = 1 << 20


def missing_mounts() -> str:
    """Why no file system can be mounted here; empty where it can."""
    if os.geteuid() != 0:
        return "mounting a tmpfs needs root"
    try:
        with small_disk(1):
            return ""
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        return f"a tmpfs cannot be mounted here: {error}"


@contextmanager
def small_disk(megabytes: int) -> Iterator[str]:
    """A directory that is a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="disk-") as directory:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory],
            check=True,
            capture_output=True,
        )
        try:
            yield directory
        finally:
            subprocess.run(["umount", "-l", directory], check=True, capture_output=True)


def prove_full_disks(seed: int, fills: int) -> Figures:
    """Fill a disk, look at what is refused and what is not, make room, go on, and open again."""
    figures = Figures()
    for fill in range(fills):
        figures.tried += 1
        dice = random.Random(seed + fill)
        try:
            _fill(dice, figures, f"seed {seed}, fill {fill}")
        except Error as error:
            figures.find(f"seed {seed}, fill {fill}: {error.code}: {error}")
    return figures


def _fill(dice: random.Random, figures: Figures, where: str) -> None:
    with small_disk(dice.randint(3, 6)) as disk:
        ballast = os.path.join(disk, "ballast")
        with open(ballast, "wb") as file:
            file.write(bytes(BALLAST_BYTES))
        settings = {
            "wal_file_bytes": dice.choice(("64KiB", "256KiB", "1MiB", "64MiB")),
            # Segments take room too, and give back that of the log.
            "memtable_bytes": dice.choice(("4KiB", "256KiB", "64MiB")),
        }
        db = kalamdb.open(os.path.join(disk, "data"), **settings)
        db.execute("CREATE TABLE rows (id BIGINT PRIMARY KEY, body TEXT)")
        db.execute("CREATE TABLE doomed (id BIGINT PRIMARY KEY)")
        wanted: dict[int, str] = {}
        key = 0
        try:
            while True:
                new = {key + n: "x" * dice.randint(0, 2000) for n in range(dice.choice((1, 3, 50)))}
                flat = [value for row in new.items() for value in row]
                db.execute(f"INSERT INTO rows VALUES {', '.join(['(?, ?)'] * len(new))}", flat)
                wanted |= new
                key += len(new)
        except StorageUnavailable:
            figures.outcomes["filled"] += 1

        def agrees(when: str) -> None:
            found = dict(db.execute("SELECT id, body FROM rows").fetchall())
            if found != wanted:
                figures.find(f"{where}, {when}: {len(found)} rows, {len(wanted)} are wanted")

        # Small ones may still fit; in the end nothing does.
        for _ in range(3000):
            key += 1
            try:
                db.execute("INSERT INTO rows VALUES (?, 'small')", [key])
                wanted[key] = "small"
            except StorageUnavailable:
                break
        agrees("full")
        for gone in dice.sample(sorted(wanted), 5):
            db.execute("DELETE FROM rows WHERE id = ?", [gone])
            del wanted[gone]
        db.execute("DROP TABLE doomed")
        agrees("after deleting on a full disk")
        os.remove(ballast)
        for _ in range(20):
            key += 1
            db.execute("INSERT INTO rows VALUES (?, 'with room')", [key])
            wanted[key] = "with room"
        agrees("with room again")
        if dice.random() < 0.5:
            db.close()
        else:
            db.engine.directory.release()
        db = kalamdb.open(os.path.join(disk, "data"), **settings)
        agrees("opened again")
        if any(name == "doomed" for _, name in db.catalog.tables):
            figures.find(f"{where}: the dropped table came back")
        db.close()
