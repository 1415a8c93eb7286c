"""Checkpoint, flush and compaction stopped at every operation on a file: rows exactly once, nothing left over.

What they move is the same before and after. So each disk that a power cut leaves, whatever it lost
of what was not synced, must show every row as it was, with its sequence number; so must it after another flush, after
one more opening, and after a compaction that leaves no file in the storage which no manifest names. Rows of a STREAM
table beside them are in no file at any time, and gone.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
from collections.abc import Callable, Iterable, Iterator

from kalamcore.errors import ColdMissError, IoError
from kalamcore.system import Clock, FileSystem, RandomSource
from kalamdb.database import Database
from kalamdb.engine.cold import compact_table, flush_table
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.engine.jobs import FLUSH, JobContext, JobRequest
from kalamdb.engine.segments import load_previous
from kalamdb.engine.segments.manifest import MANIFEST, PREVIOUS
from kalamdb.errors import CommitOutcomeUnknown, DatabasePoisoned, Error, StorageUnavailable
from kalamdb.settings import Settings
from tests.crash.cut_disks import CutDisks
from tests.crash.failures import Figures
from tests.crash.history import DIRECTORY, EPOCH_US

USERS = ("alice", "bob")
TABLES = ("notes", "words")
SETTINGS = Settings(wal_file_bytes=64 << 10)
IN_NO_FILE = "typed just now"
"""What rows of STREAM tables hold."""
TTL_US = 60_000_000
WEEK_US = 7 * 24 * 3600 * 1_000_000

Rows = dict[tuple[str, bytes], list[tuple[object, ...]]]


_openings = itertools.count(1)
"""Seeds: two openings of one database with the same would give the same ids to their jobs."""


def open_database(
    files: FileSystem,
    now_us: int = EPOCH_US,
    directory: str = DIRECTORY,
    *,
    settings: Settings = SETTINGS,
    access: str = "own",
) -> Database:
    """A database on `files` whose segments have three rows, and whose leftovers go at once. Users are flushed together,
    what is shared by itself."""
    random_source = RandomSource.seeded(next(_openings))
    db = Database(files, directory, settings, clock=Clock.manual(now_us), random=random_source, access=access)
    db.cold.row_group_rows = 3
    db.cold.segment_bytes_max = 1
    db.cold.grace_s = 0.0
    db.cold.together_min = 2
    return db


def rows_of(
    db: Database,
    *,
    deleted: bool,
    tables: Iterable[str] = TABLES,
    partitions: Iterable[bytes] | None = None,
) -> Rows:
    """Every row of every partition in key order, with its sequence number; with tombstones where these count, too.

    `tables`: by their names in the namespace `default`, or with another before them. `partitions`: None for all.
    """
    found: Rows = {}
    for name in tables:
        namespace, _, table = name.rpartition(".")
        schema = db.catalog.table(namespace or "default", table)
        if schema is None:
            continue
        reader = db.engine.rows(schema, db.catalog.history[schema.table_id]).reader
        columns = [*range(len(schema.columns)), -1, -3]
        for partition in partitions or db.engine.store.partitions(schema.table_id):
            held: list[object] = []
            while True:
                snapshot = db.engine.snapshot()
                try:
                    rows = db.engine.store.scan(
                        schema.table_id, partition, snapshot, reader, columns, deleted=deleted
                    )
                    count = db.engine.store.count(schema.table_id, partition, snapshot)
                    break
                except ColdMissError as miss:
                    held += db.engine.load_cold(miss)
            if rows:
                found[name, partition] = rows
            living = sum(not row[-1] for row in rows)
            assert count == living, f"count(*) says {count} of {living} rows of {name}, {partition!r}"
    return found


def orphans(db: Database, storage_id: str = "local") -> list[str]:
    """Files in a storage that no manifest names, nor the one before it."""
    backend = db.cold.backend(storage_id)
    kept: set[str] = set()
    for schema in db.catalog.tables.values():
        for partition, place in db.cold.places.of_table(schema.table_id).items():
            kept |= {f"{place.folder}/{MANIFEST}", f"{place.folder}/{PREVIOUS}"}
            loaded = db.cold.partition(schema.table_id, partition)
            for manifest in (loaded and loaded.manifest, load_previous(backend, place.folder)):
                kept |= {f"{place.folder}/{info.file}" for info in (manifest.segments if manifest else ())}
    return sorted(set(backend.list()) - kept)


def files_below(files: FileSystem, folder: str) -> list[str]:
    """Every file below a folder, by its whole path; nothing where there is no such folder."""
    found = []
    try:
        names = files.list(folder)
    except IoError:
        return []
    for name in names:
        path = f"{folder}/{name}"
        try:
            files.list(path)
        except IoError:
            found.append(path)
        else:
            found += files_below(files, path)
    return found


def insert(db: Database) -> None:
    """New rows between cold ones and after them."""
    for user in USERS:
        db.session(user).execute("INSERT INTO notes VALUES (5, 'new', 1), (6, 'new', 1), (100, 'new', NULL)")
    db.execute("INSERT INTO words VALUES ('aa', 1), ('zz', NULL)")


def update(db: Database) -> None:
    """New versions of cold rows."""
    for user in USERS:
        db.session(user).execute("UPDATE notes SET n = n + 1 WHERE id < 20")
    db.execute("UPDATE words SET n = 7 WHERE id < 'm'")


def delete(db: Database) -> None:
    """Cold rows go, one comes back, and a hot one comes and goes."""
    for user in USERS:
        session = db.session(user)
        session.execute("DELETE FROM notes WHERE id > 10")
        session.execute("INSERT INTO notes VALUES (20, 'back', 2), (55, 'short', 1)")
        session.execute("DELETE FROM notes WHERE id = 55")
    db.execute("DELETE FROM words WHERE id = 'k3'")


def tombstones(db: Database) -> None:
    """Nothing but tombstones is left."""
    for user in USERS:
        db.session(user).execute("DELETE FROM notes WHERE id >= 0")
    db.execute("DELETE FROM words WHERE n >= 0 OR n IS NULL")


def alter(db: Database) -> None:
    """Rows of several schema versions."""
    db.execute("ALTER TABLE notes ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'")
    db.execute("ALTER TABLE notes DROP COLUMN body")
    db.execute("ALTER TABLE words ALTER COLUMN n TYPE BIGINT")
    for user in USERS:
        db.session(user).execute("INSERT INTO notes VALUES (7, 7, 'glad')")
    db.execute("INSERT INTO words VALUES ('big', 9223372036854775807)")


def streams(db: Database) -> None:
    """Rows of a STREAM table in commits with others; some of them are past their TTL before anything moves."""
    for key in (300, 301):
        for user in USERS:
            session = db.session(user)
            with session.transaction():
                session.execute("INSERT INTO typing (who) VALUES (?)", [f"{IN_NO_FILE} {user}"])
                session.execute("INSERT INTO notes VALUES (?, 'beside a stream', 1)", [key])
        db._clock.advance(TTL_US * 2 // 3)
    for user in USERS:
        assert len(db.session(user).execute("SELECT * FROM typing").fetchall()) == 1, "one of two has expired"


CHANGES: dict[str, Callable[[Database], None]] = {
    "insert": insert,
    "update": update,
    "delete": delete,
    "tombstones": tombstones,
    "alter": alter,
    "streams": streams,
}


def flush(db: Database) -> None:
    db.flush()


def compact(db: Database) -> None:
    db.compact()


def checkpoint(db: Database) -> None:
    db.checkpoint()


WORKS: dict[str, Callable[[Database], None]] = {"checkpoint": checkpoint, "flush": flush, "compact": compact}


def prepared(change: str, work: str) -> tuple[Database, FileSystem]:
    """A database with cold rows, and changes of one kind that are to be moved, or were and are to be compacted."""
    files = FileSystem.memory()
    db = open_database(files, EPOCH_US)
    fill(db, change, work)
    return db, files


def fill(db: Database, change: str, work: str, storage_id: str = "local") -> None:
    """See prepared. `storage_id`: where the cold rows lie."""
    options = f"STORAGE {storage_id} DELETED_RETENTION 1d"
    db.execute(f"CREATE USER TABLE notes (id BIGINT PRIMARY KEY, body TEXT, n INT) {options}")
    db.execute(f"CREATE TABLE words (id TEXT PRIMARY KEY, n INT) {options}")
    db.execute("CREATE STREAM TABLE typing (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), who TEXT) TTL 60")
    for user in USERS:
        rows = [(key * 4, f"body {key}", key) for key in range(7)]
        db.session(user).executemany("INSERT INTO notes VALUES (?, ?, ?)", rows)
    db.executemany("INSERT INTO words VALUES (?, ?)", [(f"k{key}", key) for key in range(4)])
    db.flush()
    CHANGES[change](db)
    if work == "compact":
        db.flush()


def check_disk(
    disk: FileSystem, wanted: Rows, *, deleted: bool, now_us: int, storage_id: str = "local"
) -> str:
    """What is wrong with a disk, through two openings, a flush and a compaction; nothing is most welcome."""
    step = "opening"
    try:
        if told := [
            path for path in files_below(disk, DIRECTORY) if IN_NO_FILE.encode() in disk.read_file(path)
        ]:
            return f"rows of a stream are in {told}"
        db = open_database(disk, now_us)
        if rows_of(db, deleted=deleted) != wanted:
            return "other rows after the opening"
        for user in USERS:
            if db.session(user).execute("SELECT * FROM typing").fetchall():
                return "rows of a stream are there again"
        step = "flush"
        db.flush()
        if rows_of(db, deleted=deleted) != wanted:
            return "other rows after a flush"
        db.close()
        step = "second opening"
        db = open_database(disk, now_us)
        if rows_of(db, deleted=deleted) != wanted:
            return "other rows after the second opening"
        step = "compaction"
        db.compact()
        db.compact()
        db.compact()
        if rows_of(db, deleted=deleted) != wanted:
            return "other rows after a compaction"
        if left := orphans(db, storage_id):
            return f"left over: {left}"
        db.close()
    except Error as error:
        return f"{step}: {error.code}: {error}"
    except AssertionError as error:
        return f"{step}: {error}"
    return ""


def prove_crashes(seed: int, *, every: int = 1) -> Figures:
    """The power is cut after every operation (or every `every`-th) of a checkpoint, a flush and a compaction, times 8
    losses."""
    cuts = CutDisks(seed, every)
    for work, change, now_us in scenes():
        db, files = prepared(change, work)
        db._clock.set(now_us)
        deleted = now_us < EPOCH_US + WEEK_US
        wanted = rows_of(db, deleted=deleted)
        files.record()
        WORKS[work](db)

        def checked(disk: FileSystem, acknowledged: bool) -> tuple[str, str]:
            wrong = check_disk(disk, wanted, deleted=deleted, now_us=now_us)  # noqa: B023 - called before the next one
            return f"in a {work}", wrong  # noqa: B023

        cuts.cut(f"{work} of {change}", files, checked)
        db.close()
        if left := _orphans_after(files):
            cuts.figures.find(f"{work} of {change}: left over without a crash: {left}")
    return cuts.figures


def scenes() -> Iterator[tuple[str, str, int]]:
    """(what is stopped, what it moves, when it is)."""
    for work in WORKS:
        for change in CHANGES:
            yield work, change, EPOCH_US + (TTL_US * 4 // 3 if change == "streams" else 0)
    # Tombstones past their retention go, too.
    yield "compact", "delete", EPOCH_US + WEEK_US
    yield "compact", "tombstones", EPOCH_US + WEEK_US


def _orphans_after(files: FileSystem) -> list[str]:
    db = open_database(files, EPOCH_US + WEEK_US)
    db.compact()
    db.compact()
    db.compact()
    found = orphans(db)
    db.close()
    return found


OPERATIONS = (
    "write",
    "sync",
    "rename",
    "close",
    "sync_directory",
    "open",
    "read",
    "list",
    "remove",
    "make_directory",
)


def prove_failures(seed: int, *, every: int = 1) -> Figures:
    """Every operation on a file of a flush and of a compaction fails, once and for good, with EIO and without room.

    What failed says so. Rows are as they were, before and after a power cut; where the database was not poisoned,
    which the failure of a storage's file is no reason for, the work succeeds once nothing fails any more.
    """
    figures = Figures()
    number = seed
    for work in ("flush", "compact"):
        for change in ("update", "delete"):
            db, files = prepared(change, work)
            wanted = rows_of(db, deleted=True)
            disk = files.crash("none")
            db.close()
            for failure in failures_of(disk, work):
                number += 1
                if number % every == 0:
                    fail_once(disk, work, *failure, wanted, figures)
                    if figures.tried % 50 == 0:
                        gc.collect()
    return figures


def failures_of(disk: FileSystem, work: str) -> Iterator[tuple[str, int, int, bool]]:
    """Every operation on a file that the work does on this disk, by kind and count, and how each can fail: the errno,
    and whether for good."""
    counted = disk.crash("none")
    db = open_database(counted, EPOCH_US)
    before = {name: counted.count(name) for name in OPERATIONS}
    done(db, work)
    times = {name: counted.count(name) - before[name] for name in OPERATIONS}
    db.close()
    for operation, count in times.items():
        yield from itertools.product(
            [operation], range(1, count + 1), (errno.EIO, errno.ENOSPC), (False, True)
        )


def done(db: Database, work: str) -> None:
    """The work on each table, here and now: a job would be tried again in the background."""
    for name in TABLES:
        schema = db.catalog.table("default", name)
        assert schema is not None
        context = JobContext("proof", JobRequest(FLUSH, "default", name))
        with core_errors_translated():
            (flush_table if work == "flush" else compact_table)(db.cold, schema, context)


def fail_once(
    disk: FileSystem,
    work: str,
    operation: str,
    at: int,
    code: int,
    sticky: bool,
    wanted: Rows,
    figures: Figures,
) -> None:
    figures.tried += 1
    kind = "for good" if sticky else "once"
    where = f"{work}: {operation} {at} fails {kind} with {errno.errorcode[code]}"
    files = disk.crash("none")
    db = open_database(files, EPOCH_US)
    files.fail([operation], at=at, errno=code, sticky=sticky)
    failure: Error | None = None
    try:
        done(db, work)
        figures.outcomes["met nobody"] += 1
    except (StorageUnavailable, DatabasePoisoned, CommitOutcomeUnknown) as error:
        failure = error
    except Error as error:
        failure = error
        figures.find(f"{where}: ended with {error.code}: {error}")
    except Exception as error:
        figures.find(f"{where}: ended with {error!r}")
    cuts = [files.crash("all")]
    files.forgive()
    try:
        if rows_of(db, deleted=True) != wanted:
            figures.find(f"{where}: readers see other rows")
        done(db, work)
        if failure is not None:
            figures.outcomes["refused, and done later"] += 1
        if rows_of(db, deleted=True) != wanted:
            figures.find(f"{where}: other rows once it was done")
        # What failed and then succeeded is there after a power cut.
        cuts.append(files.crash("all"))
        db.execute("INSERT INTO words VALUES ('later', 1)")
    except DatabasePoisoned as error:
        figures.outcomes["poisoned"] += 1
        if code == errno.ENOSPC and "hot/" not in str(error) and "wal/" not in str(error):
            figures.find(f"{where}: no room in a storage, and it was poisoned: {error}")
        if rows_of(db, deleted=True) != wanted:
            figures.find(f"{where}: readers see other rows after the poison")
    except Error as error:
        figures.find(f"{where}: did not go on: {error.code}: {error}")
    except AssertionError as error:
        figures.find(f"{where}: {error}")
    with contextlib.suppress(Error):
        db.close()
    for number, cut in enumerate(cuts, 1):
        if trouble := check_disk(cut, wanted, deleted=True, now_us=EPOCH_US):
            figures.find(f"{where}, then power cut {number}: {trouble}")
