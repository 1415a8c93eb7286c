"""kalamdb.restore() stopped at every operation on a file: the directory is there whole, or not at all.

The backup lies on the file system of the new directory. Where a power cut leaves an unfinished one the next restore
refuses it by name, and does all once it is removed; where it leaves nothing the next one is as the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from kalamcore.errors import IoError
from kalamcore.system import FileSystem
from kalamdb import restoring
from kalamdb.database import Database
from kalamdb.errors import Error, StorageInUse
from tests.crash.backups import TARGET, Run, beside_the_database, contents, world
from tests.crash.cold import SETTINGS, Figures, files_below, open_database, orphans
from tests.crash.cut_disks import CutDisks

PARENT = "/srv"
DIRECTORY = f"{PARENT}/restored"
UNFINISHED = f"{DIRECTORY}{restoring.UNFINISHED}"
KINDS = {"durability full": "full", "durability normal": "normal"}


def restore(files: FileSystem, durability: str = "full") -> None:
    """kalamdb.restore of the newest backup into DIRECTORY, all of it on `files`."""

    def opened(path: str, **overrides: str) -> Database:
        return open_database(files, directory=path, settings=SETTINGS.with_overrides(overrides))

    with (
        mock.patch.object(restoring, "FileSystem", SimpleNamespace(posix=lambda: files)),
        mock.patch.object(restoring, "open_database", opened),
    ):
        restoring.restore(TARGET, DIRECTORY, durability=durability)


def recorded(durability: str) -> Run:
    """A restore into a directory whose parent is there, and on the disk."""
    files = FileSystem.memory()
    source = world(files)
    wanted = contents(source)
    source.backup(TARGET)
    source.close()
    files.make_directory(PARENT)
    files.sync_directory("/")
    files.record()
    restore(files, durability)
    return Run(files, wanted, None)


def check(disk: FileSystem, run: Run, *, acknowledged: bool) -> tuple[str, str]:
    """(what was there, what is wrong) after a power cut in a restore."""
    step, found = "looking", ""
    try:
        names = disk.list(PARENT)
        if DIRECTORY.rpartition("/")[2] in names:
            found = "the directory"
            if len(names) > 1:
                return found, f"more than the directory: {names}"
        else:
            if acknowledged:
                return found, "it was acknowledged and is not there"
            found = "an unfinished one" if names else "nothing"
            if names:
                step = "refusing"
                if not _is_refused(disk):
                    return found, "what is unfinished was not refused"
                _remove_all(disk, UNFINISHED)
            step = "restoring again"
            restore(disk)
        step = "opening read-only"
        with _opened(disk, access="checkpoint") as db:
            if contents(db) != run.wanted:
                return found, "other rows for a reader"
        step = "opening"
        with _opened(disk) as db:
            if contents(db) != run.wanted:
                return found, "other rows"
            step = "flush"
            db.flush()
            db.execute("INSERT INTO app.stored VALUES (70, 'new')")
            db.execute("DELETE FROM app.stored WHERE id = 70")
            wanted = contents(db)
        step = "second opening"
        with _opened(disk) as db:
            if contents(db) != wanted:
                return found, "other rows after the second opening"
            step = "compaction"
            db.compact()
            db.compact()
            left = orphans(db) + orphans(db, "shelf") + files_below(disk, f"{DIRECTORY}/tmp")
            if left:
                return found, f"left over: {left}"
            if contents(db) != wanted:
                return found, "other rows after a compaction"
    except Error as error:
        return found, f"{step}: {error.code}: {error}"
    except AssertionError as error:
        return found, f"{step}: {error}"
    return found, ""


@contextmanager
def _opened(disk: FileSystem, access: str = "own") -> Iterator[Database]:
    db = open_database(disk, directory=DIRECTORY, access=access)
    try:
        yield db
    finally:
        db.close()


def _is_refused(disk: FileSystem) -> bool:
    before = disk.fingerprint()
    try:
        restore(disk)
    except StorageInUse as error:
        return UNFINISHED in str(error) and disk.fingerprint() == before
    return False


def _remove_all(disk: FileSystem, path: str) -> None:
    try:
        names = disk.list(path)
    except IoError:
        names = []
    for name in names:
        _remove_all(disk, f"{path}/{name}")
    disk.remove(path)


def prove(seed: int, *, every: int = 1) -> Figures:
    """The power is cut after every operation (or every `every`-th) of a restore, times 8 losses."""
    cuts = CutDisks(seed, every)
    with beside_the_database():
        for kind, durability in KINDS.items():
            run = recorded(durability)

            def checked(disk: FileSystem, acknowledged: bool) -> tuple[str, str]:
                found, wrong = check(disk, run, acknowledged=acknowledged)  # noqa: B023 - called before the next one
                return f"{kind}: {found or 'wrong'}", wrong  # noqa: B023

            cuts.cut(kind, run.files, checked, acknowledged_at=run.files.recorded() - 1, last_always=True)
    return cuts.figures
