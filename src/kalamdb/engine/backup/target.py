"""Where backups are kept: pieces of files under the names of their checksums, and one description a backup.

A piece that is there already is not written again, so that a second backup to the same place costs what has changed.
Nothing that is there is ever overwritten, and a backup exists once its description does, which is written last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kalamdb.engine.backup.description import Backup, Chunk, decode_backup, encode_backup
from kalamdb.engine.segments.checksums import checksum
from kalamdb.errors import Corruption, StorageConflict, StorageInUse, UndefinedBackup
from kalamdb.storage import StorageBackend

PIECES, DESCRIPTIONS = "pieces", "backups"
CHUNK_BYTES = 16 << 20
_NAME = re.compile(DESCRIPTIONS + r"/([0-9]{8,18})\.json\Z")


class BackupTarget:
    """One place for the backups of one database, or of one of its namespaces. `written`, `written_bytes`: pieces that
    were not there before."""

    def __init__(self, backend: StorageBackend) -> None:
        self._backend = backend
        self._there: set[str] | None = None
        self.written = 0
        self.written_bytes = 0

    def newest(self) -> Backup | None:
        """The description of the last backup; None: there is none. Raises Corruption, UnknownFormat."""
        number = self._newest_number()
        return None if number == 0 else self._read(number)

    def require_newest(self) -> Backup:
        """Raises UndefinedBackup where there is none."""
        found = self.newest()
        if found is None:
            raise UndefinedBackup("there is no backup in this place; give the URI that BACKUP was given")
        return found

    def check_owner(self, database_id: str, namespace: str | None) -> None:
        """Raises StorageInUse where other backups are kept there."""
        try:
            found = self.newest()
        except Corruption:
            # A damaged description does not keep the next backup from being made beside it.
            return
        if found is None or (found.database_id, found.namespace) == (database_id, namespace):
            return
        what = "a whole database" if found.namespace is None else f'the namespace "{found.namespace}"'
        raise StorageInUse(
            f"this place holds backups of {what} of database {found.database_id}; give this backup a place of its own"
        )

    def put(self, parts: Iterable[bytes]) -> tuple[Chunk, ...]:
        """Have the pieces of a file there, read back and compared."""
        return tuple(self._put(part) for part in parts)

    def read(self, chunks: Iterable[Chunk]) -> Iterator[bytes]:
        """The pieces of a file. Raises Corruption where one is not what was written, SegmentMissing."""
        for chunk in chunks:
            data = self._backend.read(_path(chunk))
            if not _is(data, chunk):
                raise Corruption(
                    f"{_path(chunk)} of the backup is not what was written; restore from another backup"
                )
            yield data

    def commit(self, backup: Backup) -> Backup:
        """Write its description, under the next number: from here on the backup exists."""
        number = self._newest_number() + 1
        made = Backup(
            **{name: getattr(backup, name) for name in Backup.__slots__ if name != "number"}, number=number
        )
        content = encode_backup(made)
        try:
            self._backend.replace(_description(number), content, None)
        except StorageConflict:
            raise StorageInUse(
                "another backup was made in this place at the same time; nothing of it was changed, back up again"
            ) from None
        if self._backend.read(_description(number)) != content:
            raise Corruption(
                f"{_description(number)} was not kept as it was written; choose another place for backups"
            )
        return made

    def _put(self, data: bytes) -> Chunk:
        chunk = Chunk(checksum(data).hex(), len(data))
        path = _path(chunk)
        if self._there is None:
            self._there = set(self._backend.list(PIECES))
        if path in self._there:
            if _is(self._backend.read(path), chunk):
                return chunk
            # Damaged since: other backups need it as much as this one.
            self._backend.delete(path)
        self._backend.write(path, data)
        if not _is(self._backend.read(path), chunk):
            raise Corruption(f"{path} was not kept as it was written; choose another place for backups")
        self._there.add(path)
        self.written += 1
        self.written_bytes += len(data)
        return chunk

    def _newest_number(self) -> int:
        matches = map(_NAME.match, self._backend.list(DESCRIPTIONS))
        return max((int(match[1]) for match in matches if match is not None), default=0)

    def _read(self, number: int) -> Backup:
        path = _description(number)
        backup = decode_backup(path, self._backend.read(path))
        if backup.number != number:
            raise Corruption(f"{path} is the description of backup {backup.number}; put the right one back")
        return backup


def _path(chunk: Chunk) -> str:
    return f"{PIECES}/{chunk.checksum}-{chunk.size}"


def _description(number: int) -> str:
    return f"{DESCRIPTIONS}/{number:08d}.json"


def _is(data: bytes, chunk: Chunk) -> bool:
    return len(data) == chunk.size and checksum(data).hex() == chunk.checksum
