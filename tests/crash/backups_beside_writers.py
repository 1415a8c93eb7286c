"""Backups taken while writers, flushes and compactions go on: each restores to a prefix of the order of commits.

Every commit writes to three tables at once: a row that is never changed into its writer's partition of a USER table,
the same into a SHARED one, and the writer's highest number into a third, by an update. What a restored database has
must be all commits up to some sequence number and nothing of a later one, everything that was acknowledged before the
backup began among them.
"""

from __future__ import annotations

import itertools
import random
import tempfile
import threading
from pathlib import Path

import kalamdb
from kalamdb.database import Database
from kalamdb.errors import SerializationFailure
from tests.crash.failures import Figures

WRITERS = ("ann", "ben", "cam")
MEMTABLE_BYTES = 64 << 10
Commits = set[tuple[str, int]]


class Writers:
    """Threads that write until they are told to stop. `acknowledged`: each writer's last number that was."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db = db
        self.stop = threading.Event()
        self.acknowledged = dict.fromkeys(WRITERS, -1)
        self.failures: list[str] = []
        self.threads = [threading.Thread(target=self._run, args=(self.write, name)) for name in WRITERS]
        self.threads.append(threading.Thread(target=self._run, args=(self.move, seed)))
        for thread in self.threads:
            thread.start()

    def _run(self, work: object, argument: object) -> None:
        try:
            work(argument)  # type: ignore[operator]
        except BaseException as error:
            self.failures.append(repr(error))

    def write(self, name: str) -> None:
        session = self.db.session(name, role="dba", durability="normal")
        number = 0
        while not self.stop.is_set():
            try:
                with session.transaction():
                    session.execute("INSERT INTO own VALUES (?)", [number])
                    session.execute("INSERT INTO everybodys VALUES (?, ?)", [f"{name} {number}", number])
                    session.execute("UPDATE highest SET n = ? WHERE id = ?", [number, name])
            except SerializationFailure:
                continue
            self.acknowledged[name] = number
            number += 1
            # Not more than a backup can be looked through in a moment.
            self.stop.wait(0.001)

    def move(self, seed: int) -> None:
        dice = random.Random(seed)
        works = [self.db.flush, self.db.compact, self.db.checkpoint]
        while not self.stop.is_set():
            dice.choice(works)()
            self.stop.wait(dice.random() / 50)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def commits_of(db: Database) -> dict[str, dict[tuple[str, int], int]]:
    """By table: (writer, number) of each commit that it shows, with the sequence number of its row."""
    found: dict[str, dict[tuple[str, int], int]] = {"own": {}, "everybodys": {}}
    for name in WRITERS:
        rows = db.session(name).execute("SELECT id, _seq FROM own").fetchall()
        found["own"] |= {(name, number): sequence for number, sequence in rows}
    for key, sequence in db.execute("SELECT id, _seq FROM everybodys").fetchall():
        name, number = key.split()
        found["everybodys"][name, int(number)] = sequence
    return found


def prove(seed: int, backups: int = 50) -> Figures:
    """So many backups to one place, each restored and looked through while the writers go on."""
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="backups-") as directory:
        target = Path(directory) / "target"
        with kalamdb.open(Path(directory) / "data", memtable_bytes=MEMTABLE_BYTES) as db:
            db.execute("CREATE USER TABLE own (id BIGINT PRIMARY KEY)")
            db.execute("CREATE TABLE everybodys (id TEXT PRIMARY KEY, n BIGINT)")
            db.execute("CREATE TABLE highest (id TEXT PRIMARY KEY, n BIGINT)")
            db.executemany("INSERT INTO highest VALUES (?, -1)", [(name,) for name in WRITERS])
            writers = Writers(db, seed)
            taken = []
            try:
                for _ in range(backups):
                    before = dict(writers.acknowledged)
                    db.backup(target)
                    taken.append((before, _restored(target)))
            finally:
                writers.end()
            for failure in writers.failures:
                figures.find(f"a writer ended with {failure}")
            whole = commits_of(db)
    for number, (before, (restored, highest)) in enumerate(taken, 1):
        figures.tried += 1
        figures.outcomes["commits restored"] += len(restored["own"])
        for trouble in _trouble(before, restored, highest, whole):
            figures.find(f"backup {number}, seed {seed}: {trouble}")
    sizes = [len(restored["own"]) for _, (restored, _) in taken]
    figures.outcomes["with more than the one before"] = sum(a < b for a, b in itertools.pairwise(sizes))
    if sizes != sorted(sizes):
        figures.find(f"a backup holds less than an earlier one: {sizes}")
    return figures


def _restored(target: Path) -> tuple[dict[str, dict[tuple[str, int], int]], dict[str, int]]:
    with kalamdb.open(":memory:") as db:
        db.execute(f"RESTORE DATABASE FROM '{target}'")
        return commits_of(db), dict(db.execute("SELECT id, n FROM highest").fetchall())


def _trouble(
    before: dict[str, int],
    restored: dict[str, dict[tuple[str, int], int]],
    highest: dict[str, int],
    whole: dict[str, dict[tuple[str, int], int]],
) -> list[str]:
    found = []
    own = restored["own"]
    if own.keys() != restored["everybodys"].keys():
        found.append(f"half commits: {sorted(own.keys() ^ restored['everybodys'].keys())[:5]}")
    for name in WRITERS:
        if highest[name] != max((number for writer, number in own if writer == name), default=-1):
            found.append(f"{name}'s update is of another commit than its row")
        missing = [number for number in range(before[name] + 1) if (name, number) not in own]
        if missing:
            found.append(f"acknowledged before it began, and lacking: {name} {missing[:5]}")
    for table, commits in restored.items():
        if any(whole[table].get(commit) != sequence for commit, sequence in commits.items()):
            found.append(f"rows of {table} have other sequence numbers")
    last = max(own.values(), default=0)
    prefix = {commit for commit, sequence in whole["own"].items() if sequence <= last}
    if prefix != own.keys():
        found.append(f"no prefix: lacking {sorted(prefix - own.keys())[:5]}, or too many {len(own)}")
    return found
