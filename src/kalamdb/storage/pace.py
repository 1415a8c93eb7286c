"""Writing to a directory gives way to commits: whoever syncs the log beside a large write waits for that, too.

Flushes and compactions sync many files at once, some milliseconds each time, and a commit that meets such a sync waits
with it. They cannot be made to go by unnoticed, but rare: behind each the next waits until many commits have gone
through undisturbed, or nobody commits any more.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from kalamdb.errors import Error
from kalamdb.storage.backend import StorageBackend

SYNCS_BETWEEN = 500
"""Of the log: so that well below one of a hundred meets a write."""
PAUSE_MAX_S = 0.1
QUIET_S = 0.005
"""Without a sync of the log: nobody who commits one thing after the other would take so long."""
BUSY_SYNCS = 3
"""Of the log since the last write: fewer are the writers' own notes."""
LOOK_S = 0.001


class Pace:
    """Of everything that one database writes to directories. Safe for threads.

    `syncs`: how often the log was synced so far.
    """

    def __init__(
        self,
        syncs: Callable[[], int],
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._syncs = syncs
        self._now_s = now_s
        self._sleep = sleep
        self._lock = threading.Lock()
        self._before = syncs()
        """Syncs of the log up to the end of the last write."""

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Write in this block; it waits for its turn."""
        self._wait()
        try:
            yield
        finally:
            with self._lock:
                self._before = self._syncs()

    def _wait(self) -> None:
        with self._lock:
            before = self._before
        seen = self._syncs()
        if seen - before < BUSY_SYNCS:
            return
        seen_s = now_s = self._now_s()
        ends_s = now_s + PAUSE_MAX_S
        while seen - before < SYNCS_BETWEEN and now_s < ends_s and now_s - seen_s < QUIET_S:
            self._sleep(LOOK_S)
            now_s = self._now_s()
            syncs = self._syncs()
            if syncs != seen:
                seen, seen_s = syncs, now_s


class PacedBackend:
    """A storage in a directory, whose every write waits for its turn: see StorageBackend."""

    def __init__(self, behind: StorageBackend, pace: Pace) -> None:
        self._behind = behind
        self._pace = pace
        self.read = behind.read
        self.read_range = behind.read_range
        self.size = behind.size
        self.read_tagged = behind.read_tagged
        self.read_tagged_all = behind.read_tagged_all
        self.list = behind.list
        self.probe = behind.probe

    @property
    def storage_id(self) -> str:
        """Which storage of the catalog it is."""
        return self._behind.storage_id

    def write(self, path: str, data: bytes | memoryview) -> None:
        """See StorageBackend.write."""
        with self._pace.turn():
            self._behind.write(path, data)

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        """See StorageBackend.write_all."""
        with self._pace.turn():
            return self._behind.write_all(files)

    def replace(self, path: str, data: bytes, expected: str | None) -> str:
        """See StorageBackend.replace."""
        with self._pace.turn():
            return self._behind.replace(path, data, expected)

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        """See StorageBackend.replace_all."""
        if not files:
            return []
        with self._pace.turn():
            return self._behind.replace_all(files)

    def delete(self, path: str) -> None:
        """See StorageBackend.delete."""
        with self._pace.turn():
            self._behind.delete(path)

    def __repr__(self) -> str:
        return repr(self._behind)
