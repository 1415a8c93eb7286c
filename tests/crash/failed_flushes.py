"""A flush that fails, rows that come after it, a flush that succeeds, a crash: what the first was to move is there.

A later flush must not move the watermark over rows that an earlier one left behind. So every operation on a file of
the first flush fails, or every request where the storage is a bucket; what it left is changed and added to; the second
flush succeeds; the process is killed, or the power is cut; and each row must be what its last statement made it.
"""

from __future__ import annotations

import errno
import gc
import random

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.errors import DatabasePoisoned, Error
from tests.crash import buckets
from tests.crash.cold import (
    USERS,
    Figures,
    Rows,
    check_disk,
    done,
    failures_of,
    open_database,
    orphans,
    prepared,
    rows_of,
)
from tests.crash.history import EPOCH_US
from tests.storage.s3_server import FAULTS, FaultProxy, moto_server

LOSSES = ("none", "all", "subset")


def write_more(db: Database) -> Rows:
    """Rows beside those that were to be flushed, and new versions of some of them; everything as it is then."""
    for user in USERS:
        session = db.session(user)
        session.execute("INSERT INTO notes VALUES (201, 'after the failure', 1), (202, 'after it', 2)")
        session.execute("UPDATE notes SET body = 'changed after it' WHERE id IN (4, 6)")
        session.execute("DELETE FROM notes WHERE id = 8")
    db.execute("INSERT INTO words VALUES ('after', 1)")
    db.execute("DELETE FROM words WHERE id = 'k1'")
    return rows_of(db, deleted=True)


def prove(seed: int, *, every: int = 1) -> Figures:
    """Every operation (or every `every`-th) of a flush of new rows, changed ones and deleted ones fails."""
    figures = Figures()
    number = seed
    for change in ("insert", "update", "delete"):
        db, files = prepared(change, "flush")
        disk = files.crash("none")
        db.close()
        for failure in failures_of(disk, "flush"):
            number += 1
            if number % every == 0:
                _fail_once(disk, change, *failure, number, figures)
                if figures.tried % 50 == 0:
                    gc.collect()
    return figures


def _fail_once(
    disk: FileSystem,
    change: str,
    operation: str,
    at: int,
    code: int,
    sticky: bool,
    number: int,
    figures: Figures,
) -> None:
    figures.tried += 1
    kind = "for good" if sticky else "once"
    where = f"flush of {change}: {operation} {at} fails {kind} with {errno.errorcode[code]}"
    files = disk.crash("none")
    db = open_database(files)
    files.fail([operation], at=at, errno=code, sticky=sticky)
    outcome = "failed, then succeeded"
    try:
        done(db, "flush")
        outcome = "met nobody"
    except Error:
        pass
    files.forgive()
    try:
        try:
            wanted = write_more(db)
        except DatabasePoisoned:
            # What was poisoned is opened anew. The rows that the failed flush was to move are in the log.
            outcome = "poisoned, then succeeded"
            files = files.crash("all", number)
            db = open_database(files)
            wanted = write_more(db)
        done(db, "flush")
        if rows_of(db, deleted=True) != wanted:
            figures.find(f"{where}: other rows after the next flush")
    except Error as error:
        figures.find(f"{where}: did not go on: {error.code}: {error}")
        return
    except AssertionError as error:
        figures.find(f"{where}: {error}")
        return
    figures.outcomes[outcome] += 1
    loss = LOSSES[number % len(LOSSES)]
    if trouble := check_disk(files.crash(loss, number), wanted, deleted=True, now_us=EPOCH_US):
        figures.find(f"{where}, a flush that succeeded, loss {loss} {number}: {trouble}")


class _Run(buckets.Run):
    """A database in a bucket that is left without being closed."""

    def kill(self, loss: str, seed: int) -> None:
        self.files = self.files.crash(loss, seed)
        old = self.db
        self.open()
        old.close()


def prove_in_a_bucket(seed: int, *, runs: int = 60) -> Figures:
    """Requests and faults by chance, the faults for good until the flush has failed."""
    figures = Figures()
    dice = random.Random(seed)
    with moto_server() as server, FaultProxy(server) as proxy, buckets.in_a_hurry():
        counting = _Run(server, proxy, seed)
        counting.db.flush("t")
        requests = len(proxy.requests)
        counting.close()
        for number in range(runs):
            figures.tried += 1
            # Each request in turn, the first one first in no run more than in another.
            at, fault, loss = 1 + number % requests, dice.choice(FAULTS), dice.choice(LOSSES)
            where = f"flush to a bucket: from request {at} on {fault}"
            run = _Run(server, proxy, seed + number)
            proxy.fail(fault, at=at, times=1_000_000)
            try:
                run.db.flush("t")
                figures.outcomes["met nobody"] += 1
            except Error:
                figures.outcomes["failed, then succeeded"] += 1
            proxy.forgive()
            try:
                for user, rows in run.model.items():
                    session = run.db.session(user)
                    session.execute("INSERT INTO t VALUES (60, 60)")
                    session.execute("UPDATE t SET n = 7 WHERE id = 1")
                    session.execute("DELETE FROM t WHERE id = 2")
                    rows |= {60: 60, 1: 7}
                    del rows[2]
                run.db.flush("t")
                _check(run, "the next flush")
                run.kill(loss, number)
                _check(run, "the crash")
                run.db.compact("t")
                run.db.compact("t")
                _check(run, "the compaction")
                if left := orphans(run.db, "s"):
                    figures.find(f"{where}, loss {loss}: left over: {left}")
            except (Error, AssertionError) as error:
                figures.find(f"{where}, loss {loss}, seed {seed}: {type(error).__name__}: {error}")
            run.close()
    return figures


def _check(run: _Run, after: str) -> None:
    for user, rows in run.model.items():
        found = run.db.session(user).execute("SELECT id, n FROM t ORDER BY id").fetchall()
        assert found == sorted(rows.items()), f"after {after} {user} finds {found}"
