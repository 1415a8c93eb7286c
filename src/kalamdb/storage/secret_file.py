"""A file of the database directory that holds one secret, readable by its owner alone."""

from __future__ import annotations

import os

from kalamcore.errors import IoError
from kalamcore.system import FileSystem
from kalamdb.errors import StorageUnavailable


class SecretFile:
    """Its name, and the two things that can be done with it. REQUIRES: who makes a secret holds a lock over both."""

    def __init__(self, files: FileSystem, directory: str, name: str) -> None:
        self._files = files
        self._path = os.path.join(directory, name)
        self._name = name

    def read(self) -> bytes | None:
        """What it holds, or None where it is not there. Raises StorageUnavailable."""
        try:
            return self._files.read_file(self._path) if self._files.exists(self._path) else None
        except IoError as error:
            raise self._unavailable(error) from None

    def write(self, secret: bytes) -> None:
        """Put it there, all or nothing, durable, and mode 0600 like every file of the core's. Raises
        StorageUnavailable."""
        try:
            self._files.write_atomic(self._path, secret)
        except IoError as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: IoError) -> StorageUnavailable:
        return StorageUnavailable(
            f"{self._name} cannot be read or written: {os.strerror(error.errno)}; nothing was changed"
        )
