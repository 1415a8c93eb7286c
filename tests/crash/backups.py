"""Backup and restore stopped at every operation on a file: whole or not there, and done again as if nothing had been.

The database and the place of its backups are on one file system here, so that a power cut meets both at one moment. A
backup that was cut short is none: the one before it stands. A restore that was cut short has brought nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from kalamcore.system import FileSystem
from kalamdb.database import Database
from kalamdb.engine.backup.target import DESCRIPTIONS, PIECES
from kalamdb.errors import Error, UndefinedBackup
from kalamdb.schema import TableKind
from kalamdb.storage import Storages
from kalamdb.storage.filesystem import FilesystemBackend
from kalamdb.storage.storages import ELSEWHERE
from tests.backup.world import USERS, fill
from tests.crash.cold import Figures, Rows, files_below, open_database, orphans, rows_of
from tests.crash.cut_disks import CutDisks

TARGET = "/backups"

OTHER = "/other"
RESTORES = {
    "database": f"RESTORE DATABASE FROM '{TARGET}'",
    "namespace": f"RESTORE NAMESPACE app FROM '{TARGET}'",
}

Names = tuple[object, ...]


@contextmanager
def beside_the_database() -> Iterator[None]:
    """Backups go to the file system of the database that makes them, and not to the machine's."""

    def backend_at(self: Storages, uri: str, *_: object, **__: object) -> FilesystemBackend:
        return FilesystemBackend(ELSEWHERE, self._files, uri)

    with mock.patch.object(Storages, "backend_at", backend_at):
        yield


def settle(db: Database) -> None:
    """Returns when no job is at work; a retry that waits for its time is not."""
    while db._jobs is not None and any(one.not_before_s == 0 for one in list(db.jobs._active.values())):
        time.sleep(0.002)


def contents(db: Database, namespace: str | None = None) -> tuple[Names, Rows]:
    """What exists, but for ids and instants, and every row that is kept, with its sequence number, tombstones too."""
    catalog = db.catalog
    tables = sorted(
        (schema.qualified_name, schema)
        for schema in catalog.tables.values()
        if namespace in (None, schema.namespace)
    )
    names: Names = (
        *(name for name in sorted(catalog.namespaces) if namespace in (None, name)),
        *(
            (name, schema.kind, [(column.name, str(column.type)) for column in schema.columns])
            for name, schema in tables
        ),
        *((view.qualified_name, view.sql) for _, view in sorted(catalog.views.items())),
        *(storage for storage in sorted(catalog.storages)),
    )
    kept = [name for name, schema in tables if schema.kind is not TableKind.STREAM]
    return names, rows_of(db, deleted=True, tables=kept)


def world(files: FileSystem, shelf: str = "TYPE filesystem URI 'shelf'") -> Database:
    """Rows hot, cold and in memory, of SHARED and USER tables that were altered, in two storages."""
    db = open_database(files)
    db.execute(f"CREATE STORAGE shelf {shelf}")
    fill(db)
    db.execute("CREATE TABLE app.stored (id BIGINT PRIMARY KEY, body TEXT) STORAGE shelf")
    db.executemany("INSERT INTO app.stored VALUES (?, ?)", [(key, f"stored {key}") for key in range(7)])
    db.flush("app.stored")
    db.execute("DELETE FROM app.stored WHERE id > 4")
    return db


def go_on(db: Database) -> None:
    """What changes between two backups: rows of each tier, and a table."""
    db.flush("app.rates")
    db.execute("ALTER TABLE app.stored ADD COLUMN later INT DEFAULT 3")
    db.execute("INSERT INTO app.stored VALUES (50, 'new', 4)")
    for user in USERS:
        db.session(user).execute("UPDATE app.notes SET body = 'changed' WHERE id IN (0, 1, 100)")
        db.session(user).execute("DELETE FROM app.notes WHERE id = 8")
    db.execute("CREATE TABLE app.fresh (id BIGINT PRIMARY KEY)")
    db.execute("INSERT INTO app.fresh VALUES (1)")


class Place:
    """Where backups are kept, and looked at: a folder beside the database."""

    uri = TARGET

    def restored(self, disk: FileSystem, directory: str) -> tuple[Names, Rows] | None:
        """What the newest backup holds; None where the place has none, and says so."""
        db = open_database(disk, directory=directory)
        try:
            self.prepare(db)
            db.execute(f"RESTORE DATABASE FROM '{self.uri}'")
            return contents(db)
        except UndefinedBackup:
            return None
        finally:
            db.close()

    def prepare(self, db: Database) -> None:
        """What has to be there before the restore."""

    def files(self, disk: FileSystem) -> list[str]:
        """By their paths within the place."""
        return [path[len(TARGET) + 1 :] for path in files_below(disk, TARGET)]

    def halves(self, disk: FileSystem) -> list[str]:
        """Files that are neither a description nor a piece."""
        return [
            path
            for path in self.files(disk)
            if path.endswith(".tmp") or path.split("/")[0] not in (PIECES, DESCRIPTIONS)
        ]


FOLDER = Place()


@dataclass
class Run:
    """What was recorded of a piece of work: `wanted`: what there is after it; `before`: what there was."""

    files: FileSystem
    wanted: tuple[Names, Rows]
    before: tuple[Names, Rows] | None


def recorded_backup(kind: str) -> Run:
    """The first backup to a place, or a further one."""
    files = FileSystem.memory()
    return take_backup(kind, world(files), FOLDER, files.record)


def take_backup(kind: str, db: Database, place: Place, record: Callable[[], None]) -> Run:
    """The first backup of a world to a place, or a further one; `record` is called before it."""
    before = None
    if kind == "further":
        before = contents(db)
        db.backup(place.uri)
        go_on(db)
    wanted = contents(db)
    record()
    db.backup(place.uri)
    assert contents(db) == wanted, "a backup changes no row"
    return Run(db.engine.directory.files, wanted, before)


