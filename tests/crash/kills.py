"""kill -9, SIGTERM and SIGINT at any moment under four writers, with the acknowledgements in this process.

After every kill the database must hold, for each thread, what its acknowledged statements left, or one statement more
that was on its way: a prefix, nothing half. The directory goes on through several kills.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import kalamdb
from kalamdb.database import _open_databases
from kalamdb.errors import Error
from tests.crash.writers import CREATE, rows_after

ROOT = Path(__file__).parents[2]

THREADS = 4
KILLS_PER_DIRECTORY = 10
SECONDS_TO_END_MAX = 30.0


@dataclass
class Figures:
    """How often, and what was wrong."""

    kills: int = 0
    acknowledged: int = 0
    in_flight_kept: int = 0
    torn: int = 0
    seconds_max: float = 0.0
    """How long the slowest took to end."""
    lost: int = 0
    extra: int = 0
    half: int = 0
    other: int = 0
    findings: list[str] = field(default_factory=list)

    def find(self, kind: str, what: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.findings) < 20:
            self.findings.append(f"{kind}: {what}")

    @property
    def wrong(self) -> int:
        return self.lost + self.extra + self.half + self.other


class Writers:
    """The process that writes, and the journal of what it was told."""

    def __init__(self, directory: str, durability: str, begin: list[int]) -> None:
        self.begin = begin
        self.acknowledged = [number - 1 for number in begin]
        self.stopped: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.writers", directory, durability, *map(str, begin)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # a buffer would keep acknowledgements from communicate()
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the writers did not start: {self.process.communicate()[1].decode()}")

    def end(self, number: int) -> float:
        """Send a signal, wait, and read the journal to its end. Returns the seconds that it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        return self.wait(started)

    def wait(self, started: float) -> float:
        try:
            output, _ = self.process.communicate(timeout=SECONDS_TO_END_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
            self.stopped.append("it hung")
        for line in output.decode().splitlines():
            words = line.split()
            if len(words) == 2:
                thread, done = map(int, words)
                self.acknowledged[thread] = max(self.acknowledged[thread], done)
            else:
                self.stopped.append(line)
        return time.monotonic() - started

    @property
    def count(self) -> int:
        """How many statements were acknowledged."""
        return sum(done - first + 1 for done, first in zip(self.acknowledged, self.begin, strict=True))


def check(directory: str, acknowledged: list[int], figures: Figures, where: str, *, clean: bool) -> list[int]:
    """Open the database, look at every thread's rows, close it or not. Returns what each thread writes next."""
    try:
        db = kalamdb.open(directory, wal_file_bytes="64KiB")
    except Error as error:
        figures.find("lost", f"{where}: does not open: {error}")
        return []
    db.execute(CREATE)
    figures.torn += bool(db.recovery["torn_bytes"])
    following = []
    for thread, done in enumerate(acknowledged):
        rows = dict(db.session(f"writer{thread}").execute("SELECT id, body FROM rows").fetchall())
        if rows == rows_after(done):
            following.append(done + 1)
        elif rows == rows_after(done + 1):
            following.append(done + 2)
            figures.in_flight_kept += 1
        else:
            kind, what = "half", "any number of"
            for other in range(done + 40):
                if rows == rows_after(other):
                    kind, what = ("lost" if other < done else "extra"), str(other)
            figures.find(
                kind, f"{where}, thread {thread}: {what} statements are there, {done} were acknowledged"
            )
            following.append(done + 1)
    if clean:
        db.close()
    else:
        # As if this process had been killed, but for the lock.
        _open_databases.discard(db)
        db.engine.directory.release()
    return [] if figures.wrong else following


def prove(seed: int, kills: int, durability: str, number: int = signal.SIGKILL, group: str = "") -> Figures:
    """`kills` processes that end by the signal, each at a random time; in a control group, where one is given."""
    figures = Figures()
    dice = random.Random(seed)
    directory = ""
    following: list[int] = []
    try:
        for kill in range(kills):
            if kill % KILLS_PER_DIRECTORY == 0 or not following:
                if directory:
                    shutil.rmtree(directory)
                directory = tempfile.mkdtemp(prefix="kills-")
                following = [1] * THREADS
            writers = Writers(os.path.join(directory, "data"), durability, following)
            if group:
                Path(group).write_text(str(writers.process.pid))
            time.sleep(dice.random() ** 2 * 0.4)
            seconds = writers.end(number)
            figures.kills += 1
            figures.acknowledged += writers.count
            where = f"seed {seed}, {durability}, kill {kill}"
            figures.seconds_max = max(figures.seconds_max, seconds)
            wanted = 0 if number in (signal.SIGTERM, signal.SIGINT) else -signal.SIGKILL
            if seconds > SECONDS_TO_END_MAX or writers.process.returncode != wanted:
                figures.find(
                    "other", f"{where}: ended after {seconds:.1f} s with {writers.process.returncode}"
                )
            for line in writers.stopped:
                if "DATABASE_CLOSED" not in line:
                    figures.find("other", f"{where}: {line}")
            following = check(
                os.path.join(directory, "data"),
                writers.acknowledged,
                figures,
                where,
                clean=dice.random() < 0.5,
            )
    finally:
        if directory:
            shutil.rmtree(directory, ignore_errors=True)
    return figures
