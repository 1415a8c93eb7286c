"""Recent rows in memory, sorted by key, every version of them."""

from collections.abc import Iterator
from typing import final

@final
class MemTable:
    """A skip list per (table, partition) over one arena, newest version of a key first.

    One writer at a time (the caller's lock); readers need no lock and see what was put before their snapshot.
    """
    def __init__(self) -> None: ...
    def put(
        self, table_id: int, partition: bytes, key: bytes, sequence: int, row: bytes, deleted: bool = False
    ) -> None: ...
    def get(
        self, table_id: int, partition: bytes, key: bytes, snapshot: int
    ) -> tuple[int, bool, bytes] | None:
        """(sequence, deleted, row) of the newest version at or below `snapshot`."""
    def scan(
        self,
        table_id: int,
        partition: bytes,
        snapshot: int,
        *,
        low: bytes | None = None,
        high: bytes | None = None,
        reverse: bool = False,
        deleted: bool = False,
    ) -> Iterator[tuple[bytes, int, bool, bytes]]:
        """(key, sequence, deleted, row) in key order, low <= key <= high."""
    def partitions(self, table_id: int) -> list[bytes]: ...
    def freeze(self) -> None:
        """Takes no more writes."""
    @property
    def bytes(self) -> int: ...
    @property
    def entries(self) -> int: ...