def check_backup(disk: FileSystem, run: Run, *, acknowledged: bool, place: Place = FOLDER) -> tuple[str, str]:
    """(what the place held, what is wrong) after a power cut in a backup."""
    step, found = "opening", ""
    try:
        db = open_database(disk)
        if contents(db) != run.wanted:
            return found, "other rows after the opening"
        step = "restoring"
        held = place.restored(disk, "/restored")
        found = "no backup" if held is None else "the backup before"
        if held == run.wanted:
            found = "the new backup"
        if held not in (None, run.before, run.wanted):
            return found, "the backup is of no moment"
        if held is None and run.before is not None:
            return found, "the backup before is gone"
        if held != run.wanted and acknowledged:
            return found, "the backup was acknowledged and is not there"
        step = "the next backup"
        db.backup(place.uri)
        step = "restoring the next backup"
        if place.restored(disk, "/restored-again") != run.wanted:
            return found, "the next backup is not what there was"
        if left := place.halves(disk):
            return found, f"left over in the place: {left}"
        step = "compaction"
        db.compact()
        db.compact()
        if left := orphans(db) + orphans(db, "shelf"):
            return found, f"left over in the storages: {left}"
        if contents(db) != run.wanted:
            return found, "other rows after a compaction"
        db.close()
    except Error as error:
        return found, f"{step}: {error.code}: {error}"
    except AssertionError as error:
        return found, f"{step}: {error}"
    return found, ""


def recorded_restore(kind: str) -> Run:
    """A restore beside a table of the database's own: of all, or of one namespace."""
    files = FileSystem.memory()
    source = world(files)
    source.backup(TARGET)
    source.close()
    db = open_database(files, directory=OTHER)
    db.execute("CREATE NAMESPACE rest")
    db.execute("CREATE TABLE rest.mine (id BIGINT PRIMARY KEY)")
    db.execute("INSERT INTO rest.mine VALUES (1), (2), (3)")
    db.flush()
    db.execute("INSERT INTO rest.mine VALUES (4)")
    before = contents(db)
    files.record()
    db.execute(RESTORES[kind])
    return Run(files, contents(db), before)


def check_restore(disk: FileSystem, run: Run, kind: str, *, acknowledged: bool) -> tuple[str, str]:
    """(what was there, what is wrong) after a power cut in a restore."""
    step, found = "opening", ""
    try:
        db = open_database(disk, directory=OTHER)
        settle(db)
        held = contents(db)
        if held == run.wanted:
            found = "all of it"
        elif held == run.before:
            found = "nothing of it"
        elif _without_storages(held) == _without_storages(run.before):
            found = "nothing of it but a storage"
        else:
            return found, "a part of it is there"
        if acknowledged and found != "all of it":
            return found, "it was acknowledged and is not there"
        if found != "all of it":
            if left := orphans(db) + _storage_orphans(db) + files_below(disk, f"{OTHER}/tmp"):
                return found, f"left over: {left}"
            step = "restoring again"
            db.execute(RESTORES[kind])
            if contents(db) != run.wanted:
                return found, "other rows once it was done again"
        step = "flush"
        db.flush()
        if contents(db) != run.wanted:
            return found, "other rows after a flush"
        db.close()
        step = "second opening"
        db = open_database(disk, directory=OTHER)
        settle(db)
        if contents(db) != run.wanted:
            return found, "other rows after the second opening"
        step = "compaction"
        db.compact()
        db.compact()
        if left := orphans(db) + _storage_orphans(db):
            return found, f"left over: {left}"
        if contents(db) != run.wanted:
            return found, "other rows after a compaction"
        db.close()
    except Error as error:
        return found, f"{step}: {error.code}: {error}"
    except AssertionError as error:
        return found, f"{step}: {error}"
    return found, ""


def _without_storages(held: tuple[Names, Rows] | None) -> object:
    assert held is not None
    names, rows = held
    return [name for name in names if name != "shelf"], rows


def _storage_orphans(db: Database) -> list[str]:
    return orphans(db, "shelf") if "shelf" in db.catalog.storages else []


def _prove(
    seed: int,
    every: int,
    runs: list[tuple[str, Callable[[], Run], Callable[..., tuple[str, str]]]],
) -> Figures:
    cuts = CutDisks(seed, every)
    with beside_the_database():
        for name, record, check in runs:
            run = record()

            def checked(disk: FileSystem, acknowledged: bool) -> tuple[str, str]:
                found, wrong = check(disk, run, acknowledged=acknowledged)  # noqa: B023 - called before the next one
                return f"{name}: {found or 'wrong'}", wrong  # noqa: B023

            cuts.cut(name, run.files, checked, acknowledged_at=run.files.recorded() - 1, last_always=True)
    return cuts.figures


def prove_backups(seed: int, *, every: int = 1) -> Figures:
    """The power is cut after every operation (or every `every`-th) of a first and a further backup, times 8 losses."""
    return _prove(
        seed,
        every,
        [(kind, lambda kind=kind: recorded_backup(kind), check_backup) for kind in ("first", "further")],
    )


def prove_restores(seed: int, *, every: int = 1) -> Figures:
    """The same of RESTORE DATABASE and RESTORE NAMESPACE."""

    def checked(kind: str) -> Callable[..., tuple[str, str]]:
        return lambda disk, run, acknowledged: check_restore(disk, run, kind, acknowledged=acknowledged)

    return _prove(
        seed, every, [(kind, lambda kind=kind: recorded_restore(kind), checked(kind)) for kind in RESTORES]
    )
