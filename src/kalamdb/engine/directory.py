"""The database directory: who owns it, what is in it, and which format wrote it.

LOCK            the owner's pid, for people; the claim itself is a lock on the directory
database.json   format version and the database's own id
wal/            the log
hot/            hot segments, and the checkpoint that names them
tmp/            files of a restore that is under way
"""

from __future__ import annotations

import json
import os
import uuid

from kalamcore.system import DirectoryLock, FileSystem
from kalamdb.errors import Corruption, StorageUnavailable, UnknownFormat

FORMAT_VERSION = 1


class Directory:
    """One database directory, owned by this process until `release`, or read beside its owner."""

    def __init__(self, files: FileSystem, path: str, *, owned: bool = True) -> None:
        """Claims the directory, making it when it is not there. Not `owned`: claims nothing and makes nothing.

        Raises LockedError, IoError, UnknownFormat, Corruption, and StorageUnavailable where there is nothing to read.
        """
        self.files = files
        self.path = path
        self.wal = os.path.join(path, "wal")
        self.hot = os.path.join(path, "hot")
        self.staging = os.path.join(path, "tmp")
        self._lock: DirectoryLock | None = None
        if not owned:
            if not files.exists(os.path.join(path, "database.json")):
                raise StorageUnavailable("there is no database in this directory; give the path of one")
            self.database_id = self._read_or_create_identity()
            return
        files.make_directory(path)
        self._lock = files.lock_directory(path)
        try:
            self.database_id = self._read_or_create_identity()
            files.make_directory(self.wal)
            files.make_directory(self.hot)
            self.empty_staging()
        except BaseException:
            self.release()
            raise

    def empty_staging(self) -> None:
        """Remove what a restore put there, this one or one that a crash ended."""
        if not self.files.exists(self.staging):
            return
        for name in self.files.list(self.staging):
            self.files.remove(os.path.join(self.staging, name))
        self.files.remove(self.staging)

    def _read_or_create_identity(self) -> str:
        path = os.path.join(self.path, "database.json")
        if not self.files.exists(path):
            if is_identity_lost(self.files, self.path):
                raise Corruption(
                    "database.json is missing, and was there; restore it from a backup of this directory, or let a "
                    "repair make a new one"
                )
            return write_identity(self.files, self.path)
        try:
            identity = json.loads(self.files.read_file(path))
            version, database_id = int(identity["format"]), str(identity["database_id"])
        except (ValueError, KeyError, TypeError) as error:
            raise Corruption(
                "database.json cannot be read; restore it from a backup of this directory"
            ) from error
        if version > FORMAT_VERSION:
            raise UnknownFormat(
                f"the database has format {version}, this version of kalamdb reads up to {FORMAT_VERSION}; "
                "open it with a newer kalamdb"
            )
        return database_id

    def release(self) -> None:
        """Give up the claim."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def write_identity(files: FileSystem, path: str) -> str:
    """Make a new identity for the database in this directory; its id."""
    database_id = str(uuid.uuid4())
    identity = {"format": FORMAT_VERSION, "database_id": database_id}
    files.write_atomic(os.path.join(path, "database.json"), json.dumps(identity).encode())
    return database_id


def is_identity_lost(files: FileSystem, path: str) -> bool:
    """Whether there is a database without its identity, which is made, and durable, before anything else of it is. A
    new one would make cold rows those of another database."""
    return not files.exists(os.path.join(path, "database.json")) and any(
        files.exists(place) and files.list(place)
        for place in (os.path.join(path, "wal"), os.path.join(path, "hot"))
    )
