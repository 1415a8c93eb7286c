"""The one small interface to a place for files: a directory, or a prefix of a bucket.

A path is relative to the storage, of segments with `/` between them, and names a file. What is written under
a name is never changed, but for the few files that `replace` is for (manifests); a name that was deleted is not
used again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import NoReturn, Protocol

from kalamdb.errors import Error, SegmentMissing, StorageConflict, StorageUnavailable

PATH_BYTES_MAX = 1024
SEGMENT_BYTES_MAX = 255


class StorageBackend(Protocol):
    """A place for files. Safe for threads.

    Every method raises StorageUnavailable, with the storage's id and a reason, where the storage did not do it, and
    never shows a credential.
    """

    @property
    def storage_id(self) -> str:
        """Which storage of the catalog it is."""

    def write(self, path: str, data: bytes | memoryview) -> None:
        """Write a new file: all of it, durable when this returns, or nothing. The name must be a new one."""

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        """Write many new files, each as write does, and in less time: of each what write would have raised, or None.
        One that fails keeps no other from being written. No two may have the same path."""

    def read(self, path: str) -> bytes:
        """All bytes of a file. Raises SegmentMissing where there is none."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only where the file ends. Raises SegmentMissing where there is none."""

    def size(self, path: str) -> int:
        """How many bytes a file has. Raises SegmentMissing where there is none."""

    def read_tagged(self, path: str) -> tuple[bytes, str] | None:
        """A file with the tag of its version; None where there is none."""

    def read_tagged_all(self, paths: Sequence[str]) -> list[tuple[bytes, str] | Error | None]:
        """Read many files, each as read_tagged does, in less time: of each what that gives, or would have raised."""

    def replace(self, path: str, data: bytes, expected: str | None) -> str:
        """Put `data` in the place of the version with the tag `expected` (None: of nothing); the new version's tag.

        One of several that try at once succeeds. Raises StorageConflict where another version stands there, and
        nothing was written; StorageOutcomeUnknown where it may have been written or may yet be.

        REQUIRES: no two versions of a file are equal (a manifest has a generation): a tag may be a hash of the content.
        """

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        """Replace many files, each as replace does, and in less time: of each the new version's tag, or what replace
        would have raised. One that fails keeps no other from being replaced. No two may have the same path."""

    def delete(self, path: str) -> None:
        """Remove a file; that there is none is fine."""

    def list(self, folder: str = "") -> Iterator[str]:
        """The paths of all files below a folder, at any depth; nothing where there is no such folder.

        For clean-up, check and backup: never on the way to a user's rows.
        """

    def probe(self) -> None:
        """Write, read, conditionally replace and remove a file of its own. Raises StorageUnavailable."""


def check_path(path: str) -> str:
    """The path. Raises ValueError unless it names a file that can only be inside of a storage."""
    if len(path.encode("utf-8", "surrogatepass")) > PATH_BYTES_MAX:
        raise ValueError("a path within a storage is too long")
    for segment in path.split("/"):
        if (
            segment in ("", ".", "..")
            or not segment.isascii()
            or not segment.isprintable()
            or "\\" in segment
            or len(segment) > SEGMENT_BYTES_MAX
        ):
            raise ValueError(f"{path!r} is no path within a storage")
    return path


def check_folder(folder: str) -> str:
    """The folder, "" for the storage itself. Raises ValueError as check_path."""
    return check_path(folder) if folder else folder


def missing(storage_id: str, path: str) -> SegmentMissing:
    """What a read of a file that is not there raises."""
    return SegmentMissing(
        f'storage "{storage_id}" has no file {path}; bring it back from a backup of the storage'
    )


def conflict(storage_id: str, path: str) -> StorageConflict:
    """What a replace of another version than the expected one raises."""
    return StorageConflict(
        f'{path} in storage "{storage_id}" was replaced by somebody else; read it again before replacing it'
    )


def unavailable(storage_id: str, action: str, reason: str) -> StorageUnavailable:
    """What a storage that did not answer raises. `action`: what was tried, `reason`: in words, without secrets."""
    return StorageUnavailable(
        f'storage "{storage_id}" is unavailable: cannot {action}: {reason}; try again once it answers'
    )


def require_files(backend: StorageBackend) -> None:
    """Raises StorageUnavailable where the storage holds no file at all: what should hold some is not the place that was
    written to, but the empty directory on which a disk is not mounted. Lists; for when something is missing already."""
    if next(iter(backend.list()), None) is None:
        raise unavailable(
            backend.storage_id,
            "find what was written to it",
            "nothing is there, as if its disk were not mounted",
        )


def run_probe(backend: StorageBackend) -> None:
    """The steps of StorageBackend.probe, over the other methods."""
    path = f"kalam-probe-{uuid.uuid4().hex}"
    first, second = b"written by STORAGE CHECK", b"replaced by STORAGE CHECK"
    tag = backend.replace(path, first, None)
    try:
        if backend.read(path) != first:
            _refuse(backend, "what it reads is not what was written")
        try:
            backend.replace(path, second, None)
        except StorageConflict:
            pass
        else:
            _refuse(
                backend, "it does not honour conditional writes, so two writers could undo each other's work"
            )
        backend.replace(path, second, tag)
        if backend.read_range(path, 0, len(second)) != second:
            _refuse(backend, "what it reads is not what was written")
    finally:
        backend.delete(path)
    if backend.read_tagged(path) is not None:
        _refuse(backend, "what was removed is still there")


def _refuse(backend: StorageBackend, reason: str) -> NoReturn:
    raise StorageUnavailable(f'storage "{backend.storage_id}" cannot be used: {reason}')
