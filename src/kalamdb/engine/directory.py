"""The database directory: who owns it, what is in it, and which format wrote it.

LOCK            the owner's pid, for people; the claim itself is a lock on the directory
database.json   format version and the database's own id
wal/            the log
hot/            hot segments, and the checkpoint that names them
"""

from __future__ import annotations

import json
import os
import uuid

from kalamcore.system import DirectoryLock, FileSystem
from kalamdb.errors import Corruption, UnknownFormat

FORMAT_VERSION = 1


class Directory:
    """One database directory, owned by this process until `release`."""

    def __init__(self, files: FileSystem, path: str) -> None:
        """Claims the directory, making it when it is not there. Raises LockedError, IoError, UnknownFormat."""
        self.files = files
        self.path = path
        files.make_directory(path)
        self._lock: DirectoryLock | None = files.lock_directory(path)
        try:
            self.database_id = self._read_or_create_identity()
            self.wal = os.path.join(path, "wal")
            files.make_directory(self.wal)
            self.hot = os.path.join(path, "hot")
            files.make_directory(self.hot)
        except BaseException:
            self.release()
            raise

    def _read_or_create_identity(self) -> str:
        path = os.path.join(self.path, "database.json")
        if not self.files.exists(path):
            identity = {"format": FORMAT_VERSION, "database_id": str(uuid.uuid4())}
            self.files.write_atomic(path, json.dumps(identity).encode())
            return identity["database_id"]  # type: ignore[return-value]
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
