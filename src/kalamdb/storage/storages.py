"""Every storage's backend, opened when it is first needed and kept while its definition stays the same."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from kalamcore.system import FileSystem
from kalamdb.errors import InvalidDefinition, StorageUnavailable
from kalamdb.storage.credentials import Credentials, parse_credentials
from kalamdb.storage.definition import Storage
from kalamdb.storage.master_key import MasterKey
from kalamdb.storage.pace import Pace, PacedBackend
from kalamdb.storage.uri import FILESYSTEM, SCHEMES, StorageUri, is_within, parse_uri

if TYPE_CHECKING:
    from kalamdb.storage.backend import StorageBackend

ELSEWHERE = "(elsewhere)"
"""What messages call a place that is no storage of the catalog."""


class Storages:
    """The backends of one database. Safe for threads.

    `roots`: the directories that filesystem storages outside of the database directory must lie in; none: any.
    `pace`: of what is written to directories.
    """

    def __init__(
        self,
        files: FileSystem,
        directory: str,
        *,
        roots: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._files = files
        self._pace = pace
        self._directory = directory
        self._roots = roots
        self.master_key = MasterKey(files, directory, os.environ if environment is None else environment)
        self._lock = threading.Lock()
        self._backends: dict[str, tuple[Storage, StorageBackend]] = {}
        self._replacing: tuple[threading.Lock, ...] = ()

    def backend(self, storage: Storage) -> StorageBackend:
        """The storage's backend; nothing is asked of the storage yet.

        Raises NotSupportedError where a library is missing, InvalidDefinition where the configuration does not
        permit the place, StorageUnavailable, Corruption or OperationalError where its credentials cannot be used.
        """
        with self._lock:
            kept = self._backends.get(storage.storage_id)
            if kept is not None and kept[0] == storage:
                return kept[1]
            backend = self._open(storage)
            self._backends[storage.storage_id] = (storage, backend)
            return backend

    def backend_at(self, uri: str, storages: Iterable[Storage], *, lend: bool = True) -> StorageBackend:
        """A place that is no storage of the catalog: for a backup, or for what is exported.

        `uri`: an absolute path, file:///path, s3://…, gs://… or az://…. `storages`: those of the catalog, whose files
        are kept apart from it; with `lend` one in the same bucket lends its credentials, and else the environment gives
        them. Raises InvalidDefinition where it is no such place or the configuration does not permit it, and as
        backend().
        """
        scheme = uri.partition("://")[0].lower() if "://" in uri else ""
        type_ = next((name for name, of in SCHEMES.items() if of == scheme), FILESYSTEM)
        place = parse_uri(type_, uri)
        storages = list(storages)
        for storage in storages:
            if storage.place.overlaps(place):
                # Who is lent nothing may not know which storages there are.
                shown = f'storage "{storage.storage_id}"' if lend else "a storage"
                raise InvalidDefinition(
                    f"this place lies in that of {shown} or around it; choose one beside it"
                )
        if place.type == FILESYSTEM:
            from kalamdb.storage.filesystem import FilesystemBackend

            if not place.path.startswith("/"):
                raise InvalidDefinition(
                    "what leaves the database goes to an absolute path, file:///path, s3://…, gs://… or az://…"
                )
            self.check_place(place)
            self._check_links(ELSEWHERE, place)
            # Also of a database in memory: what it writes there is to outlive it.
            return FilesystemBackend(ELSEWHERE, FileSystem.posix(), place.path)
        from kalamdb.storage.object_store import ObjectStoreBackend

        credentials = None
        for storage in storages:
            if (
                lend
                and storage.secret is not None
                and (storage.type, storage.place.bucket)
                == (
                    place.type,
                    place.bucket,
                )
            ):
                text = self.master_key.decrypt(storage.secret, storage.storage_id)
                credentials = parse_credentials(text, storage.type)
                break
        return ObjectStoreBackend(ELSEWHERE, place, credentials)

    def forget(self, storage_id: str) -> None:
        """Let go of a storage that was dropped."""
        with self._lock:
            self._backends.pop(storage_id, None)

    def seal(self, credentials: Credentials, storage_id: str) -> str:
        """Credentials as the catalog keeps them. Raises as MasterKey.encrypt."""
        return self.master_key.encrypt(credentials.text(), storage_id)

    def check_place(self, place: StorageUri) -> None:
        """Raises InvalidDefinition where the configuration does not permit a storage there."""
        if place.type != FILESYSTEM or not place.path.startswith("/"):
            return
        if self._meets_directory(place.path):
            raise InvalidDefinition(
                "the URI of a storage is not the database directory, nor above or inside of it; "
                "a relative path is a directory of its own there"
            )
        if self._roots and not any(is_within(place.path, root) for root in self._roots):
            raise InvalidDefinition(
                "the URI of the storage is in none of the directories that the setting storage_roots permits"
            )

    def _meets_directory(self, path: str) -> bool:
        """Whether the path is the database directory, or one lies in the other, by any name."""
        own = self._directory
        pairs = ((path, own), (os.path.realpath(path), os.path.realpath(own)))
        return any(is_within(one, other) or is_within(other, one) for one, other in pairs)

    def _open(self, storage: Storage) -> StorageBackend:
        place = storage.place
        if place.type == FILESYSTEM:
            from kalamdb.storage.filesystem import FilesystemBackend, replacing_locks

            # A job may still work with the backend of an older definition, and two storages may share a directory.
            self._replacing = self._replacing or replacing_locks()
            self.check_place(place)
            root = os.path.join(self._directory, place.path)
            self._check_links(storage.storage_id, place)
            directory = FilesystemBackend(storage.storage_id, self._files, root, self._replacing)
            return directory if self._pace is None else PacedBackend(directory, self._pace)
        from kalamdb.storage.object_store import ObjectStoreBackend

        credentials = None
        if storage.secret is not None:
            text = self.master_key.decrypt(storage.secret, storage.storage_id)
            credentials = parse_credentials(text, storage.type)
        return ObjectStoreBackend(storage.storage_id, place, credentials)

    def _check_links(self, storage_id: str, place: StorageUri) -> None:
        """A link must not lead out of where the storage has to be: the database directory, or a permitted root."""
        start = self._directory
        rest = place.path
        if place.path.startswith("/"):
            within = [root for root in self._roots if is_within(place.path, root)]
            if not within:
                return
            start = max(within, key=len)
            rest = place.path[len(start) :].strip("/")
        path = start
        for segment in rest.split("/") if rest else []:
            path = os.path.join(path, segment)
            if self._files.is_link(path):
                raise StorageUnavailable(
                    f'storage "{storage_id}" is unavailable: its directory is reached by a symbolic link, '
                    "which is not followed there"
                )
