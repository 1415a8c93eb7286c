"""Files, clock and randomness: everything the core asks of the machine."""

from collections.abc import Iterable, Sequence
from typing import Never, final

from kalamcore.errors import IoError

def release_free_memory() -> None:
    """Gives back to the operating system what the allocator keeps for later: after work that took much."""

@final
class FileSystem:
    """A file system of the core; every method raises IoError with errno, operation and path."""
    def __init__(self, *args: Never, **kwargs: Never) -> None:
        """Raises TypeError: use posix() or memory()."""
    @staticmethod
    def posix() -> FileSystem: ...
    @staticmethod
    def memory() -> FileSystem: ...
    def read_all(self, paths: Iterable[str]) -> list[bytes | IoError]:
        """All bytes of each file, or why they could not be read."""
    def first_link(self, paths: Iterable[str]) -> str | None:
        """The first of these that is a symbolic link, as is_link has it."""
    def write_atomic_all(self, files: Iterable[tuple[str, bytes]]) -> list[IoError | None]:
        """Write or replace many files, each as write_atomic does, and make their directories, with few syncs: all bytes,
        all renames, then each directory once. Of each why it is not durable, or None; one that failed has no effect on
        another. No two may have the same path."""
    def exists(self, path: str) -> bool: ...
    def list(self, directory: str) -> list[str]: ...
    def make_directory(self, path: str, mode: int = 0o700) -> None: ...
    def read_file(self, path: str) -> bytes: ...
    def file_size(self, path: str) -> int: ...
    def read_range(self, path: str, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the file ends."""
    def is_link(self, path: str) -> bool:
        """Whether the name itself is a symbolic link; False where nothing has the name."""
    def write_atomic(self, path: str, data: bytes) -> None: ...
    def append(self, path: str, data: bytes) -> None:
        """Write at the end of a file, making it where it is not there. Not durable: for files that a crash may take."""
    def rename(self, source: str, target: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def sync_directory(self, path: str) -> None: ...
    def lock_directory(self, path: str) -> DirectoryLock: ...
    def crash(self, loss: str = "all", seed: int = 0, *, after: int | None = None) -> FileSystem:
        """A memory file system alone: what the disk would hold if power went now, as a new file system.

        `after`: not now, but just after that recorded moment (from 0). Raises IndexError.
        `loss`: what happens to what was not synced. none (the process was killed, the machine goes on), all, subset,
        reorder, torn_1, torn_512, torn_4096, zeros (see cpp/memory_file_system.hpp)."""
    def fail(
        self,
        operations: Sequence[str] | None = None,
        *,
        at: int = 1,
        errno: int = 5,
        sticky: bool = False,
        partial_bytes: int = 0,
    ) -> None:
        """A memory file system alone: the `at`-th such operation from now (1 is the next) fails with `errno`, with
        `sticky` all after it too. A failing write first writes `partial_bytes`. None: any operation. Names: open,
        read, write, preallocate, truncate, sync, close, list, rename, remove, make_directory, sync_directory,
        lock_directory."""
    def forgive(self) -> None:
        """Forget every fault that fail() asked for."""
    def record(self) -> None:
        """A memory file system alone: from now on remember everything as it stands after each operation that changes
        something. Pages are shared, so that thousands of moments are cheap. Said again, it begins anew."""
    def recorded(self) -> int:
        """How many moments are remembered."""
    def recorded_operation(self, number: int) -> tuple[str, str]:
        """The operation that made a moment, and its path. Raises IndexError."""
    def fingerprint(self) -> int:
        """A memory file system alone: the same number for two that read the same."""
    def count(self, operation: str) -> int:
        """A memory file system alone: how many operations of a kind were begun, failed ones included."""

@final
class DirectoryLock:
    """An exclusive claim on a directory, given up by release() or with the last reference."""
    def __init__(self, *args: Never, **kwargs: Never) -> None:
        """Raises TypeError: use FileSystem.lock_directory()."""
    def release(self) -> None: ...

@final
class Clock:
    def __init__(self, *args: Never, **kwargs: Never) -> None:
        """Raises TypeError: use system() or manual()."""
    @staticmethod
    def system() -> Clock: ...
    @staticmethod
    def manual(now_us: int) -> Clock: ...
    def now_us(self) -> int: ...
    def set(self, now_us: int) -> None: ...
    def advance(self, us: int) -> None: ...

@final
class RandomSource:
    def __init__(self, *args: Never, **kwargs: Never) -> None:
        """Raises TypeError: use system() or seeded()."""
    @staticmethod
    def system() -> RandomSource: ...
    @staticmethod
    def seeded(seed: int) -> RandomSource: ...
    def bytes(self, size: int) -> bytes: ...
