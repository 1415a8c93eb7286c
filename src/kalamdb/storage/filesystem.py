"""A storage in a directory, over the core's file system; also the one of a database in memory.

A file appears under its name only when it is whole and on the disk. The tag of a version is a hash of its content.
No name leads out of the directory: a symbolic link below it is refused, wherever it leads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kalamcore.errors import CoreError, IoError
from kalamcore.system import FileSystem
from kalamdb.errors import Error, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.storage.backend import check_folder, check_path, conflict, missing, run_probe, unavailable

_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})
_LOCKS = 64
_ATTEMPTS_MAX = 10
Answer = TypeVar("Answer")


class FilesystemBackend:
    """Files below the directory `root`, which is made with the first of them."""

    def __init__(
        self, storage_id: str, files: FileSystem, root: str, locks: Sequence[threading.Lock] | None = None
    ) -> None:
        """`locks`: one that all backends of the same directory must share; by default this is the only one."""
        self.storage_id = storage_id
        self._files = files
        self._root = root.rstrip("/") or "/"
        # A version is compared and replaced under a lock; the paths share a fixed number of them.
        self._locks = replacing_locks() if locks is None else locks

    def write(self, path: str, data: bytes | memoryview) -> None:
        """See StorageBackend.write."""
        self._write(path, data if isinstance(data, bytes) else bytes(data))

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        """See StorageBackend.write_all."""
        answers: list[Error | None] = [None] * len(files)
        ready: list[tuple[int, str]] = []
        for number, place in enumerate(self._places([path for path, _ in files])):
            if isinstance(place, Error):
                answers[number] = place
            else:
                ready.append((number, place))
        try:
            failures = self._files.write_atomic_all([(place, files[number][1]) for number, place in ready])
        except CoreError as error:
            failures = [IoError(str(error), errno.EIO)] * len(ready)
        for (number, _), failure in zip(ready, failures, strict=True):
            if failure is None:
                continue
            path, data = files[number]
            answers[number] = self._unavailable(f"write {path}", failure)
            if failure.errno == errno.ENOENT:
                # As in _write: another thread removed the folder.
                try:
                    self._write(path, data)
                    answers[number] = None
                except StorageUnavailable as error:
                    answers[number] = error
        return answers

    def read(self, path: str) -> bytes:
        """See StorageBackend.read."""
        return self._on_file(path, "read", self._files.read_file)

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See StorageBackend.read_range."""
        return self._on_file(path, "read", lambda place: self._files.read_range(place, offset, length))

    def size(self, path: str) -> int:
        """See StorageBackend.size."""
        return self._on_file(path, "read", self._files.file_size)

    def read_tagged(self, path: str) -> tuple[bytes, str] | None:
        """See StorageBackend.read_tagged. A directory that is not there yet holds nothing."""
        try:
            data = self._files.read_file(self._place(path))
        except IoError as error:
            if error.errno in _NOT_THERE:
                return None
            raise self._unavailable(f"read {path}", error) from None
        return data, _tag(data)

    def read_tagged_all(self, paths: Sequence[str]) -> list[tuple[bytes, str] | Error | None]:
        """See StorageBackend.read_tagged_all."""
        answers: list[tuple[bytes, str] | Error | None] = [None] * len(paths)
        ready: list[tuple[int, str]] = []
        for number, place in enumerate(self._places(paths)):
            if isinstance(place, Error):
                answers[number] = place
            else:
                ready.append((number, place))
        read = self._files.read_all([place for _, place in ready])
        for (number, _), data in zip(ready, read, strict=True):
            if isinstance(data, bytes):
                answers[number] = data, _tag(data)
            elif data.errno not in _NOT_THERE:
                answers[number] = self._unavailable(f"read {paths[number]}", data)
        return answers

    def replace(self, path: str, data: bytes, expected: str | None) -> str:
        """See StorageBackend.replace."""
        with self._locks[self._lock_of(path)]:
            found = self.read_tagged(path)
            if (None if found is None else found[1]) != expected:
                raise conflict(self.storage_id, path)
            try:
                self._write(path, data)
            except StorageUnavailable as failure:
                raise self._not_replaced(path, found, failure) from failure
        return _tag(data)

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        """See StorageBackend.replace_all."""
        answers: list[str | Error] = [""] * len(files)
        found: dict[int, tuple[bytes, str] | None] = {}
        with contextlib.ExitStack() as held:
            # In one order for all who take several.
            for lock in sorted({self._lock_of(path) for path, _, _ in files}):
                held.enter_context(self._locks[lock])
            read = self.read_tagged_all([path for path, _, _ in files])
            for number, ((path, _, expected), there) in enumerate(zip(files, read, strict=True)):
                if isinstance(there, Error):
                    answers[number] = there
                elif (None if there is None else there[1]) != expected:
                    answers[number] = conflict(self.storage_id, path)
                else:
                    found[number] = there
            written = self.write_all([files[number][:2] for number in found])
            for (number, there), failure in zip(found.items(), written, strict=True):
                path, data, _ = files[number]
                answers[number] = _tag(data) if failure is None else self._not_replaced(path, there, failure)
        return answers

    def delete(self, path: str) -> None:
        """See StorageBackend.delete. Folders that it leaves empty go too, since their names may tell of a user."""
        place = self._place(path)
        try:
            self._files.remove(place)
            folder = os.path.dirname(place)
            self._files.sync_directory(folder)
        except IoError as error:
            if error.errno in _NOT_THERE:
                return
            raise self._unavailable(f"remove {path}", error) from None
        while len(folder) > len(self._root):
            try:
                self._files.remove(folder)
                folder = os.path.dirname(folder)
                self._files.sync_directory(folder)
            except IoError:
                return

    def list(self, folder: str = "") -> Iterator[str]:
        """See StorageBackend.list."""
        check_folder(folder)
        return self._below(folder)

    def probe(self) -> None:
        """See StorageBackend.probe."""
        run_probe(self)

    def __repr__(self) -> str:
        return f"<FilesystemBackend {self.storage_id}>"

    def _below(self, folder: str) -> Iterator[str]:
        try:
            names = self._files.list(self._place(folder) if folder else self._root)
        except IoError as error:
            if error.errno in _NOT_THERE:
                return
            raise self._unavailable(f"list {folder or 'its files'}", error) from None
        for name in names:
            path = f"{folder}/{name}" if folder else name
            place = os.path.join(self._root, path)
            if not name.isascii() or self._files.is_link(place):
                # Not of our making, and so neither followed nor cleaned up.
                continue
            try:
                self._files.list(place)
            except IoError as error:
                if error.errno not in _NOT_THERE:
                    raise self._unavailable(f"list {path}", error) from None
                yield path
            else:
                yield from self._below(path)

    def _place(self, path: str) -> str:
        """Where the file is for the file system. Raises StorageUnavailable where a link stands on the way."""
        segments = check_path(path).split("/")
        place = self._root
        try:
            for segment in segments[:-1]:
                place = os.path.join(place, segment)
                if self._files.is_link(place):
                    raise unavailable(
                        self.storage_id,
                        f"reach {path}",
                        f"{segment} is a symbolic link, which is not followed",
                    )
        except IoError as error:
            raise self._unavailable(f"reach {path}", error) from None
        return os.path.join(place, segments[-1])

    def _places(self, paths: Sequence[str]) -> Sequence[str | Error]:
        """Of each path what _place gives, or would have raised."""
        folders = {path.rpartition("/")[0] for path in map(check_path, paths)}
        passed: dict[str, str] = {}
        for folder in folders:
            while folder and folder not in passed:
                passed[folder] = os.path.join(self._root, folder)
                folder = folder.rpartition("/")[0]
        try:
            if self._files.first_link(passed.values()) is None:
                return [os.path.join(self._root, path) for path in paths]
        except IoError:
            pass
        # Which of them has a link on its way.
        return [self._place_or_error(path) for path in paths]

    def _place_or_error(self, path: str) -> str | Error:
        try:
            return self._place(path)
        except StorageUnavailable as error:
            return error

    def _write(self, path: str, data: bytes) -> None:
        place = self._place(path)
        folder = os.path.dirname(place)
        for attempt in range(_ATTEMPTS_MAX):
            try:
                self._files.make_directory(folder)
                self._files.write_atomic(place, data)
                return
            except IoError as error:
                # Another thread removed the last file of the folder, and the folder, in between.
                if error.errno == errno.ENOENT and attempt < _ATTEMPTS_MAX - 1:
                    continue
                raise self._unavailable(f"write {path}", error) from None
            except CoreError as error:
                raise unavailable(self.storage_id, f"write {path}", type(error).__name__) from None

    def _on_file(self, path: str, verb: str, function: Callable[[str], Answer]) -> Answer:
        place = self._place(path)
        try:
            return function(place)
        except IoError as error:
            if error.errno in _NOT_THERE:
                self._check_root(path)
                raise missing(self.storage_id, path) from None
            raise self._unavailable(f"{verb} {path}", error) from None

    def _lock_of(self, path: str) -> int:
        return hash(f"{self._root}/{path}") % len(self._locks)

    def _not_replaced(self, path: str, before: tuple[bytes, str] | None, failure: Error) -> Error:
        """What the replacing of a file comes to that could not be written."""
        # Up to the renaming the old version stands; behind it, only the disk knows.
        try:
            if self.read_tagged(path) == before:
                return failure
        except Error:
            pass
        return StorageOutcomeUnknown(
            f"{failure.message}; whether {path} was replaced is not known: read it again"
        )

    def _check_root(self, path: str) -> None:
        """A disk that is not mounted must not look like one whose files are gone. Raises StorageUnavailable."""
        try:
            there = self._files.exists(self._root)
            empty = there and not self._files.list(self._root)
        except IoError as error:
            raise self._unavailable(f"reach {path}", error) from None
        if not there:
            raise unavailable(self.storage_id, f"read {path}", "the storage's directory is not there")
        if empty:
            raise unavailable(
                self.storage_id,
                f"read {path}",
                "the storage's directory is empty, as if its disk were not mounted",
            )

    def _unavailable(self, action: str, error: IoError) -> StorageUnavailable:
        reason = os.strerror(error.errno)
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            reason = "a file stands where a directory is to be; remove it, or give the storage another URI"
        return unavailable(self.storage_id, action, reason)


def replacing_locks() -> tuple[threading.Lock, ...]:
    """Locks for the backends of one database."""
    return tuple(threading.Lock() for _ in range(_LOCKS))


def _tag(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
