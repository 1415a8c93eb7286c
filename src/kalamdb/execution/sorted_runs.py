"""Rows in order of their keys, more of them than memory holds: runs that are sorted one by one, and merged.

Rows that come in order already are one run, however many they are. A merge holds a piece of every run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kalamdb.execution.kept_tables import KeptTable, KeptTables

if TYPE_CHECKING:
    import pyarrow as pa

RUN_BYTES = 32 << 20
PIECE_BYTES = 256 << 10
NUMBER = "number of the row"
"""The last column of what comes out: which row it was of all that were added, from 0. No column of SQL has such a name
beside it, as it is asked for by its place."""


@dataclass(slots=True)
class _Run:
    last: Any
    pieces: list[KeptTable] = field(default_factory=list)


class SortedRuns:
    """Takes tables of the same columns, among them `key`, without NULL; gives them back in order of it."""

    def __init__(self, kept: KeptTables, key: str) -> None:
        self._kept = kept
        self._key = key
        self._runs: list[_Run] = []
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = 0
        self._begin = 0
        self.num_rows = 0

    def add(self, table: pa.Table) -> None:
        """Some rows more. Raises StorageUnavailable."""
        self._waiting.append(table)
        self._waiting_bytes += table.nbytes
        self.num_rows += table.num_rows
        if self._waiting_bytes >= RUN_BYTES:
            self.end()

    def end(self) -> None:
        """Have all that was added be there for `tables`. Raises StorageUnavailable."""
        import numpy as np
        import pyarrow as pa

        if self.num_rows == self._begin:
            return
        numbers = pa.array(np.arange(self._begin, self.num_rows, dtype=np.int64))
        table = pa.concat_tables(self._waiting).append_column(NUMBER, numbers)
        self._waiting, self._waiting_bytes, self._begin = [], 0, self.num_rows
        order = order_of(table.column(self._key))
        if order is not None:
            table = table.take(order)
        keys = table.column(self._key)
        if not self._runs or keys[0].as_py() <= self._runs[-1].last:
            self._runs.append(_Run(None))
        run = self._runs[-1]
        run.last = keys[-1].as_py()
        rows = max(1, PIECE_BYTES * table.num_rows // max(1, table.nbytes))
        for start in range(0, table.num_rows, rows):
            run.pieces.append(self._kept.keep(table.slice(start, rows)))

    def tables(self) -> Iterator[pa.Table]:
        """All rows, in pieces, with their numbers; of equal keys the one that came first is first. May be repeated."""
        import pyarrow as pa

        cursors = [_Cursor(self._kept, run.pieces, self._key) for run in self._runs]
        while len(cursors) > 1:
            bound = min(cursor.last for cursor in cursors)
            parts = [part for cursor in cursors if (part := cursor.up_to(bound)).num_rows]
            table = pa.concat_tables(parts)
            order = None if len(parts) == 1 else order_of(table.column(self._key))
            yield table if order is None else table.take(order)
            cursors = [cursor for cursor in cursors if cursor.has_more()]
        for cursor in cursors:
            yield from cursor.rest()

    def key_of(self, number: int) -> Any:
        """The key of a row by its number: looked for."""
        import pyarrow.compute as pc

        for table in self.tables():
            found = pc.index(table.column(table.num_columns - 1), number).as_py()
            if found >= 0:
                return table.column(self._key)[found].as_py()
        return None


class _Cursor:
    """A place in a run."""

    def __init__(self, kept: KeptTables, pieces: list[KeptTable], key: str) -> None:
        self._kept = kept
        self._pieces = pieces
        self._key = key
        self._next = 0
        self._go_on()

    def _go_on(self) -> None:
        self._table = self._kept.read(self._pieces[self._next])
        self._next += 1
        self._keys = self._table.column(self._key).combine_chunks()
        self._at = 0
        self.last = self._keys[-1].as_py()

    def up_to(self, bound: Any) -> pa.Table:
        """The rows of this piece that are not above a bound."""
        begin, keys = self._at, self._keys
        self._at = (
            len(keys)
            if self.last <= bound
            else bisect_right(range(len(keys)), bound, begin, key=lambda row: keys[row].as_py())
        )
        return self._table.slice(begin, self._at - begin)

    def has_more(self) -> bool:
        """Whether a row is left."""
        if self._at < len(self._keys):
            return True
        if self._next == len(self._pieces):
            return False
        self._go_on()
        return True

    def rest(self) -> Iterator[pa.Table]:
        """All that is left."""
        while True:
            yield self._table.slice(self._at)
            self._at = len(self._keys)
            if not self.has_more():
                return


def order_of(keys: pa.ChunkedArray) -> pa.Array | None:
    """Which row stands where in order of the keys, as int64; None where they are in order, each once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if len(keys) < 2 or pc.all(pc.less(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py() is True:
        return None
    order = pc.sort_indices(keys)
    return pa.Array.from_buffers(pa.int64(), len(order), order.buffers(), offset=order.offset)
