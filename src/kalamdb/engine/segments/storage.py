"""What segments and manifests ask of the place where they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from kalamdb.errors import Error


class SegmentStorage(Protocol):
    """A place for files, told by paths with `/` between their parts. Safe for threads.

    Where it cannot do what it is asked, or a file that is read is not there, it raises an error of kalamdb, which goes
    through to the caller unchanged.
    """

    def write(self, path: str, data: bytes | memoryview) -> None:
        """Write a new file: all of it, durable when this returns, or nothing."""

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        """Write many new files, each as write does; of each what write would have raised, or None."""

    def read(self, path: str) -> bytes:
        """All bytes of a file."""

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`; fewer only where the file ends."""

    def read_tagged(self, path: str) -> tuple[bytes, str] | None:
        """A file with the tag of its version; None where there is none."""

    def read_tagged_all(self, paths: Sequence[str]) -> list[tuple[bytes, str] | Error | None]:
        """Read many files, each as read_tagged does; of each what that gives, or would have raised."""

    def replace(self, path: str, data: bytes, expected: str | None) -> str:
        """Put `data` in the place of the version with the tag `expected` (None: of nothing), durably; the new tag.

        Raises StorageConflict, having written nothing, where another version stands there.
        """

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        """Replace many files, each as replace does; of each the new tag, or what replace would have raised."""

    def delete(self, path: str) -> None:
        """Remove a file; that there is none is fine."""

    def list(self, folder: str = "") -> Iterator[str]:
        """The paths of all files below a folder."""
